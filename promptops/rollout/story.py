"""What happened in a rollout: its decisions with their evidence, and what each metric said day by day."""

from __future__ import annotations

from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple

from promptops.errors import PromptopsError
from promptops.release import live
from promptops.repo import refs
from promptops.rollout import effects
from promptops.rollout.plan import Plan
from promptops.telemetry.evidence import Evidence

if TYPE_CHECKING:
    from promptops.release.live import Decision
    from promptops.release.ramp import Rollout
    from promptops.repo.git import Git
    from promptops.rollout.plan import Measure


class Step(NamedTuple):
    """One decision of the rollout, and where the rollout stood after it."""

    decision: Decision
    rollout: Rollout


class Point(NamedTuple):
    """What a metric said at the end of a day (since 1970): units in the smaller arm, estimate and bounds."""

    day: int
    units: int
    estimate: float
    low: float | None
    high: float | None


class Story(NamedTuple):
    """A rollout.

    Attributes:
        steps: its decisions, oldest first.
        plan: that it follows.
        evidence: the newest beside its decisions, or None.
    """

    steps: list[Step]
    plan: Plan
    evidence: Evidence | None

    @property
    def first(self) -> Decision:
        """The decision that began it."""
        return self.steps[0].decision

    def points(self, measure: Measure) -> list[Point]:
        """Return what a metric said after each day of the newest evidence, by the statistics of the rules."""
        series = self.evidence.metrics.get(measure.name) if self.evidence else None
        if series is None:
            return []
        found = []
        for day in sorted({row.day for row in series.days}):
            so_far = series._replace(days=tuple(row for row in series.days if row.day <= day))
            said = effects.measure_one(self.plan, measure, so_far)
            if said.effect is not None:
                found.append(Point(day, said.units, said.effect.estimate, said.low, said.high))
        return found

    def exposed(self) -> list[tuple[int, int]]:
        """Return, by day, how many units had seen the new release by its end."""
        days: dict[int, int] = {}
        for row in self.evidence.exposed if self.evidence else ():
            days[row.day] = days.get(row.day, 0) + row.canary
        return list(zip(sorted(days), accumulate(days[day] for day in sorted(days)), strict=True))


def read(git: Git, prompt: str, environment: str, rollout: str | None = None) -> Story:
    """Read a rollout from its decisions; nothing is verified.

    Args:
        git: the repository.
        prompt: its name.
        environment: where it runs or ran.
        rollout: its id; None for the newest.

    Raises:
        PromptopsError: there is none.
        RefusedError: a file beside a decision is not the one that it names.
    """
    head = refs.read(git, live.ref_of(environment, prompt))
    if head is None:
        raise PromptopsError(f"nothing was decided about {prompt} in {environment} in this clone", hint=live.FETCH)
    chain = live.chain(git, head, environment=environment, prompt=prompt)
    steps = [Step(decision, decision.rollout) for decision in reversed(chain) if decision.rollout is not None]
    wanted = rollout or (steps[-1].rollout.id if steps else "")
    steps = [step for step in steps if step.rollout.id == wanted]
    if not steps:
        raise PromptopsError(
            f"there is no rollout {wanted} of {prompt} in {environment}".replace("  ", " "),
            hint=f"promptops rollout history {prompt} --env {environment}",
        )
    held = next((step.decision for step in reversed(steps) if step.rollout.evidence), None)
    evidence = None if held is None else Evidence.parse(live.evidence_of(git, held))
    return Story(steps, Plan.load(live.plan_of(git, steps[-1].decision)), evidence)
