"""Judging many prompts on all cores."""

from __future__ import annotations

import gc
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

from promptops.checks.preloaded import Preloaded
from promptops.checks.run import judge

if TYPE_CHECKING:
    from promptops.checks.finding import Finding
    from promptops.checks.run import Item
    from promptops.checks.scope import Scope

_shared: list[tuple[Scope, list[Item], frozenset[str]]] = []


def split(scope: Scope, items: list[Item], wanted: frozenset[str], workers: int) -> tuple[set[Finding], set[str]]:
    """Return the findings on ``items`` and the models that they use, worked out by ``workers`` processes."""
    if isinstance(scope.source, Preloaded):
        scope.source.load()
    # A forked worker inherits the files that were read; it must not share the pipe to git.
    scope.git.close()
    _shared[:] = [(scope, items, wanted)]
    size = -(-len(items) // workers)
    found: set[Finding] = set()
    models: set[str] = set()
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("fork")) as pool:
        for findings, used in pool.map(_portion, [slice(start, start + size) for start in range(0, len(items), size)]):
            found |= findings
            models |= used
    return found, models


def _portion(part: slice) -> tuple[set[Finding], set[str]]:
    # A worker lives for one portion; walking its ever more objects for cycles only costs.
    gc.disable()
    scope, items, wanted = _shared[0]
    git = scope.git.again()
    source = scope.source.reopen(git) if isinstance(scope.source, Preloaded) else scope.source
    return judge(scope._replace(git=git, source=source), items[part], wanted)
