"""How often the sequential procedures err, cover and detect: simulated rollouts, through the functions that decide.

    python bench/error_rates.py [--runs 3000] [--seed 1] [--part NAME]

A row is one procedure under one truth. Rates that promise an error probability must stay below it but for the spread of
the simulation: four standard errors, as there are thirty such rows and some lie at alpha itself. Rates of detection
and the peeked z test, which shows why all of this is needed, must reach their bars. Exit code 1 when a bar is missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from math import sqrt
from typing import TYPE_CHECKING

import numpy as np

from promptops.statistics import asymptotic, divergence, srm, twoproportions
from promptops.statistics.asymptotic import Effect, Joint, Moments
from promptops.statistics.bounded import empirical_bernstein, hedged
from promptops.statistics.permutation import paired
from promptops.statistics.prediction_powered import mean as prediction_powered
from promptops.statistics.proportion import mixture
from promptops.statistics.survival import e_value as safe_log_rank
from promptops.statistics.survival import log_rank, table
from promptops.statistics.twoproportions import Block
from promptops.statistics.twosample import e_value as two_sample

if TYPE_CHECKING:
    from collections.abc import Iterable

ALPHA = 0.05
BURN_IN = 500  # users of each arm before the first look
DAILY = 1000  # new users of each arm
AIM = 20_000


class Report:
    """Prints rows and remembers which bars were missed."""

    def __init__(self) -> None:
        self.missed = 0

    def most(self, title: str, hits: Iterable[bool], level: float = ALPHA) -> None:
        """A promised error probability."""
        found = [bool(hit) for hit in hits]
        slack = 4 * sqrt(level * (1 - level) / len(found))
        rate = sum(found) / len(found)
        self._row(title, f"{rate:7.2%}", f"<= {level:.1%} (+ {slack:.1%})", held=rate <= level + slack)

    def least(self, title: str, hits: Iterable[bool], bar: float) -> None:
        """A rate that must be reached."""
        found = [bool(hit) for hit in hits]
        rate = sum(found) / len(found)
        self._row(title, f"{rate:7.2%}", f">= {bar:.0%}", held=rate >= bar)

    def within(self, title: str, value: float, low: float, high: float) -> None:
        """A number in the range that was seen before."""
        self._row(title, f"{value:7.2f}", f"{low:g} to {high:g}", held=low <= value <= high)

    def _row(self, title: str, value: str, bar: str, *, held: bool) -> None:
        self.missed += not held
        print(f"  {title:68}  {value:>9}  {bar:22}  {'' if held else 'MISSED'}", flush=True)


class Rates:
    """Cumulated yes-or-no values of both arms, shape (runs, looks)."""

    def __init__(self, rng: np.random.Generator, rates: tuple[float, float], each: np.ndarray, runs: int) -> None:
        self.n = np.cumsum(each)
        self.canary, self.baseline = (np.cumsum(rng.binomial(each, rate, (runs, len(each))), axis=1) for rate in rates)

    def effects(self, run: int, *, span: float = 0.0) -> list[Effect]:
        """Return the effect at every look from the burn-in on."""
        found = []
        for n, hits, others in zip(self.n, self.canary[run], self.baseline[run], strict=True):
            if n >= BURN_IN:
                arms = [Moments(int(n), float(k), float(k)) for k in (hits, others)]
                found.append(asymptotic.difference(*arms, span=span))
        return found


def costly(runs: int) -> int:
    return max(100, runs * 2 // 5)


def hourly(days: int) -> np.ndarray:
    return np.diff(np.floor(np.arange(days * 24 + 1) * (DAILY / 24))).astype(int)


def peeking(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Looking again and again, 14 days of 1,000 users an arm, both at 10 % (two-sided)")
    for title, each in (("hour", hourly(14)), ("day", np.full(14, DAILY))):
        arms = Rates(rng, (0.1, 0.1), each, runs)
        found = [arms.effects(run) for run in range(runs)]
        report.least(
            f"z test at every {title}: false alarms",
            (any(abs(e.estimate) > 1.96 * e.error for e in effects) for effects in found),
            0.3 if title == "hour" else 0.15,
        )
        report.most(f"confidence sequence at every {title}: false alarms", (missed(e, 0.0) for e in found))


def missed(effects: list[Effect], truth: float) -> bool:
    bounds = (asymptotic.interval(effect, ALPHA, AIM) for effect in effects)
    return any(not low <= truth <= high for low, high in bounds)


def margins(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Proof of non-inferiority, one look a day for 28 days")
    days = np.full(28, DAILY)
    for base, margin, span in ((0.1, 0.02, 0.0), (0.4, 0.03, 0.0), (0.01, 0.01, 1.0), (0.001, 0.004, 1.0)):
        aim = 6000
        for extra, power in ((margin, False), (0.0, True)):
            arms = Rates(rng, (base + extra, base), days, runs)
            proofs = [
                next(
                    (
                        day
                        for day, effect in enumerate(arms.effects(run, span=span), start=1)
                        if asymptotic.upper(effect, ALPHA, aim) <= margin
                    ),
                    0,
                )
                for run in range(runs)
            ]
            name = f"{base:.1%}, margin {margin:.1%}"
            if power:
                report.least(f"{name}, no harm: proved", map(bool, proofs), 0.95)
            else:
                report.most(f"{name}, harm = margin: falsely proved", map(bool, proofs))


def detection(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Days to detect harm, looks at every hour, median")
    for base, harmed, low, high in (
        (0.1, 0.12, 2.6, 4.0),
        (0.1, 0.11, 9.0, 13.5),
        (0.01, 0.02, 1.6, 2.8),
        (0.3, 0.28, 5.0, 8.0),
    ):
        arms = Rates(rng, (harmed, base), hourly(45), costly(runs))
        first = int(np.argmax(arms.n >= BURN_IN))
        found = []
        for run in range(len(arms.canary)):
            for look, effect in enumerate(arms.effects(run), start=first + 1):
                e = asymptotic.e_value(effect, 0.0, 8000, ALPHA, greater=harmed > base)
                if e >= 1 / ALPHA:
                    found.append(look / 24)
                    break
            else:
                found.append(45.0)
        report.within(f"{base:.0%} -> {harmed:.0%}", float(np.median(found)), low, high)


def adjusted(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Covariates and ratios, no effect, one look a day for 14 days of 300 users an arm")
    errors, cuped, ratios = [], [], []
    for _ in range(runs):
        covariate = rng.normal(5, 2, (2, 14, 300))
        metric = covariate + rng.normal(0, 1, (2, 14, 300))
        sessions = 1 + rng.poisson(3, (2, 14, 300))
        happy = rng.binomial(sessions, rng.beta(3, 2, (2, 14, 300)))
        with_covariate, by_session = joints(metric, covariate), joints(happy, sessions)
        looks = [asymptotic.adjusted_difference(*arms) for arms in zip(*with_covariate, strict=True)][1:]
        cuped.append(missed(looks, 0.0))
        plain = asymptotic.difference(*(Moments(*arm[-1][:3]) for arm in with_covariate))
        errors.append(plain.error / looks[-1].error)
        ratios.append(missed([asymptotic.ratio_difference(*arms) for arms in zip(*by_session, strict=True)][1:], 0.0))
    report.most("CUPED, correlation 0.89: false alarms", cuped)
    report.within("CUPED, correlation 0.89: errors shrink by a factor of", float(np.median(errors)), 2.1, 2.4)
    report.most("satisfied sessions over sessions, users cluster: false alarms", ratios)


def joints(values: np.ndarray, others: np.ndarray) -> list[list[Joint]]:
    """Return cumulated sums by arm and day of arrays of shape (arms, days, users)."""
    columns = [values, values**2, others, others**2, values * others]
    sums = [np.cumsum(column.sum(axis=2), axis=1) for column in columns]
    users = values.shape[2]
    return [
        [Joint(users * (day + 1), *(float(column[arm, day]) for column in sums)) for day in range(values.shape[1])]
        for arm in range(len(values))
    ]


def diverging(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Divergence of a proxy (60 %) from three guardrails (10, 30, 2 %), 80 looks to 20,000 users an arm")
    bases, each = (0.6, 0.1, 0.3, 0.02), np.full(80, 250)
    runs = costly(runs)
    for title, proxy, harm in (
        ("neither", 0, 0),
        ("proxy +3 pp only", 0.03, 0),
        ("guardrail +2 pp only", 0, 0.02),
        ("both", 0.03, 0.02),
    ):
        metrics = [
            Rates(rng, (base + extra, base), each, runs)
            for base, extra in zip(bases, (proxy, harm, 0.0, 0.0), strict=True)
        ]
        found = []
        for run in range(runs):
            paths = [
                [asymptotic.e_value(effect, 0.0, AIM, ALPHA, greater=True) for effect in metric.effects(run)]
                for metric in metrics
            ]
            found.append(any(divergence.e_value(now[0], now[1:]) >= 1 / ALPHA for now in zip(*paths, strict=True)))
        if title == "both":
            report.least(f"{title}: detected", found, 0.95)
        else:
            report.most(f"{title}: false alarms", found)


def ratios(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Sample ratio, looks at every 50 units up to 10,000 (alpha 5 % to make it measurable)")
    for share in (0.5, 0.01):
        canary = np.cumsum(rng.binomial(50, share, (runs, 200)), axis=1)
        n = 50 * np.arange(1, 201)
        report.most(
            f"{share:.0%} as promised: false alarms",
            (
                any(
                    srm.e_value([int(k), int(m - k)], [share, 1 - share]) >= 1 / ALPHA
                    for k, m in zip(row, n, strict=True)
                )
                for row in canary
            ),
        )
    canary = rng.binomial(700, 0.6, runs)
    report.least(
        "60 instead of 50 %: found at alpha 0.1 % in 700 units",
        (srm.e_value([int(k), 700 - int(k)], [1, 1]) >= 1000 for k in canary),
        0.8,
    )


def proportions(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Exact procedures for shares")
    for share in (0.003, 0.3):
        hits = np.cumsum(rng.binomial(20, share, (runs, 50)), axis=1)
        report.most(
            f"beta-binomial mixture, {share:.1%}, 50 looks to 1,000: misses",
            (
                any(
                    not low <= share <= high for low, high in (mixture(int(k), 20 * (i + 1)) for i, k in enumerate(row))
                )
                for row in hits
            ),
        )
    for rates, margin, greater, title in (
        ((0.002, 0.002), 0.0, None, "0.2 % in both: false alarms"),
        ((0.1, 0.1), 0.0, True, "10 % in both, one-sided: false alarms"),
        ((0.006, 0.002), 0.004, False, "0.2 %, harm = margin 0.4 pp: falsely proved"),
    ):
        report.most(f"two proportions, {title}", exact(rng, rates, runs, margin, greater=greater))
    report.least("two proportions, 1 -> 2 %: found", exact(rng, (0.02, 0.01), runs, 0.0, greater=True), 0.95)
    report.least(
        "two proportions, 0.2 %, no harm, margin 0.4 pp: proved",
        exact(rng, (0.002, 0.002), runs, 0.004, greater=False),
        0.95,
    )


def exact(
    rng: np.random.Generator, rates: tuple[float, float], runs: int, margin: float, *, greater: bool | None
) -> list[bool]:
    """Tell of each run whether the two-proportion test rejects within 28 days."""
    hits = rng.binomial(DAILY, rates, (runs, 28, 2))
    return [
        max(
            twoproportions.e_values(
                [Block(int(a), DAILY, int(b), DAILY) for a, b in run], margin=margin, greater=greater
            )
        )
        >= 1 / ALPHA
        for run in hits
    ]


def bounded(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Bounded means, looks after 10, 30, 80 and 200 observations")
    runs = costly(runs) // 2
    for title, draw, truth in (
        ("uniform", lambda: rng.random(200), 0.5),
        ("rare events, 5 %", lambda: (rng.random(200) < 0.05).astype(float), 0.05),
        ("paired differences, 10 % differ", lambda: rng.choice([0.0, 0.5, 1.0], 200, p=[0.05, 0.9, 0.05]), 0.5),
    ):
        misses: dict[str, list[bool]] = {"hedged betting": [], "PrPl-EB": []}
        for _ in range(runs):
            xs = [float(x) for x in draw()]
            for name, interval in (("hedged betting", hedged), ("PrPl-EB", empirical_bernstein)):
                bounds = (interval(xs[:n], ALPHA) for n in (10, 30, 80, 200))
                misses[name].append(any(not low <= truth <= high for low, high in bounds))
        for name, found in misses.items():
            report.most(f"{name}, {title}: misses", found)


def shadow(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Shadow: 150 pairs of replies that vary more between requests (sd 3) than within (sd 1)")
    runs = costly(runs)
    for shift, bar in ((0.0, None), (0.6, 0.8)):
        tests, bets = [], []
        for seed in range(runs):
            requests = rng.normal(0, 3, 150)
            left, right = requests + rng.normal(size=150), requests + rng.normal(shift, 1, 150)
            found = paired(left, right, swaps=99, seed=seed)
            tests.append((found.energy.p_value <= ALPHA, found.mmd.p_value <= ALPHA))
            scores = zip(rng.normal(size=150), rng.normal(shift, 1, 150), strict=True)
            bets.append(two_sample(scores, [-1.0, 0.0, 1.0]) >= 1 / ALPHA)
        named = [("energy, paired swaps", [e for e, _ in tests]), ("MMD, paired swaps", [m for _, m in tests])]
        named.append(("betting at every pair (no spread between requests)", bets))
        for name, hits in named:
            if bar is None:
                report.most(f"{name}, no shift: rejected", hits)
            else:
                report.least(f"{name}, shift {shift}: rejected", hits, bar)


def leaving(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Survival: 150 users an arm, looks at 15 times")
    runs = costly(runs)
    for ratio in (1.0, 1.6):
        safe, looked = [], []
        for _ in range(runs):
            arms = [[(float(t), True) for t in rng.exponential(1 / hazard, 150)] for hazard in (ratio, 1.0)]
            rows = table(*arms)
            looks = [rows[:k] for k in range(20, len(rows) + 1, 20)]
            safe.append(any(safe_log_rank(seen, hazard_ratio=1.5) >= 1 / ALPHA for seen in looks))
            looked.append(any(log_rank(seen).p_value <= ALPHA for seen in looks))
        if ratio == 1:
            report.least("log-rank at every look, equal hazards: false alarms", looked, 0.1)
            report.most("safe log-rank at every look, equal hazards: false alarms", safe)
        else:
            report.least(f"safe log-rank, hazard ratio {ratio}: found", safe, 0.8)


def labels(report: Report, rng: np.random.Generator, runs: int) -> None:
    print("Prediction-powered mean (one look): 200 labels, 2,000 scores of a biased judge")
    misses = []
    for _ in range(runs):
        truth = (rng.random(2200) < 0.3).astype(float)
        judged = np.where(rng.random(2200) < 0.8, truth, 1.0).tolist()
        low, high = prediction_powered(truth[:200].tolist(), judged[:200], judged[200:]).interval
        misses.append(not low <= 0.3 <= high)
    # A z interval of 200 yes-or-no labels misses 5 to 6 %.
    report.most("interval misses the share of the labels", misses, 0.06)


PARTS = (peeking, margins, detection, adjusted, diverging, ratios, proportions, bounded, shadow, leaving, labels)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3000, help="simulated rollouts; costly parts take two fifths")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", choices=[part.__name__ for part in PARTS], help="only this one")
    options = parser.parse_args()
    report = Report()
    for number, part in enumerate(PARTS):
        if options.part in {None, part.__name__}:
            began = time.process_time()
            part(report, np.random.default_rng([options.seed, number]), options.runs)
            print(f"  {'':68}  {time.process_time() - began:8.1f}s  CPU")
    print(f"bars missed: {report.missed}" if report.missed else "bars hold")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
