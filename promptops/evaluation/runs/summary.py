"""What a run says: a mean per metric with its interval, and whether it means anything."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from promptops.evaluation import scoring
from promptops.evaluation.floors import FloorTrack
from promptops.evaluation.gate import ALPHA, FLOOR
from promptops.evaluation.suite import EXPECTED
from promptops.statistics import clustered
from promptops.statistics.betting import Capital
from promptops.statistics.series import GRID

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from promptops.evaluation.harm import Guardrail
    from promptops.evaluation.suite import Suite

# The arm's name in the records of floors.
_ARM = "run"


class _Sums:
    """Sums of one metric by case."""

    def __init__(self) -> None:
        self.cases: dict[str, list[float]] = {}
        self.asked = 0

    def add(self, case: str, score: float | None) -> None:
        self.asked += 1
        entry = self.cases.setdefault(case, [0.0, 0])
        if score is not None:
            entry[0] += score
            entry[1] += 1

    def clusters(self) -> list[tuple[float, int]]:
        return [(total, int(count)) for total, count in self.cases.values() if count]

    def means(self) -> list[float]:
        return [total / count for total, count in self.clusters()]


class Tally:
    """Adds results up, one line at a time; memory grows by a few numbers per case and metric.

    Args:
        suites: whose results come.
        by_tag: whether each tag is summed up too.
    """

    def __init__(self, suites: Iterable[Suite], *, by_tag: bool = False) -> None:
        self._suites = {suite.name: suite for suite in suites}
        self._barred = {suite.name: suite.barred() for suite in self._suites.values()}
        self._by_tag = by_tag
        self._sums: dict[tuple[str, str, str], _Sums] = defaultdict(_Sums)
        self._floors: dict[tuple[str, str, str], _Sums] = defaultdict(_Sums)
        self._words: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._totals: Counter[str] = Counter()
        self._cost = 0.0
        self._seconds = 0.0
        self._moved: Counter[str] = Counter()
        self._models: Counter[tuple[str, str | None]] = Counter()
        self._failures: Counter[str] = Counter()

    def add(self, line: Mapping[str, Any]) -> None:
        """Take one result in."""
        suite, case = line["suite"], line["case"]
        self._totals["asked"] += 1
        if line.get("failure"):
            self._failures[line["failure"]["kind"]] += 1
            return
        self._totals["answered"] += 1
        self._totals["failed"] += failed(line)
        self._totals["replies"] += line["replies"]
        self._totals["tokens"] += line["tokens"]
        self._cost += line["cost"]
        self._seconds += line["seconds"]
        self._moved.update(line.get("moved", ()))
        for model, fingerprint in line["models"]:
            self._models[model, fingerprint] += 1
        for group in ("", *(line.get("tags", ()) if self._by_tag else ())):
            words = self._words[group, suite]
            words[0] += line["words"]
            words[1] += line["replies"]
            for metric, score in line["scores"].items():
                self._sums[group, suite, metric].add(case, score)
            for floor, mark in line["floors"].items():
                self._floors[group, suite, floor].add(case, mark)

    def document(self) -> dict[str, Any]:
        """Return the summary as JSON-able data.

        ``rows`` holds one row per suite and metric, ``tags`` the same by tag, ``totals`` what was asked and spent.
        """
        groups = sorted({group for group, _, _ in self._sums if group})
        models = [
            {"reported": model, "fingerprint": fingerprint, "replies": count}
            for (model, fingerprint), count in sorted(self._models.items(), key=str)
        ]
        return {
            "rows": self._rows(""),
            "tags": {group: self._rows(group) for group in groups},
            "totals": {
                **{name: self._totals[name] for name in ("asked", "answered", "failed", "replies", "tokens")},
                "cost": self._cost,
                "latency": self._seconds / self._totals["replies"] if self._totals["replies"] else None,
                "without_reply": dict(self._failures),
            },
            "models": models,
            "moved": dict(self._moved),
        }

    def _rows(self, group: str) -> list[dict[str, Any]]:
        keys = sorted(key for key in self._sums if key[0] == group)
        return [self._row(*key) for key in keys]

    def _row(self, group: str, suite: str, metric: str) -> dict[str, Any]:
        sums, known = self._sums[group, suite, metric], self._suites[suite]
        found = clustered.estimate(sums.clusters())
        readable = sum(count for _, count in sums.clusters()) / sums.asked
        floors = self._held(group, suite, metric)
        invalid = [floor["reason"] for floor in floors if floor["reason"]]
        if readable < FLOOR:
            invalid.insert(0, f"only {readable:.0%} of the answers can be read")
        words, replies = self._words[group, suite]
        row: dict[str, Any] = {
            "suite": suite,
            "metric": metric,
            "mean": found.mean if found else None,
            "low": found.low if found else None,
            "high": found.high if found else None,
            "cases": found.clusters if found else 0,
            "n": found.n if found else 0,
            "readable": readable,
            "floors": floors,
            "invalid": invalid,
            "barred": self._barred[suite].get(metric),
            "words": words / replies if replies else None,
            "guardrail": None,
        }
        rail = next((rail for rail in known.guardrails if rail.metric == metric), None)
        if rail is not None and rail.limit is not None:
            undecided = invalid or metric in self._barred[suite]
            standing = "open" if undecided else _standing(rail, sums.means())
            row["guardrail"] = {"direction": rail.direction, "limit": rail.limit, "verdict": standing}
        return row

    def _held(self, group: str, suite: str, metric: str) -> list[dict[str, Any]]:
        found = []
        for label, floor in scoring.floors(self._suites[suite]).items():
            if label.partition("/")[0] != metric:
                continue
            track = FloorTrack(label, floor, (_ARM,))
            # The case is the unit here too: replies to one case are not independent of each other.
            for mean in self._floors[group, suite, label].means():
                track.push(_ARM, round(mean * GRID))
            state = {"name": label, "bounds": floor.text, "mean": track.mean(_ARM), "standing": track.standing(ALPHA)}
            found.append({**state, "reason": track.reason(ALPHA)})
        return found


def failed(line: Mapping[str, Any]) -> bool:
    """Say whether a result is a failed case: no reply, or its own ``expect`` does not hold."""
    if line.get("failure"):
        return True
    return EXPECTED in line["scores"] and line["scores"][EXPECTED] != 1.0


def beyond(line: Mapping[str, Any], rails: Iterable[Guardrail]) -> bool:
    """Say whether a score of a result lies on the wrong side of the limit of its guardrail."""
    for rail in rails:
        score = line.get("scores", {}).get(rail.metric)
        if score is None or rail.limit is None or score == rail.limit:
            continue
        if (score > rail.limit) == (rail.direction == "lower"):
            return True
    return False


def _standing(rail: Guardrail, means: Sequence[float]) -> str:
    """Say whether the mean is proved to be within the guardrail's limit, beyond it, or neither.

    Each by the test that the gate uses on the means of the cases, in the order in which they were asked.
    """
    limit = float(rail.limit or 0.0)
    lower = rail.direction == "lower"
    kept, broken = Capital(limit, at_least=lower), Capital(limit, at_least=not lower)
    for mean in means:
        kept.update(mean)
        broken.update(mean)
    if broken.peak >= 1.0 / ALPHA:
        return "broken"
    return "kept" if kept.peak >= 1.0 / ALPHA else "open"


def code(document: Mapping[str, Any], *, fail_on_expected: bool = False) -> int:
    """Return the exit code that a summary stands for.

    Args:
        document: a summary as it is recorded.
        fail_on_expected: whether one failed case is a finding.
    """
    verdicts = {row["guardrail"]["verdict"] for row in document["rows"] if row["guardrail"]}
    totals = document["totals"]
    if "broken" in verdicts or document["moved"] or (fail_on_expected and totals["failed"]):
        return 1
    return 4 if "open" in verdicts or not document["complete"] or totals["without_reply"] else 0
