"""The gate of a comparison with means: nothing but counts and sums is left of the earlier run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.evaluation.gate import ALPHA, FLOOR, GateResult
from promptops.evaluation.gate_rows import Row
from promptops.evaluation.summary_bounds import Sum, difference_interval

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.evaluation.gate_rows import Verdict
    from promptops.evaluation.harm import Guardrail


class MeansGate:
    """Decides like `promptops.evaluation.gate.Gate` about unpaired means; valid at every stopping time.

    A guardrail passes when the whole confidence interval of the harm lies within its margin, fails when it lies beyond.
    Each guardrail has its own alpha for a pass; for a fail, alpha is shared by all (Bonferroni).

    Args:
        guardrails: by name.
        before: count and sum of scores of the earlier run by guardrail; guardrails without one are left out.
    """

    def __init__(self, guardrails: Mapping[str, Guardrail], before: Mapping[str, Sum]) -> None:
        self.pairs = 0
        self._rails = {name: rail for name, rail in guardrails.items() if name in before}
        self._before = {name: before[name] for name in self._rails}
        self._after = {name: Sum(0, 0.0) for name in self._rails}
        self._worst = dict(self._after)
        self._proved: dict[str, Verdict] = {}
        self._lost = 0

    @property
    def width(self) -> int:
        """Series that a draw adds to."""
        return len(self._rails) or 1

    def add(
        self,
        scores: Mapping[str, tuple[float | None, float | None]],
        *,
        lost: bool = False,
        floors: Mapping[str, Mapping[str, float]] | None = None,
    ) -> None:
        """Take in one draw; None is a reply without a readable score and counts as the worst.

        A ``lost`` reply counts as the worst where harmlessness is to be proved, and not where harm is. Validity floors
        were proved when the release was judged, and are not asked for again.
        """
        del floors
        self.pairs += not lost
        self._lost += lost
        for name, (_, score) in [item for item in scores.items() if item[0] in self._rails]:
            worst = 1.0 if self._rails[name].direction == "lower" else 0.0
            for sums in (self._worst,) if lost else (self._worst, self._after):
                n, total = sums[name]
                sums[name] = Sum(n + 1, total + (worst if score is None else score))
            if name not in self._proved and (proved := self._decide(name)):
                self._proved[name] = proved

    def add_failure(self, *, both: bool) -> None:
        """Count a draw without a reply of then, or of then and now."""
        del both
        self._lost += 1

    def _decide(self, name: str) -> Verdict | None:
        margin = self._rails[name].margin
        if self._harm(name, self._worst, ALPHA)[1] <= margin:
            return "pass"
        return "fail" if self._harm(name, self._after, ALPHA / len(self._rails))[0] > margin else None

    def _harm(self, name: str, after: Mapping[str, Sum], alpha: float) -> tuple[float, float]:
        low, high = difference_interval(self._before[name], after[name], alpha)
        return (low, high) if self._rails[name].direction == "lower" else (-high, -low)

    @property
    def _valid(self) -> bool:
        return self.pairs >= FLOOR * (self.pairs + self._lost)

    @property
    def undecided(self) -> frozenset[str]:
        """Names of guardrails that neither passed nor failed yet."""
        return frozenset(self._rails.keys() - self._proved.keys())

    @property
    def decision(self) -> Verdict:
        """The overall verdict."""
        if not self._valid:
            return "inconclusive"
        if "fail" in self._proved.values():
            return "fail"
        return "inconclusive" if self.undecided or not self._rails else "pass"

    @property
    def open(self) -> bool:
        """Whether further draws may change the verdict."""
        return self.decision == "inconclusive"

    def verdict(self) -> GateResult:
        """The verdict with a row per guardrail."""
        rows = tuple(self._row(name) for name in self._rails)
        wanted = {"fail": "fail", "inconclusive": "inconclusive"}.get(self.decision)
        reasons = [f"{row.name}: {row.reason}" for row in rows if row.verdict == wanted]
        if not self._valid:
            reasons.append(f"{self._lost} of {self.pairs + self._lost} calls got no reply")
        return GateResult(self.decision, tuple(reasons), (), self.pairs, 1.0, rows)

    def _row(self, name: str) -> Row:
        rail, before, after = self._rails[name], self._before[name], self._after[name]
        low, high = difference_interval(before, after, ALPHA)
        verdict: Verdict = self._proved.get(name, "inconclusive") if self._valid else "inconclusive"
        told = {
            "pass": f"proved not worse than at the release by more than {rail.margin:g}",
            "fail": f"proved worse than at the release by more than {rail.margin:g}",
            "inconclusive": f"{before.n} replies then and {after.n} now prove neither",
        }
        means = (before.mean, after.mean)
        return Row(
            name=name,
            metric=rail.metric,
            direction=rail.direction,
            margin=rail.margin,
            limit=rail.limit,
            n=after.n,
            baseline=means[0],
            candidate=means[1],
            difference=None if means[0] is None or means[1] is None else means[1] - means[0],
            low=low,
            high=high,
            e_value=1.0,
            verdict=verdict,
            reason=told[verdict],
        )

    def evidence(self) -> dict[str, Any]:
        """Return counts and sums, then and now, by guardrail."""
        return {
            "v": 1,
            "kind": "means",
            "alpha": ALPHA,
            "guardrails": [
                {"name": name, "before": list(self._before[name]), "after": list(self._after[name])}
                for name in self._rails
            ],
        }
