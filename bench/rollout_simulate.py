"""What a published rollout plan decides, in simulated runs, beside the published shares.

    python bench/rollout_simulate.py [--runs 600]

The plan: three guardrails at 10, 5 and 40 % with margins of 2, 1.5 and 3 points, 1,000 (then 200) new users a day in
each arm, 28 days. Published are the shares of 600 runs that were promoted, rolled back and held, when nothing changed
and when the first guardrail was worse by 0.3, 2 and 4 points. Then the plan that `promptops new rollout` writes, at
20,000 users a day, with the CPU time of its table. Exit code 1 when a share is further away than chance and a clock in
whole days explain.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from string import Template
from typing import NamedTuple

from promptops.rollout import simulate
from promptops.rollout.plan import Plan

TEMPLATE = Path(__file__).parent.parent / "templates" / "rollouts" / "new.yaml"
RATES = (("ten", 0.10, 0.02), ("five", 0.05, 0.015), ("forty", 0.40, 0.03))
PLAN = """\
version: 1
stages: [{share: "50%"}, {share: "100%"}]
expires: 28d
on_expiry: hold
metrics:
""" + "".join(
    f"  - {{name: {name}, role: guardrail, direction: lower, aggregate: any, missing: zero, window: 1d,"
    f" margin: {margin}, baseline: {rate}}}\n"
    for name, rate, margin in RATES
)


class Known(NamedTuple):
    """A row of the published table: users a day, worsening of the first guardrail, shares, and the tolerance."""

    units: int
    worse: float
    promote: float
    rollback: float
    hold: float
    within: float


PUBLISHED = (
    Known(2000, 0.0, 0.997, 0.003, 0.0, 0.02),
    Known(2000, 0.003, 0.995, 0.005, 0.0, 0.02),
    Known(2000, 0.02, 0.010, 0.990, 0.0, 0.02),
    Known(2000, 0.04, 0.0, 1.0, 0.0, 0.005),
    Known(400, 0.0, 0.503, 0.003, 0.493, 0.08),
)
# A person waits for the table of the default number of runs.
MOST_SECONDS = 60.0


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=600)
    runs = parser.parse_args().runs
    plan = Plan.parse("rollouts/published.yaml", PLAN.encode())
    good = True
    print(f"{'users a day':>11}  {'worse by':>8}  {'promote':>16}  {'rollback':>16}  {'hold':>16}  {'day':>4}  bar")
    for row in PUBLISHED:
        truth = simulate.Truth("", {"ten": row.worse} if row.worse else {})
        (found,) = simulate.simulate(plan, [truth], units_per_day=row.units, days=28, runs=runs, seed=1)
        pairs = [(found.promote, row.promote), (found.rollback, row.rollback), (found.hold, row.hold)]
        holds = all(abs(ours - theirs) <= row.within for ours, theirs in pairs)
        good &= holds
        cells = "  ".join(f"{ours:6.1%} ({theirs:6.1%})" for ours, theirs in pairs)
        bar = f"within {row.within:.1%}: {'holds' if holds else 'MISSED'}"
        print(f"{row.units:>11,}  {row.worse:>8.1%}  {cells}  {found.day:>4g}  {bar}")
    return 0 if timed(runs) and good else 1


def timed(runs: int) -> bool:
    text = Template(TEMPLATE.read_text()).substitute(prompt="support/reply", environment="prod")
    plan = Plan.parse("rollouts/support/reply.yaml", text.encode())
    start = time.process_time()
    rows = simulate.simulate(
        plan, simulate.truths(plan), units_per_day=plan.units_per_day or 0.0, days=42, runs=runs, seed=1
    )
    seconds = time.process_time() - start
    for row in rows:
        shares = f"{row.promote:6.1%} {row.rollback:6.1%} {row.hold:6.1%}"
        print(f"{row.truth:<30} {shares}  day {row.day:g}  {row.exposed:,.0f} users")
    print(f"{runs * len(rows):,} runs in {seconds:.1f} CPU s; bar {MOST_SECONDS:g} CPU s: {seconds <= MOST_SECONDS}")
    return seconds <= MOST_SECONDS


if __name__ == "__main__":
    sys.exit(main())
