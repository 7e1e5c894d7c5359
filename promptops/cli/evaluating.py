"""What ``promptops eval`` shares: from the command line to the plan of a run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from promptops.cli.opening import open_registry
from promptops.errors import UsageError
from promptops.evaluation import callables
from promptops.evaluation.runs import asking, price, store, text
from promptops.evaluation.runs.plan import Plan, Selection, same
from promptops.evaluation.runs.summary import beyond, failed
from promptops.release import proofs
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.evaluation.suite import Suite
    from promptops.registry.registry import Registry
    from promptops.repo.git import Git

_LIMITS = ("requests", "usd", "tokens", "seconds")


def planned(git: Git, suites: Sequence[str], options: Mapping[str, Any]) -> Plan:
    """Return the plan of a new run.

    Args:
        git: the repository.
        suites: names.
        options: of the command line: ``prompt``, ``revision``, ``repeats``, ``limit``, ``tags``, ``cases``,
            ``concurrency``, ``budget`` and ``allow_python``.

    Raises:
        UsageError: no suite is named, or it is not clear which prompt is asked.
        InputError: a file is malformed.
    """
    if not suites:
        raise UsageError("no suite is named", hint="promptops eval run SUITE, with the name of a file in evals/")
    registry = open_registry(git, options["revision"])
    prompt = options["prompt"] or _only(registry, suites)
    cases = {"": tuple(options["cases"])} if options["cases"] else {}
    return Plan(
        registry.configuration(prompt),
        read_suites(registry, dict.fromkeys(suites), allow_python=options["allow_python"]),
        Selection(options["limit"], tuple(options["tags"]), cases, options["repeats"]),
        None if options["revision"] is None else git.commit(options["revision"]),
        options["concurrency"],
        limits(options["budget"]),
        frozenset(suites) if options["allow_python"] else frozenset(),
        registry.source.read if options["allow_python"] else callables.no_code,
    )


def resumed(git: Git, folder: store.Folder, options: Mapping[str, Any]) -> Plan:
    """Return the plan of a run that is gone on with: what it asks is read again from where it came.

    Args:
        git: the repository.
        folder: of the run.
        options: ``concurrency``, and ``budget`` and ``allow_python`` where they are not to stay as they were.

    Raises:
        RefusedError: prompt, model or suites are no longer what they were.
    """
    kept = folder.settings()
    registry = open_registry(git, kept["revision"])
    allowed = options["allow_python"] or bool(kept["python"])
    plan = Plan(
        registry.configuration(kept["prompt"]),
        read_suites(registry, kept["suites"], allow_python=allowed),
        Selection.read(kept["selection"]),
        kept["revision"],
        options["concurrency"],
        limits(options["budget"]) or kept["budget"],
        frozenset(kept["suites"]) if allowed else frozenset(),
        registry.source.read if allowed else callables.no_code,
    )
    same(plan, kept)
    return plan


def read_suites(registry: Registry, names: Iterable[str], *, allow_python: bool = False) -> tuple[Suite, ...]:
    """Return suites by name.

    Args:
        registry: where they are.
        names: of the suites.
        allow_python: whether code that makes cases may run.

    Raises:
        InputError: one is missing or malformed.
        UsageError: one is another harness's, which asks by itself.
    """
    settings = registry.project.canary
    found = tuple(proofs.suite(registry, name, settings, allow_python=allow_python) for name in names)
    for suite in found:
        if suite.harness:
            hint = "promptops serve PROMPT -- COMMAND runs it by hand"
            raise UsageError(f"the cases of {printable(suite.name)} are asked by a harness of its own", hint=hint)
    return found


def _only(registry: Registry, suites: Sequence[str]) -> str:
    """Return the only prompt that names all suites, or the only prompt."""
    names = registry.names()
    found = [name for name in names if set(suites) <= set(registry.prompt(name).evals)] or names
    if len(found) != 1:
        several = ", ".join(map(printable, found)) or "none"
        raise UsageError(f"it is not clear which prompt is asked; there are: {several}", hint="add --prompt PROMPT")
    return found[0]


def limits(given: str | None) -> dict[str, float]:
    """Return ``requests=100,usd=2`` as numbers by name.

    Raises:
        UsageError: another form, an unknown name or no positive number.
    """
    found: dict[str, float] = {}
    for part in given.split(",") if given is not None else ():
        name, _, value = part.strip().partition("=")
        try:
            amount = float(value)
        except ValueError:
            amount = 0.0
        if name not in _LIMITS or not 0 < amount < float("inf"):
            hint = f"write requests=100,usd=2 with one or more of: {', '.join(_LIMITS)}"
            raise UsageError(f"{printable(part)!r} is no limit", hint=hint)
        found[name] = amount
    return found


def last_failed(root: str, plan: Plan) -> Plan:
    """Return the plan of what failed in the newest run of the same prompt and suites: `failed` or `beyond` a limit.

    Raises:
        UsageError: there is no such run, or nothing failed.
    """
    asked = (plan.configuration.prompt.name, {suite.name for suite in plan.suites})
    for folder in reversed(store.every(root)):
        kept = folder.settings()
        if (kept["prompt"], set(kept["suites"])) == asked:
            break
    else:
        raise UsageError("no earlier run asked this prompt these suites", hint="run without --last-failed first")
    rails = {suite.name: suite.guardrails for suite in plan.suites}
    found: dict[str, dict[str, None]] = {}
    for line in store.Results(folder.results).lines():
        if failed(line) or beyond(line, rails.get(line["suite"], ())):
            found.setdefault(line["suite"], {})[line["case"]] = None
    if not found:
        raise UsageError(f"nothing failed in run {folder.name}", hint="run without --last-failed")
    cases = {suite: tuple(ids) for suite, ids in found.items()}
    return replace(plan, selection=replace(plan.selection, cases=cases))


def plan_lines(plan: Plan, document: Mapping[str, Any]) -> list[str]:
    """Return what a run would ask; ``document`` is the plan's."""
    lines = [text.title(document)]
    for name, count in plan.counts().items():
        asked = f"{count['cases']:,} cases, asked {count['asked']:,} times, {count['calls']:,} replies at most"
        lines.append(f"{printable(name)}: {asked}")
    lines += _price_lines(price.estimate(plan))
    lines.append("budget: " + (", ".join(f"{value:g} {name}" for name, value in plan.budget.items()) or "none"))
    return lines


def _price_lines(found: price.Estimate) -> list[str]:
    """Return tokens and money, as a canary's plan says them."""
    worst = "unknown" if found.tokens["worst"] is None else f"{found.tokens['worst']:,}"
    lines = [f"tokens: about {found.tokens['expected']:,}, {worst} at worst{found.without}"]
    if found.cost["expected"] is None:
        return [*lines, "cost: unknown, since the model file states no price"]
    most = "unknown" if found.cost["worst"] is None else f"{found.cost['worst']:.4f}"
    return [*lines, f"cost: about {found.cost['expected']:.4f} {found.currency}, {most} at worst"]


def conducted(plan: Plan, folder: store.Folder, *, new: bool) -> dict[str, Any]:
    """Ask what is planned, with progress on standard error, and return the summary."""
    document = plan.document()
    if new:
        folder.write_settings(document)
    for line in plan_lines(plan, document):
        click.echo(line, err=True)
    click.echo(f"run {folder.name}; where it is cut short: promptops eval run --resume {folder.name}", err=True)
    progress = text.Progress(document["model"]["currency"])
    try:
        return asking.conduct(plan, folder, progress)
    finally:
        progress.close()
