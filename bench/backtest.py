"""The gate on recorded replies of real models, beside a paired bootstrap of the same scores.

    python bench/backtest.py [--data DIR] [--margin 0.15 --margin 0.05] [--seed 1]

syco-bench: replies of seven models to 140 items, six of them with and without their product's system prompt, each
scored by three judges. A pair is an item, a score the median of the judges scaled to [0, 1], lower is better; the gate
is asked item by item in a seeded order. The bootstrap resamples items and looks once: one-sided bounds at the gate's
alpha against the same margin. humanebench: counts and mean scores of fifteen models with and without a good and a bad
persona, of which no pairs are left, so that the gate of drifted means judges them; the bootstrap resamples the eight
principles.

Where the data is: --data, the variable PROMPTOPS_BENCH_DATA, or ``shared/data`` beside this repository. Exit code 3
when it is not there, 1 when a bar is missed: published figures are found again, at most 5 % of A/A comparisons fail.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import TYPE_CHECKING

import numpy as np

from promptops.evaluation.gate import ALPHA, Gate, Rules
from promptops.evaluation.harm import Guardrail
from promptops.evaluation.means import MeansGate
from promptops.evaluation.summary_bounds import Sum
from promptops.statistics.proportion import wilson

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BESIDE = Path(__file__).resolve().parents[2] / "shared" / "data"
VARIABLE = "PROMPTOPS_BENCH_DATA"
SYCO, HUMANE = "syco-bench/responses_and_judge_scores.jsonl.gz", "humanebench/{}_scores.csv"
RESAMPLES, AGAIN, FLIPS, FARTHEST = 10_000, 15, 50, 5000
# metric: the score of an item from its judged replies, and the ends of its scale.
METRICS: dict[str, tuple[Callable[[dict[str, str]], float], float, float]] = {
    "pickside": (lambda row: float(row["score1"]) + float(row["score2"]), -10.0, 10.0),
    "mirror": (lambda row: abs(float(row["score1"]) - float(row["score2"])), 0.0, 10.0),
    "whosaid": (lambda row: float(row["score_self"]) - float(row["score_friend"]), -10.0, 10.0),
    "delusion": (lambda row: float(row["median_score"]), 0.0, 5.0),
}
# Published means without / with the product's prompt, in the order of METRICS.
PUBLISHED = {
    "openai/gpt-4o-mini": ((1.55, 1.63), (2.33, 2.83), (1.05, 1.20), (3.10, 3.50)),
    "openai/o4-mini": ((1.58, 2.40), (2.08, 2.00), (0.80, 1.40), (2.85, 2.70)),
    "anthropic/claude-3.7-sonnet": ((1.28, 1.85), (1.63, 1.48), (0.70, 0.85), (1.55, 1.50)),
    "x-ai/grok-3-beta": ((1.75, 1.33), (1.80, 2.53), (-0.05, 0.28), (2.40, 2.30)),
}
ROUNDED = 0.0051
NEGATIVE = (10, 15)
Scores = dict[str, dict[str, str]]
Runs = dict[tuple[str, bool], dict[str, list[float]]]  # (model, with its prompt) -> metric -> raw score by item


@dataclass(frozen=True, slots=True)
class Cell:
    """One comparison: harm by item in [-1, 1], positive is worse."""

    metric: str
    harms: tuple[float, ...]


def read(path: Path) -> Runs:
    """Return the scores of every run by item."""
    found: Runs = defaultdict(lambda: defaultdict(list))
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = sorted((json.loads(line) for line in lines), key=lambda row: (row["run"], row["test"], row["i"]))
    for row in rows:
        found[row["model"], bool(row["system_prompt"])][row["test"]].append(METRICS[row["test"]][0](row))
    return found


def cell(metric: str, before: Sequence[float], after: Sequence[float]) -> Cell:
    _, low, high = METRICS[metric]
    return Cell(metric, tuple((new - old) / (high - low) for old, new in zip(before, after, strict=True)))


def gate(harms: Sequence[float], margin: float) -> tuple[str, int]:
    """Ask the gate after every pair; return its verdict and the pairs it took."""
    judge = Gate({"m": Guardrail("m", "lower", margin, None)}, Rules(minimum=1))
    for harm in harms:
        judge.add({"m": (max(-harm, 0.0), max(harm, 0.0))})
        if judge.decision != "inconclusive":
            break
    return judge.decision, judge.pairs


def bootstrap(harms: Sequence[float], rng: np.random.Generator) -> np.ndarray:
    """Return the means of resampled items."""
    sample = np.asarray(harms)
    return sample[rng.integers(0, sample.size, (RESAMPLES, sample.size))].mean(axis=1)


def beside(means: np.ndarray, margin: float) -> str:
    """Return what one-sided bootstrap bounds at the gate's alpha say about the margin."""
    low, high = np.quantile(means, [ALPHA, 1.0 - ALPHA])
    return "pass" if high < margin else "fail" if low > margin else "inconclusive"


def significant(means: np.ndarray) -> bool:
    low, high = np.quantile(means, [0.025, 0.975])
    return bool(low > 0.0 or high < 0.0)


def needed(harms: Sequence[float], margin: float, rng: random.Random) -> int | None:
    """Return the median number of items like these that decides; None beyond 5,000."""
    lengths = [gate(rng.choices(harms, k=FARTHEST), margin) for _ in range(AGAIN)]
    found = sorted(FARTHEST + 1 if verdict == "inconclusive" else pairs for verdict, pairs in lengths)
    return None if median(found) > FARTHEST else round(median(found))


def table(title: str, cells: Sequence[Cell], margin: float, seed: int) -> None:
    """Print a row per metric, and one over all: how the gate's verdicts and the bootstrap's go together."""
    print(f"\n{title}, margin {margin:g}")
    columns = ("agree", "false alarm", "miss", "gate open", "gate alone", "pass", "fail", "open")
    print(f"  {'metric':10} {'cells':>5} {'n':>4}  " + "  ".join(columns) + "  n that would decide the open ones")
    told: dict[str, list[tuple[str, str, Cell]]] = defaultdict(list)
    for index, each in enumerate(cells):
        order = list(each.harms)
        random.Random(f"{seed}/{title}/{index}").shuffle(order)
        mine = gate(order, margin)[0]
        theirs = beside(bootstrap(each.harms, np.random.default_rng([seed, index])), margin)
        told[each.metric].append((mine, theirs, each))
    rng = random.Random(f"{seed}/{title}/again")
    everything = [row for found in told.values() for row in found]
    for metric, rows in [*told.items(), ("all", everything)]:
        more = lacking(rows, margin, rng) if metric != "all" else ""
        print(f"  {metric:10} {len(rows):5} {sizes(rows):>4}  {counts(rows, columns)}  {more}".rstrip())
    left = sum(mine == "inconclusive" for found in told.values() for mine, _, _ in found)
    if 2 * left > len(cells):
        print(f"  mostly inconclusive: {left} of {len(cells)} comparisons are too small for the gate at this margin")


def sizes(rows: Sequence[tuple[str, str, Cell]]) -> str:
    low, high = min(len(row[2].harms) for row in rows), max(len(row[2].harms) for row in rows)
    return str(low) if low == high else f"{low}+"


def counts(rows: Sequence[tuple[str, str, Cell]], columns: Sequence[str]) -> str:
    pairs = Counter((mine, theirs) for mine, theirs, _ in rows)
    mine = Counter(verdict for verdict, _, _ in rows)
    figures = (
        sum(count for (one, other), count in pairs.items() if one == other),
        pairs["fail", "pass"],
        pairs["pass", "fail"],
        pairs["inconclusive", "pass"] + pairs["inconclusive", "fail"],
        pairs["pass", "inconclusive"] + pairs["fail", "inconclusive"],
        mine["pass"],
        mine["fail"],
        mine["inconclusive"],
    )
    return "  ".join(f"{figure:{len(column)}}" for figure, column in zip(figures, columns, strict=True))


def lacking(rows: Sequence[tuple[str, str, Cell]], margin: float, rng: random.Random) -> str:
    """Say how many items like these decide the comparisons that stayed open."""
    found = [needed(each.harms, margin, rng) for mine, _, each in rows if mine == "inconclusive"]
    if not found:
        return "-"
    decided = sorted(n for n in found if n is not None)
    beyond = len(found) - len(decided)
    text = f"median {median(decided):.0f}, up to {decided[-1]}" if decided else "-"
    return f"{text}; {beyond} beyond {FARTHEST:,}" if beyond else text


def unchanged(cells: Sequence[Cell], margin: float, seed: int) -> bool:
    """Print how often comparisons fail whose arms a coin swapped item by item; say whether that keeps to alpha."""
    rng = random.Random(f"{seed}/A/A")
    verdicts = Counter(
        gate([harm if rng.random() < 0.5 else -harm for harm in rng.sample(each.harms, len(each.harms))], margin)[0]
        for each in cells
        for _ in range(FLIPS)
    )
    total = sum(verdicts.values())
    low, high = wilson(verdicts["fail"], total)
    print(
        f"  A/A, margin {margin:g}: {verdicts['fail'] / total:.2%} of {total} fail [{low:.2%}, {high:.2%}],"
        f" {verdicts['pass'] / total:.1%} pass, {verdicts['inconclusive'] / total:.1%} stay open"
    )
    return verdicts["fail"] <= ALPHA * total


def swaps(runs: Runs, models: Sequence[str]) -> list[Cell]:
    """Return every model against every other, both without a product's prompt."""
    return [
        cell(metric, runs[old, False][metric], runs[new, False][metric])
        for metric in METRICS
        for old in models
        for new in models
        if old != new
    ]


def differing(title: str, cells: Sequence[Cell], seed: int) -> None:
    """Print in how many comparisons a two-sided bootstrap sees any difference at all."""
    flags: dict[str, list[bool]] = defaultdict(list)
    for index, each in enumerate(cells):
        flags[each.metric].append(significant(bootstrap(each.harms, np.random.default_rng([seed, index]))))
    parts = ", ".join(f"{metric} {sum(found)}" for metric, found in flags.items())
    total = sum(map(sum, flags.values()))
    print(
        f"  {title}: {total} of {len(cells)} cells differ at 95 % ({parts}); {0.05 * len(cells):.1f} expected by chance"
    )


def syco(runs: Runs, margins: Sequence[float], seed: int) -> bool:
    """Print the comparisons of syco-bench and say whether the bars hold."""
    models = sorted({model for model, _ in runs})
    both = [model for model in models if (model, True) in runs]
    prompted = [cell(m, runs[model, False][m], runs[model, True][m]) for m in METRICS for model in both]
    swapped = swaps(runs, models)
    print(f"syco-bench: {len(models)} models, {len(both)} of them with and without their product's prompt")
    differing("with against without the prompt", prompted, seed)
    print("    (8 of 48 where 12 models are; the six here are half of these)")
    differing("model against model, either way", swapped, seed)
    off = [
        abs(fmean(runs[model, with_prompt][metric]) - figure)
        for model, published in PUBLISHED.items()
        for metric, figures in zip(METRICS, published, strict=True)
        for with_prompt, figure in zip((False, True), figures, strict=True)
        if (model, with_prompt) in runs
    ]
    found = f"{len(off)} within {max(off):.3f} points" if off else "none"
    print(f"  published means that are found again: {found}")
    quiet = []
    for margin in margins:
        table("product prompt against none", prompted, margin, seed)
        table("model against model", swapped, margin, seed)
        quiet.append(unchanged(prompted, margin, seed))
    return max(off, default=1.0) <= ROUNDED and all(quiet)


def humane(folder: Path, margins: Sequence[float], seed: int) -> bool:
    """Print the comparisons of humanebench and say whether the published count is found again."""
    scores = {name: rows(folder / HUMANE.format(name)) for name in ("baseline", "good_persona", "bad_persona")}
    negative = [model for model, row in scores["bad_persona"].items() if float(row["overall"]) < 0.0]
    print(f"\nhumanebench: {len(negative)} of {len(scores['bad_persona'])} models turn negative under the bad persona")
    for margin in margins:
        for persona in ("good_persona", "bad_persona"):
            print(f"  {persona:12} margin {margin:g}: {personas(scores['baseline'], scores[persona], margin, seed)}")
    return (len(negative), len(scores["bad_persona"])) == NEGATIVE


def personas(baseline: Scores, persona: Scores, margin: float, seed: int) -> str:
    """Return how the gate's verdicts on a persona and the bootstrap's over principles go together."""
    pairs: Counter[tuple[str, str]] = Counter()
    for index, (model, row) in enumerate(sorted(persona.items())):
        before = baseline[model]
        harms = [(float(before[name]) - float(row[name])) / 2.0 for name in principles(row)]
        theirs = beside(bootstrap(harms, np.random.default_rng([seed, index])), margin)
        pairs[means(before, row, margin), theirs] += 1
    mine = Counter(verdict for verdict, _ in pairs.elements())
    agree = sum(count for (one, other), count in pairs.items() if one == other)
    return (
        f"gate pass {mine['pass']}, fail {mine['fail']}, open {mine['inconclusive']}; agrees in {agree} of"
        f" {sum(pairs.values())}, false alarms {pairs['fail', 'pass']}, misses {pairs['pass', 'fail']}"
    )


def means(before: dict[str, str], after: dict[str, str], margin: float) -> str:
    """Return the verdict of the gate of unpaired means on the score over all prompts, scaled to [0, 1]."""
    old, new = (
        Sum(count, count * (float(row["overall"]) + 1.0) / 2.0)
        for row in (before, after)
        for count in [int(row["scored_samples"])]
    )
    judge = MeansGate({"m": Guardrail("m", "higher", margin, None)}, {"m": old})
    # Of equal scores only count and sum matter, and these are what was published.
    for _ in range(new.n):
        judge.add({"m": (None, new.total / new.n)})
    return judge.decision


def rows(path: Path) -> Scores:
    """Return a table's rows by model."""
    with path.open(newline="", encoding="utf-8") as file:
        return {row["model"]: row for row in csv.DictReader(file)}


def principles(row: dict[str, str]) -> list[str]:
    named = {"model", "total_samples", "scored_samples", "overall", "negative_rate"}
    return [name for name in row if name not in named]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get(VARIABLE) or BESIDE))
    parser.add_argument("--margin", type=float, action="append", help="default: 0.15 and 0.05")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    lacks = [name for name in (SYCO, HUMANE.format("bad_persona")) if not (options.data / name).is_file()]
    if lacks:
        print(f"there is no {lacks[0]} in {options.data}; say where with --data DIR or {VARIABLE}", file=sys.stderr)
        return 3
    margins = options.margin or [0.15, 0.05]
    held = [syco(read(options.data / SYCO), margins, options.seed), humane(options.data, margins, options.seed)]
    missed = "bars missed: published figures are found again, at most 5 % of A/A comparisons fail"
    print(f"\n{'bars hold' if all(held) else missed}")
    return 0 if all(held) else 1


if __name__ == "__main__":
    sys.exit(main())
