"""From recorded evidence back to the gate that wrote it."""

from __future__ import annotations

from typing import Any, TypeVar

from promptops.errors import InputError, RefusedError
from promptops.evaluation.floors import Floor
from promptops.evaluation.gate import EVIDENCE_VERSION, MAX_GUARDRAILS, MAX_JUDGED, Gate, Rules
from promptops.evaluation.harm import Guardrail, Mode
from promptops.statistics.series import GRID, decode
from promptops.text import counted

_SYMBOLS = {GRID, 0}
_T = TypeVar("_T")


def resume(evidence: Any) -> Gate:
    """Return the gate that wrote ``evidence``, ready to take in further pairs.

    Rules, margins and limits are those that the evidence states: compare them with what should have applied. It takes
    some seconds at most: of guardrails times pairs there are no more than 200,000. Where the verdict alone matters, ask
    for its ``decision``: the intervals of its ``verdict()`` take many times as long.

    Args:
        evidence: what `Gate.evidence` returned, possibly edited by anybody.

    Raises:
        InputError: when it is no gate's evidence or does not add up.
        RefusedError: when it holds more guardrails or pairs than any canary writes.
    """
    if not 1 <= _field(evidence, "v", int) <= EVIDENCE_VERSION:
        raise InputError(f"evidence has version {evidence['v']}; this release reads up to {EVIDENCE_VERSION}")
    given = _floors(evidence)
    series = sum(len(item["marks"]) for item in given)
    pairs = _bounded(_field(evidence, "guardrails", list), series, _field(evidence, "pairs", int))
    stated = {_field(item, "name", str): item for item in _field(evidence, "guardrails", list)}
    if len(stated) != len(evidence["guardrails"]):
        raise InputError("evidence names a guardrail twice")
    rules, bounds = _rules(_field(evidence, "rules", dict)), floors(evidence)
    gate = Gate({name: _guardrail(item) for name, item in stated.items()}, rules, bounds, barred(evidence))
    failures = _field(evidence, "failures", dict)
    harms = [decode(_field(item, "harms", str), pairs) for item in stated.values()]
    gate.restore(
        harms=list(zip(*harms, strict=True)),
        sums=[(_count(item, "baseline"), _count(item, "candidate")) for item in stated.values()],
        unscored=[_unscored(item) for item in stated.values()],
        failures={arm: _count(failures, arm, MAX_JUDGED) for arm in ("baseline", "candidate", "both")},
        lost=_lost(evidence, pairs),
        floors={item["name"]: _marks(item, rules.mode, pairs) for item in given},
    )
    return gate


def floors(evidence: Any) -> dict[str, tuple[Floor, frozenset[str]]]:
    """Return the validity floors that ``evidence`` states, with the guardrails that stand on each.

    Raises:
        InputError: it states them in no usable way.
    """
    found = {}
    for item in _floors(evidence):
        low, high = (None if item.get(key) is None else _number(item, key) for key in ("low", "high"))
        rails = frozenset(str(name) for name in _field(item, "guardrails", list))
        found[_field(item, "name", str)] = (Floor(low, high), rails)
    if len(found) != len(_floors(evidence)):
        raise InputError("evidence names a floor twice")
    return found


def barred(evidence: Any) -> dict[str, str]:
    """Return why guardrails decide nothing, by name, as ``evidence`` states it.

    Raises:
        InputError: it states it in no usable way.
    """
    given = _field(evidence, "barred", dict) if "barred" in evidence and evidence["v"] == EVIDENCE_VERSION else {}
    if not all(isinstance(why, str) for why in given.values()):
        raise InputError("evidence has no usable 'barred'")
    return given


def _floors(evidence: Any) -> list[Any]:
    given = _field(evidence, "floors", list) if "floors" in evidence and evidence["v"] == EVIDENCE_VERSION else []
    for item in given:
        _field(item, "marks", dict)
    return given


def _marks(item: Any, mode: Mode, pairs: int) -> dict[str, list[int | None]]:
    arms = ["baseline", "candidate"] if mode == "paired" else ["candidate"]
    marks = {arm: decode(_field(item["marks"], arm, str), pairs) for arm in arms}
    if any(mark is not None and mark < 0 for series in marks.values() for mark in series):
        raise InputError("evidence has no usable 'marks'")
    return marks


def _field(document: Any, key: str, kind: type[_T]) -> _T:
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InputError(f"evidence has no usable {key!r}")
    return value


def _bounded(guardrails: list[Any], series: int, pairs: int) -> int:
    """Return the number of pairs, before anything is expanded."""
    if len(guardrails) > MAX_GUARDRAILS:
        raise RefusedError(f"evidence holds {len(guardrails)} guardrails; no canary has more than {MAX_GUARDRAILS}")
    if pairs < 0:
        raise InputError(f"evidence has no usable 'pairs': {pairs}")
    if pairs * (len(guardrails) + series) > MAX_JUDGED:
        raise RefusedError(
            f"evidence holds {pairs} pairs for {counted(len(guardrails), 'guardrail')};"
            f" no canary has more than {MAX_JUDGED:,} of both together"
        )
    return pairs


def _count(document: Any, key: str, most: int = MAX_JUDGED * GRID) -> int:
    value = _field(document, key, int)
    if not 0 <= value <= most:
        raise InputError(f"evidence has no usable {key!r}: {value}")
    return value


def _lost(evidence: dict[str, Any], pairs: int) -> set[int]:
    """Return the positions of pairs whose candidate gave no reply."""
    if evidence["v"] == 1 or (evidence["v"] == EVIDENCE_VERSION and "lost" not in evidence):
        return set()
    series = decode(_field(evidence, "lost", str), pairs)
    if not set(series) <= _SYMBOLS:
        raise InputError("evidence has no usable 'lost'")
    return {place for place, symbol in enumerate(series) if symbol}


def _number(document: Any, key: str) -> float:
    value = document.get(key)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
        raise InputError(f"evidence has no usable {key!r}")
    return float(value)


def _guardrail(document: Any) -> Guardrail:
    limit = None if document.get("limit") is None else _number(document, "limit")
    direction = _field(document, "direction", str)
    if direction not in ("lower", "higher"):
        raise InputError(f"evidence has no usable 'direction': {direction!r}")
    metric = _field(document, "metric", str)
    return Guardrail(metric, "lower" if direction == "lower" else "higher", _number(document, "margin"), limit)


def _rules(document: dict[str, Any]) -> Rules:
    mode = _field(document, "mode", str)
    if mode not in ("paired", "absolute"):
        raise InputError(f"evidence has no usable 'mode': {mode!r}")
    return Rules(
        "paired" if mode == "paired" else "absolute",
        _number(document, "alpha"),
        _count(document, "minimum"),
        _number(document, "floor"),
    )


def _unscored(document: Any) -> tuple[int, int]:
    counts = _field(document, "unscored", list)
    if len(counts) != 2:
        raise InputError("evidence has no usable 'unscored'")
    return _count({"unscored": counts[0]}, "unscored"), _count({"unscored": counts[1]}, "unscored")
