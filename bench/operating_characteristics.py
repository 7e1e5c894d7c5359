"""How often canaries end in pass, fail or inconclusive, and after how many pairs.

    python bench/operating_characteristics.py [--data FILE --suites DIR] [--canaries 1000] [--minimum 150] ...

Replays canaries on recorded replies with the canary's own order, windows, tally and gate. What differs: a pair's
replies are drawn from the recorded ones of its case, baseline and candidate from different replicates, instead of
sampled anew; scores are looked up instead of computed each time; and no call is lost. With ``--synthetic`` the replies
are drawn from a model of them. Exit code 1 when the bars are missed (>= 95 % of A/A canaries pass, <= 1 % of flattering
ones do), 2 when there are no recorded replies.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import hashlib
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from promptops.evaluation.exam import Exam, Marks, Rail
from promptops.evaluation.gate import Gate, Rules
from promptops.evaluation.runner import in_order
from promptops.evaluation.sampling import Order
from promptops.evaluation.scoring import Scorer
from promptops.evaluation.suite import Suite, parse
from promptops.evaluation.tally import BASELINE, CANDIDATE, Answered, Tally
from promptops.evaluation.transcript import Transcript, single
from promptops.inference.reply import Failure, Reply
from promptops.registry import yaml

if TYPE_CHECKING:
    from collections.abc import Collection

    from promptops.evaluation.judging.judge import Judge
    from promptops.evaluation.sampling import Draw

RECORDED = Path(__file__).parent.parent / "tests" / "data" / "recorded" / "smollm2.jsonl.gz"
SUITES = Path(__file__).parent.parent / "templates" / "evals"
HONEST, EDIT, FLATTERING = "honest", "honest-edit", "flattering"
Scores = Mapping[str, float | None]
Pool = dict[str, dict[str, dict[str, list[Scores]]]]  # suite -> case -> arm -> scores by replicate
Rails = dict[str, Rail]  # by "suite/metric"
MODEL = SimpleNamespace(model=SimpleNamespace(id="recorded", reported_ids=("recorded",)))
CONFIGURATIONS: dict[str, Any] = {BASELINE: MODEL, CANDIDATE: MODEL}


class Known(Exam):
    """An exam whose replies were scored before; a reply's key is ``ARM REPLICATE``."""

    def __init__(self, pool: Pool, rails: Rails) -> None:
        self.rails = rails
        self._pool = pool
        guarded = {rail.pool for rail in rails.values()}
        self._asked = {suite: list(cases) for suite, cases in pool.items() if suite in guarded}

    def pools(self) -> dict[str, list[str]]:
        """Return the recorded cases that some guardrail looks at."""
        return self._asked

    def judges(self, pool: str) -> dict[str, Judge]:
        """Return none: replies were scored before."""
        del pool
        return {}

    def score(self, draw: Draw, transcript: Transcript) -> Marks:
        """Return the scores of a recorded reply by guardrail name."""
        arm, _, replicate = transcript.replies[0].key.rpartition(" ")
        scores = self._pool[draw.suite][draw.case][arm][int(replicate)]
        named = {f"{draw.suite}/{metric}": value for metric, value in scores.items()}
        return Marks({name: value for name, value in named.items() if name in self.rails}, {}, {})

    def unread(self, draw: Draw) -> dict[str, None]:
        """Return None for every guardrail of the draw's suite."""
        return dict.fromkeys(name for name, rail in self.rails.items() if rail.pool == draw.suite)


@dataclass(frozen=True, slots=True)
class Design:
    """What stays the same over all canaries of a run."""

    pool: Pool
    rails: Rails
    rules: Rules
    budget: int
    everywhere: bool


def synthetic(rng: random.Random, margin: float) -> tuple[Pool, Rails]:
    """Return replies as a small model gives them: honest praise 3 %, flattering 45 %, discordance 8 % and 5 %."""
    rates = {
        "sycophancy": {"praise": (0.03, 0.45), "praise_opener": (0.02, 0.3)},
        "regression": {"correct": (0.958, 0.958), "format": (0.98, 0.98)},
        "safety": {"unsafe": (0.026, 0.026), "refused": (0.026, 0.026)},
    }
    pool = {
        suite: {
            f"{suite}-{i}": {
                arm: [{name: float(rng.random() < pair[which]) for name, pair in metrics.items()} for _ in range(8)]
                for which, arm in enumerate((HONEST, FLATTERING))
            }
            for i in range(60)
        }
        for suite, metrics in rates.items()
    }
    rails = {
        f"{suite}/{metric}": Rail(
            metric, "higher" if suite == "regression" else "lower", margin, None, pool=suite, suite=suite
        )
        for suite, metrics in rates.items()
        for metric in metrics
    }
    return pool, rails


def recorded(data: Path, folder: Path) -> tuple[Pool, Rails]:
    """Return the scores of recorded replies by the suites that they answer, and the suites' guardrails."""
    suites: dict[str, Suite] = {}
    pool: Pool = {}
    with gzip.open(data, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            name = row["suite"]
            if name not in suites:
                path = folder / f"{name}.yaml"
                suites[name] = parse(name, yaml.load(path.read_bytes(), str(path)).value)
            case = next(case for case in suites[name].cases if case.id == row["case"])
            reply = Reply(key="", text=row["text"], model="")
            scores = Scorer(suites[name]).score(case, single(reply)).scores
            pool.setdefault(name, {}).setdefault(case.id, {}).setdefault(row["arm"], []).append(scores)
    return pool, Exam([suite for _, suite in sorted(suites.items())]).rails


def mean(design: Design, name: str, arm: str) -> float | None:
    """Return the mean of a guardrail's metric over all replies of an arm."""
    suite, metric = name.rsplit("/", 1)
    values = [r[metric] for case in design.pool[suite].values() for r in case.get(arm, []) if metric in r]
    return sum(values) / len(values) if values else None


def harm(design: Design, name: str) -> float:
    """Print and return how much worse the flattering arm is on a guardrail."""
    honest, flattering = mean(design, name, HONEST), mean(design, name, FLATTERING)
    if honest is None or flattering is None:
        return 0.0
    worse = flattering - honest if design.rails[name].direction == "lower" else honest - flattering
    margin = design.rails[name].margin
    print(f"  {name:32} margin {margin:.2f}  honest {honest:.3f}  harm when flattering {worse:+.3f}")
    return worse


async def canary(design: Design, exam: Known, other: str, share: float, seed: str) -> tuple[str, int]:
    """Run one canary whose candidate answers as arm ``other`` with probability ``share``; return verdict and pairs."""
    gate = Gate(design.rails, design.rules)
    tally = Tally(exam, gate, CONFIGURATIONS)
    asked = 0

    async def ask(draw: Draw) -> Answered:
        nonlocal asked
        asked += 1
        if asked > design.budget:
            return Answered("", {name: Failure(draw.key, "budget", "used up", 0) for name in (BASELINE, CANDIDATE)})
        rng = random.Random(f"{seed}/{draw.key}")
        replies = design.pool[draw.suite][draw.case]
        old, new = rng.sample(range(len(replies[HONEST])), 2)
        arm = other if other in replies and rng.random() < share else HONEST
        drawn = {BASELINE: (HONEST, old), CANDIDATE: (arm, new % len(replies[arm]))}
        return Answered("", {name: single(Reply(f"{arm} {at}", "", "recorded")) for name, (arm, at) in drawn.items()})

    def live() -> Collection[str]:
        return exam.pools() if design.everywhere else exam.live(gate.undecided)

    order = Order(hashlib.sha256(seed.encode()).hexdigest(), exam.pools())
    async with aclosing(in_order(order, ask, live)) as answers:
        async for draw, answered in answers:
            if not tally.take(draw, answered):
                break
    return gate.decision, gate.pairs


def report(title: str, design: Design, other: str, share: float, options: argparse.Namespace) -> Counter[str]:
    """Run canaries, print their row and return the verdicts."""
    began = time.process_time()
    exam = Known(design.pool, design.rails)

    async def every() -> list[tuple[str, int]]:
        seeds = (f"{options.seed}/{title}/{i}" for i in range(options.canaries))
        return [await canary(design, exam, other, share, seed) for seed in seeds]

    outcomes = asyncio.run(every())
    cpu = (time.process_time() - began) / options.canaries
    verdicts = Counter(verdict for verdict, _ in outcomes)
    pairs = [n for _, n in outcomes]
    row = "  ".join(f"{verdicts[name] / options.canaries:7.1%}" for name in ("pass", "fail", "inconclusive"))
    print(f"{title:24}  {row}  {median(pairs):7.0f}  {quantiles(pairs, n=20)[-1]:7.0f}  {1000 * cpu:7.1f}", flush=True)
    return verdicts


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=RECORDED, help="recorded replies, JSON lines in gzip")
    parser.add_argument("--suites", type=Path, default=SUITES, help="directory of the suites that were answered")
    parser.add_argument("--synthetic", action="store_true", help="draw replies from the model instead")
    parser.add_argument("--canaries", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=2000, help="pairs; two requests each")
    parser.add_argument("--minimum", type=int, default=Rules().minimum)
    parser.add_argument("--alpha", type=float, default=Rules().alpha)
    parser.add_argument("--margin", type=float, default=0.15)
    parser.add_argument("--everywhere", action="store_true", help="draw from decided suites too")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if not options.synthetic and not options.data.is_file():
        parser.error(f"there are no recorded replies in {options.data}; --synthetic draws them from a model instead")
    return options


def main() -> int:
    options = arguments()
    if options.synthetic:
        pool, rails = synthetic(random.Random(options.seed), options.margin)
    else:
        pool, rails = recorded(options.data, options.suites)
    rules = Rules(alpha=options.alpha, minimum=options.minimum)
    design = Design(pool, rails, rules, options.budget, options.everywhere)
    source = "synthetic" if options.synthetic else options.data.name
    print(f"{source}: alpha {rules.alpha:g}, minimum {rules.minimum}, budget {options.budget} pairs")
    excess = {harm(design, name) / rail.margin for name, rail in rails.items()}
    print(f"{'candidate':24}  {'pass':>7}  {'fail':>7}  {'inconcl':>7}  {'median':>7}  {'95 %':>7}  CPU ms")
    same = report("same as baseline (A/A)", design, HONEST, 1.0, options)
    if any(EDIT in replies for cases in pool.values() for replies in cases.values()):
        report("harmless edit", design, EDIT, 1.0, options)
    flattering = report("flattering", design, FLATTERING, 1.0, options)
    report("flattering half the time", design, FLATTERING, 0.5, options)
    if max(excess) > 1.0:
        report("worst harm = margin", design, FLATTERING, 1.0 / max(excess), options)
    held = same["pass"] >= 0.95 * options.canaries and flattering["pass"] <= 0.01 * options.canaries
    print("bars hold" if held else "bars missed: >= 95 % of A/A canaries pass, <= 1 % of flattering ones do")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
