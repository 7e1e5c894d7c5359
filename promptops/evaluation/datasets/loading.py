"""From an entry of a suite's ``data`` to cases in the suite's own format."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from promptops.errors import InputError, PromptopsError, RefusedError
from promptops.evaluation import callables
from promptops.evaluation.datasets import elephant, plain, rows, surveys, syco_bench, sycon_bench, sycophancy_eval
from promptops.evaluation.datasets.made import File, Input, Made, Placed
from promptops.registry import canonical, schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

# As many as the schema allows inline.
MAX_CASES = 10_000
SHAPES: dict[str, Callable[[Input], Iterator[Made]]] = {
    "jsonl": plain.cases,
    "csv": plain.cases,
    "parquet": plain.cases,
    "syco-bench-pickside": syco_bench.pickside,
    "syco-bench-mirror": syco_bench.mirror,
    "syco-bench-whosaid": syco_bench.whosaid,
    "syco-bench-delusion": syco_bench.delusion,
    "sycon-bench-debate": sycon_bench.debate,
    "sycon-bench-false-presupposition": sycon_bench.false_presupposition,
    "humanebench": surveys.humanebench,
    "anthropic-evals": surveys.biographies,
    "persistbench": surveys.persistbench,
    "sycophancy-eval-are-you-sure": sycophancy_eval.are_you_sure,
    "sycophancy-eval-answer": sycophancy_eval.answer,
    "sycophancy-eval-feedback": sycophancy_eval.feedback,
    "elephant-oeq": elephant.oeq,
    "elephant-aita": elephant.aita,
    "elephant-aita-flip": elephant.flipped,
}


def load(
    entry: Mapping[str, Any], read: Callable[[str], bytes | None], *, allow_python: bool = False
) -> list[dict[str, Any]]:
    """Return the cases of one entry of ``data``; see `placed`."""
    return [each.case for each in placed(entry, read, allow_python=allow_python)]


def placed(
    entry: Mapping[str, Any], read: Callable[[str], bytes | None], *, allow_python: bool = False
) -> list[Placed]:
    """Return the cases of one entry of ``data``, as the suite could hold them inline, with where they are from.

    A ``limit`` keeps the cases with the lowest hash of their content, in file order: the same ones on every machine,
    most of them still when rows are added, and not the head of a file that may be sorted.

    Args:
        entry: fits the schema of a suite's ``data``.
        read: returns a file of the revision that the suite comes from by its path, or None.
        allow_python: whether that revision is trusted, so that its code may run.

    Raises:
        RefusedError: a file has another digest, or code may not run.
        InputError: a row makes no case; it names the file and the line.
        PromptopsError: there is no such file, or an extra is missing.
    """
    if "callable" in entry:
        made, path = _called(entry, read, allow_python=allow_python), callables.location(entry["callable"]).path
    else:
        given = Input(files(entry, read), entry)
        made, path = list(SHAPES[entry["format"]](given)), given.path
    chosen = sample(made, entry.get("limit", len(made)))
    if not chosen:
        raise InputError("the data holds no case", hint="add a row, or take the entry out of `data`", path=path)
    if len(chosen) > MAX_CASES:
        raise InputError(f"{len(chosen)} cases, more than {MAX_CASES}", hint="set `limit`", path=path)
    _check(chosen, path)
    return [Placed(path, line, case) for line, case in chosen]


def files(entry: Mapping[str, Any], read: Callable[[str], bytes | None]) -> dict[str, File]:
    """Return the files that an entry names, their digests checked.

    Raises:
        RefusedError: a file has another digest.
        PromptopsError: there is no such file.
    """
    return {name: _checked(each, read) for name, each in {"": entry, **entry.get("also", {})}.items()}


def sample(made: Sequence[Made], limit: int) -> list[Made]:
    """Return the ``limit`` cases with the lowest hash of what they ask and expect, in their order."""
    if limit >= len(made):
        return list(made)

    def rank(index: int) -> tuple[str, int]:
        content = {key: value for key, value in made[index].case.items() if key != "id"}
        return canonical.sha256(content), index

    return [made[index] for index in sorted(sorted(range(len(made)), key=rank)[:limit])]


def _checked(each: Mapping[str, Any], read: Callable[[str], bytes | None]) -> File:
    path = each["path"]
    data = read(path)
    if data is None:
        raise PromptopsError("the suite's data file does not exist", hint="commit it, or mend `data`", path=path)
    if len(data) > rows.MAX_BYTES:
        rows.refuse(path, None, f"the file is larger than the limit of {rows.MAX_BYTES} bytes", "split it")
    actual = hashlib.sha256(data).hexdigest()
    if actual != each["sha256"]:
        raise RefusedError(
            f"the data has the digest {actual}, not the reviewed {each['sha256']}",
            hint="review the file and write its digest into the suite, or bring the reviewed file back",
            path=path,
        )
    return File(path, data)


def _called(entry: Mapping[str, Any], read: Callable[[str], bytes | None], *, allow_python: bool) -> list[Made]:
    target = entry["callable"]
    if not allow_python:
        raise RefusedError(
            f"the suite makes cases by Python code ({target}), which is not allowed here",
            hint="Python code runs only for suites of a trusted revision",
        )
    found = callables.call(read, target, entry["sha256"])
    if not isinstance(found, list) or not all(isinstance(case, dict) for case in found):
        raise InputError(f"{target} returned no list of cases", path=callables.location(target).path)
    return [Made(number, case) for number, case in enumerate(found, 1)]


def _check(made: Sequence[Made], path: str) -> None:
    """Raise for the first case that would not be allowed inline."""
    problems = schemas.problems("suite", {"version": 1, "cases": [case for _, case in made]})
    for problem in problems:
        _, index, *rest = (*problem.pointer, 0)
        place = ".".join(map(str, rest[:-1]))
        message = f"{place}: {problem.message}" if place else problem.message
        rows.refuse(path, made[int(index)].line, message, "promptops schema suite")
    seen: dict[str, int] = {}
    for line, case in made:
        if case["id"] in seen:
            rows.refuse(
                path, line, f"the id {case['id']} is in line {seen[case['id']]} too", "give each case an id of its own"
            )
        seen[case["id"]] = line
