"""Plans and evidence for tests: written as users and the engine would."""

from __future__ import annotations

import json

from promptops.rollout.plan import DAY, Plan
from promptops.rollout.state import State
from promptops.telemetry.evidence import Day, Evidence, Exposed, Quality, Series

START = 20_000 * DAY
GUARDRAIL = {
    "name": "abuse", "role": "guardrail", "direction": "lower", "aggregate": "any", "missing": "zero",
    "window": "1d", "margin": 0.02, "baseline": 0.1,
}  # fmt: skip
STAGES = [{"share": "5%", "dwell": "1d"}, {"share": "50%", "dwell": "7d"}, {"share": "100%", "dwell": "14d"}]


def plan_text(**members) -> bytes:
    value = {"version": 1, "stages": STAGES, "metrics": [GUARDRAIL], "holdback": "5%", **members}
    return json.dumps(value).encode()


def make_plan(**members) -> Plan:
    return Plan.parse("rollouts/reply.yaml", plan_text(**members))


def guardrail(name="abuse", **members) -> dict:
    return {**GUARDRAIL, "name": name, **members}


def state(stage=0, days=5, **members) -> State:
    """Where a rollout stands that entered its stage ``days`` ago, seen at `now`."""
    return State(stage, START, START, **members)._replace(since=now() - days * DAY)


def now(day: int = 10) -> int:
    return START + day * DAY


def rows(canary, baseline, *, stage=0, day=20_008) -> list[Day]:
    """A day of 0/1 outcomes: ``(events, units)`` of each arm."""
    return [
        Day(day, stage, arm, units, events, events)
        for arm, (events, units) in (("canary", canary), ("baseline", baseline))
    ]


def evidence(metrics, *, exposed=None, day=10, quality=None, kind="mean", latest=None) -> Evidence:
    """What an engine says at the end of ``day`` of `rows` by metric; exposures are those of the first metric."""
    watermark = now(day) * 1000
    if exposed is None:
        first = next(iter(metrics.values()))
        exposed = [
            Exposed(each.day - 2, each.stage, *((each.n, 0) if each.arm == "canary" else (0, each.n))) for each in first
        ]
    series = {
        name: Series(kind, watermark if latest is None else latest, tuple(days)) for name, days in metrics.items()
    }
    return Evidence(
        "a1", "sha256:0", watermark, "test", quality or Quality(1, latest=watermark), tuple(exposed), series
    )
