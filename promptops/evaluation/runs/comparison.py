"""Two runs side by side: the same case and replicate in both, and what differs."""

from __future__ import annotations

import heapq
from collections import defaultdict
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import RefusedError
from promptops.evaluation import tripwires as wires
from promptops.evaluation.runs import text
from promptops.evaluation.runs.store import Key, Results
from promptops.statistics import clustered

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from promptops.evaluation.runs.store import Folder

WORST = 10
# An embedding takes some milliseconds.
_MOST_TRIPPED = 2_000


class Pair(NamedTuple):
    """A case that both runs answered.

    Attributes:
        key: suite, case and replicate.
        base: the first run's result.
        other: the second run's result.
    """

    key: Key
    base: dict[str, Any]
    other: dict[str, Any]

    def differences(self) -> dict[str, float]:
        """Return by metric how much more the second run scored, where both could be read."""
        one, other = self.base["scores"], self.other["scores"]
        return {
            name: other[name] - score
            for name, score in one.items()
            if score is not None and other.get(name) is not None
        }


class _Metric:
    """What the pairs say about one metric."""

    def __init__(self) -> None:
        self.cases: dict[str, list[float]] = {}
        self.sums = [0.0, 0.0]
        self.n = 0
        self.worst: list[tuple[float, int, Key]] = []

    def add(self, key: Key, base: float, other: float, harm: float) -> None:
        entry = self.cases.setdefault(key.case, [0.0, 0])
        entry[0] += other - base
        entry[1] += 1
        self.sums[0] += base
        self.sums[1] += other
        self.n += 1
        if harm > 0:
            # The first of equal ones stays.
            item = (harm, -self.n, key)
            (heapq.heappush if len(self.worst) < WORST else heapq.heappushpop)(self.worst, item)


def check(base: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Refuse to compare what was not asked or judged alike.

    Args:
        base: the first run's ``run.json``.
        other: the second run's.

    Raises:
        RefusedError: suites or the models that judge differ.
    """
    for name, what in (("suites", "suites"), ("asks", "models that judge or play users")):
        if base[name] != other[name]:
            differing = sorted(
                suite for suite in {*base[name], *other[name]} if base[name].get(suite) != other[name].get(suite)
            )
            raise RefusedError(
                f"the runs have other {what}: {', '.join(differing)}",
                hint="scores by other rules cannot be compared; run both revisions with the same suites",
            )


def pairs(base: Folder, other: Folder) -> Iterator[Pair]:
    """Yield what both runs answered, in the order of the second."""
    known = Results(base.results)
    for line in Results(other.results).lines():
        key = Key(line["suite"], line["case"], line["replicate"])
        found = known.get(key)
        if found is not None and not found.get("failure") and not line.get("failure"):
            yield Pair(key, found, line)


def compare(base: Folder, other: Folder) -> dict[str, Any]:
    """Return the differences as JSON-able data.

    ``titles`` says what each run asked. ``rows`` holds one row per suite and metric: both means, the mean difference
    (second minus first) with its interval, clustered by case, ``invalid`` where a validity floor of one run does not
    hold, and the ``worst`` keys: worst in the guardrail's direction, largest where no guardrail has one. ``words`` are
    those per reply in each run.

    Raises:
        RefusedError: the runs had other suites or judges.
    """
    one, two = base.settings(), other.settings()
    check(one, two)
    metrics: dict[tuple[str, str], _Metric] = defaultdict(_Metric)
    words: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    total = 0
    for pair in pairs(base, other):
        total += 1
        counts = words[pair.key.suite]
        for side, line in enumerate((pair.base, pair.other)):
            counts[2 * side] += line["words"]
            counts[2 * side + 1] += line["replies"]
        for name, difference in pair.differences().items():
            harm = _harm(one["directions"].get(pair.key.suite, {}).get(name), difference)
            metrics[pair.key.suite, name].add(pair.key, pair.base["scores"][name], pair.other["scores"][name], harm)
    invalid = _invalid(base, other)
    rows = [
        _row(place, metric, words[place[0]], invalid.get(place, []), one["directions"].get(place[0], {}).get(place[1]))
        for place, metric in sorted(metrics.items())
    ]
    titles = [text.title(settings) for settings in (one, two)]
    return {"base": base.name, "other": other.name, "titles": titles, "pairs": total, "rows": rows}


def tripwires(base: Folder, other: Folder) -> list[wires.Moved]:
    """Return what each trip-wire says of the last replies of both runs, view by view; at most 2,000 pairs.

    Raises:
        PromptopsError: the extra ``tripwires`` is not installed.
        InputError: no case was answered in both runs.
    """
    replies: tuple[list[str], list[str]] = ([], [])
    for pair in islice(pairs(base, other), _MOST_TRIPPED):
        for name in sorted(pair.base["views"].keys() & pair.other["views"].keys()):
            for side, line in zip(replies, (pair.base, pair.other), strict=True):
                side.append(line["views"][name][-1]["text"])
    return [wires.compare(kind, *replies) for kind in wires.TRIPWIRES]


def _harm(direction: str | None, difference: float) -> float:
    return abs(difference) if direction is None else difference if direction == "lower" else -difference


def _invalid(base: Folder, other: Folder) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for folder in (base, other):
        for row in (folder.summary() or {"rows": []})["rows"]:
            found[row["suite"], row["metric"]] += [f"run {folder.name}: {why}" for why in row["invalid"]]
    return found


def _row(
    place: tuple[str, str], metric: _Metric, words: list[int], invalid: list[str], direction: str | None
) -> dict[str, Any]:
    found = clustered.difference((total, int(count)) for total, count in metric.cases.values())
    assert found is not None  # noqa: S101  a metric is only there once a pair has it
    return {
        "suite": place[0],
        "metric": place[1],
        "direction": direction,
        "base": metric.sums[0] / metric.n,
        "other": metric.sums[1] / metric.n,
        "difference": found.mean,
        "low": found.low,
        "high": found.high,
        "cases": found.clusters,
        "n": found.n,
        "words": [words[0] / words[1] if words[1] else None, words[2] / words[3] if words[3] else None],
        "invalid": invalid,
        "worst": [list(key) for _, _, key in sorted(metric.worst, reverse=True)],
    }
