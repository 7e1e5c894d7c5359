"""How often canaries end in pass, fail or inconclusive, and after how many pairs.

    python bench/operating_characteristics.py [--data FILE --suites DIR] [--canaries 1000] [--minimum 150] ...

Replays canaries on recorded replies: cases in random order, baseline and candidate replies from disjoint replicates,
the gate asked after every pair, as the canary does. Without recorded replies, or with ``--synthetic``, the replies are
drawn from a model of them. Exit code 1 when the bars are missed: >= 95 % of A/A canaries pass, <= 1 % of flattering
ones do.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles
from typing import TYPE_CHECKING

from promptops.evaluation.evaluators import score
from promptops.evaluation.gate import Gate, Rules
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.suite import Suite, parse
from promptops.inference.reply import Reply
from promptops.registry import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDED = Path(__file__).parent.parent / "tests" / "data" / "recorded" / "smollm2.jsonl.gz"
SUITES = Path(__file__).parent.parent / "templates" / "evals"
HONEST, EDIT, FLATTERING = "honest", "honest-edit", "flattering"
Scores = dict[str, float]
Pool = dict[str, dict[str, dict[str, list[Scores]]]]  # suite -> case -> arm -> scores by replicate
Rails = dict[str, Guardrail]  # by "suite/metric"


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
        f"{suite}/{metric}": Guardrail(metric, "higher" if suite == "regression" else "lower", margin, None)
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
            scores = score(suites[name], case, Reply(key="", text=row["text"], model=""))
            pool.setdefault(name, {}).setdefault(case.id, {}).setdefault(row["arm"], []).append(scores)
    rails = {f"{name}/{rail.metric}": rail for name, suite in sorted(suites.items()) for rail in suite.guardrails}
    return pool, rails


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


def shuffled(cases: list[str], rng: random.Random) -> Iterator[str]:
    """Yield cases in random order, over and over in a new one."""
    while True:
        yield from rng.sample(cases, len(cases))


def canary(design: Design, other: str, share: float, rng: random.Random) -> tuple[str, int]:
    """Run one canary whose candidate answers as arm ``other`` with probability ``share``; return verdict and pairs."""
    gate = Gate(design.rails, design.rules)
    guarded = {name.rsplit("/", 1)[0] for name in design.rails}
    orders = {suite: shuffled(sorted(design.pool[suite]), rng) for suite in sorted(guarded)}
    suites = list(orders)
    while gate.pairs < design.budget and gate.decision == "inconclusive":
        wanted = {name.rsplit("/", 1)[0] for name in gate.undecided}
        suite = rng.choice(suites if design.everywhere or not wanted else sorted(wanted))
        replies = design.pool[suite][next(orders[suite])]
        old, new = rng.sample(range(len(replies[HONEST])), 2)
        arm = other if other in replies and rng.random() < share else HONEST
        baseline, candidate = replies[HONEST][old], replies[arm][new % len(replies[arm])]
        pairs = {f"{suite}/{metric}": (value, candidate.get(metric)) for metric, value in baseline.items()}
        gate.add({name: pair for name, pair in pairs.items() if name in design.rails})
    return gate.decision, gate.pairs


def report(title: str, design: Design, other: str, share: float, options: argparse.Namespace) -> Counter[str]:
    """Run canaries, print their row and return the verdicts."""
    began = time.process_time()
    seeds = (f"{options.seed}/{title}/{i}" for i in range(options.canaries))
    outcomes = [canary(design, other, share, random.Random(seed)) for seed in seeds]
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
    parser.add_argument(
        "--higher", action="append", default=["correct", "format"], help="metric where higher is better"
    )
    parser.add_argument("--everywhere", action="store_true", help="draw from decided suites too")
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


def main() -> int:
    options = arguments()
    real = options.data.exists() and not options.synthetic
    pool, rails = (
        recorded(options.data, options.suites) if real else synthetic(random.Random(options.seed), options.margin)
    )
    rules = Rules(alpha=options.alpha, minimum=options.minimum)
    design = Design(pool, rails, rules, options.budget, options.everywhere)
    source = options.data.name if real else "synthetic"
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
