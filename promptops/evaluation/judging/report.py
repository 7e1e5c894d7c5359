"""A calibration record in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from promptops.statistics.agreement import RESAMPLES
from promptops.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_COEFFICIENTS = {"kappa": "kappa", "weighted_kappa": "kappa (quadratic weights)", "spearman": "Spearman"}


def lines(record: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that a person reads."""
    yield f"judge      {record['judge']}"
    yield f"items      {record.get('items')}, of which people contradict each other on {record.get('contested')}"
    yield f"intervals  at 95 %, by {RESAMPLES:,} bootstrap resamples of items with the seed {record.get('seed')}"
    yield f"people     {_agreement(record['agreement'])}"
    if record.get("people"):
        yield f"           among themselves {_agreement(record['people'])}"
    level = record.get("level", {})
    yield f"level      judge {_number(level.get('judge'))}, people {_number(level.get('people'))}"
    for name, model in record["models"].items():
        yield from _model(printable(name), model)
    for each in record.get("between", ()):
        names = printable(" and ".join(each["models"]))
        yield f"between    {names}: {_agreement(each)}; level shift {_number(each['shift'], sign=True)}"
    if "estimate" in record:
        yield from _estimate(record["estimate"])


def _model(name: str, model: Mapping[str, Any]) -> Iterator[str]:
    if "agreement" not in model:
        return
    yield f"model      {name}: {_agreement(model['agreement'])}; readable {_share(model['readable'])}"
    if model.get("self"):
        yield f"           with itself {_agreement(model['self'])}"
    length = model["length"]
    yield f"           leans on length {_figure(length['judge'])}; people {_figure(length['people'])}"
    position = model.get("position")
    if position:
        yield (
            f"           turns with the order in {_share(position['inconsistent'])} of {position['pairs']} pairs,"
            f" prefers the first in {_share(position['first'])}"
        )


def _estimate(found: Mapping[str, Any]) -> Iterator[str]:
    yield (
        f"estimate   {_figure(found['mean'])} by {found['labelled']} labels and {found['unlabelled']} more verdicts"
        f" of weight {found['power']:.2f}"
    )
    alone = _figure(found["labels_alone"])
    yield f"           {alone} by the labels alone; {found['judge_alone']:.3f} by the judge alone"


def _agreement(found: Mapping[str, Any]) -> str:
    parts = [f"{words} {_figure(found[name])}" for name, words in _COEFFICIENTS.items() if name in found]
    return f"{', '.join(parts)} on {found['n']}"


def _figure(found: Mapping[str, Any]) -> str:
    return f"{_number(found['value'])} [{_number(found['low'])}, {_number(found['high'])}]"


def _number(value: float | None, *, sign: bool = False) -> str:
    return "undefined" if value is None else f"{value:+.3f}" if sign else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "none" if value is None else f"{value:.0%}"
