"""How much pairs differ when nothing got worse, as measured in kept evidence."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.evaluation import evidence
from promptops.statistics.series import decode

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from promptops.evaluation.exam import Exam
    from promptops.evaluation.harm import Mode

# Fewer pairs than these measure no spread; an assumption takes their place.
LEAST = 30


class Pair(NamedTuple):
    """One pair of a kept comparison.

    Attributes:
        harms: in thousandths by guardrail; those that the pair does not bear on are left out.
        marks: parts of validity floors in thousandths, by arm and name of the floor.
    """

    harms: Mapping[str, int]
    marks: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Noise:
    """Pairs of comparisons of one prompt by the same suites.

    Attributes:
        pairs: by pool.
        comparisons: how many they are from.
        seen: by guardrail, the harms of the pairs that bear on it.
    """

    pairs: Mapping[str, Sequence[Pair]] = field(default_factory=dict)
    comparisons: int = 0
    seen: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def measures(self, rail: str) -> bool:
        """Say whether there are enough pairs to go by for a guardrail."""
        return len(self.seen.get(rail, ())) >= LEAST

    def discordance(self, rail: str) -> float:
        """Return the share of a guardrail's pairs that differ."""
        seen = self.seen[rail]
        return sum(harm != 0 for harm in seen) / len(seen)


def measure(root: str, exam: Exam, prompt: str, suites: Mapping[str, str], mode: Mode) -> Noise:
    """Return what the comparisons of a prompt that did not fail have in common: their noise.

    A comparison that failed shows harm and not noise. Runs of ``drift`` count too: they compare a release with itself.

    Args:
        root: folder of all evidence.
        exam: the guardrails at hand.
        prompt: name of the prompt.
        suites: digest by suite name, as the comparisons must have been judged by.
        mode: of the gate at hand; pairs tell nothing about single replies and the other way round.

    Raises:
        PromptopsError: kept evidence cannot be read.
    """
    pairs: dict[str, list[Pair]] = {}
    comparisons = 0
    for result in _kept(root, prompt):
        record = result["evidence"]
        usable = result["verdict"] != "fail" and result["suites"] == suites and "rules" in record
        if not usable or record["rules"]["mode"] != mode:
            continue
        comparisons += 1
        for pair in _pairs(record):
            known = {name: harm for name, harm in pair.harms.items() if name in exam.rails}
            if known:
                pairs.setdefault(exam.rails[next(iter(known))].pool, []).append(Pair(known, pair.marks))
    seen: dict[str, list[int]] = {}
    for pair in [pair for found in pairs.values() for pair in found]:
        for name, harm in pair.harms.items():
            seen.setdefault(name, []).append(harm)
    return Noise(pairs, comparisons, seen)


def _kept(root: str, prompt: str) -> Iterator[dict[str, Any]]:
    yield from evidence.find(root, prompt=prompt)
    drifts = os.path.join(root, "drift")
    for name in sorted(os.listdir(drifts)) if os.path.isdir(drifts) else ():
        yield from evidence.find(os.path.join(drifts, name), prompt=prompt)


def _pairs(record: Mapping[str, Any]) -> Iterator[Pair]:
    """Yield the pairs of a gate's evidence, but for those whose candidate gave no reply."""
    count = record["pairs"]
    harms = {item["name"]: decode(item["harms"], count) for item in record["guardrails"]}
    marks = {
        (arm, item["name"]): decode(series, count)
        for item in record.get("floors", ())
        for arm, series in item["marks"].items()
    }
    lost = decode(record["lost"], count) if "lost" in record else [0] * count
    for place in range(count):
        if lost[place]:
            continue
        told: dict[str, dict[str, int]] = {}
        for (arm, floor), series in marks.items():
            if (mark := series[place]) is not None:
                told.setdefault(arm, {})[floor] = mark
        yield Pair({name: harm for name, series in harms.items() if (harm := series[place]) is not None}, told)
