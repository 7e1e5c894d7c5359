"""Scores of a harness by sample and metric, and how its own values become numbers in [0, 1]."""

from __future__ import annotations

import math
import re
from typing import TypeAlias

from promptops.errors import PromptopsError

Scores: TypeAlias = "dict[str, dict[str, float | None]]"
MAX_SAMPLES = 50_000
_MAX_ID = 400
# Inspect's letters: correct, incorrect, partial; no answer can be read in N.
_LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": None}
_WORDS = {"yes": 1.0, "true": 1.0, "no": 0.0, "false": 0.0}


class Sheet:
    """Collects scores.

    Metrics get names that a guardrail can have: lower case letters, digits and ``_``.
    """

    def __init__(self) -> None:
        self.scores: Scores = {}
        self._names: dict[str, str] = {}

    def sample(self, label: str) -> str:
        """Open a sample and return its id: a label that is there already gets a number."""
        label = label[:_MAX_ID]
        name, number = label, 1
        while name in self.scores:
            number += 1
            name = f"{label}#{number}"
        if len(self.scores) >= MAX_SAMPLES:
            raise PromptopsError(f"the harness wrote more than {MAX_SAMPLES:,} samples", hint="give it fewer")
        self.scores[name] = {}
        return name

    def put(self, sample: str, metric: str, value: object) -> None:
        """Set a sample's score.

        Raises:
            PromptopsError: the value is a number outside [0, 1], or two metrics come to have one name.
        """
        name = metric_name(metric)
        if self._names.setdefault(name, metric) != metric:
            raise PromptopsError(
                f"two metrics of the harness, {self._names[name]!r} and {metric!r}, are both called {name} here",
                hint="rename one of them",
            )
        self.scores[sample][name] = number(value, f"{metric} of {sample}")


def metric_name(metric: str) -> str:
    """Return the name that a guardrail uses: ``harmful:hate`` becomes ``harmful_hate``."""
    name = re.sub(r"[^a-z0-9]+", "_", metric.lower()).strip("_")
    return (name if name[:1].isalpha() else f"m_{name}")[:64]


def number(value: object, what: str) -> float | None:
    """Return a harness's value as a score in [0, 1]; None where nothing can be read.

    Raises:
        PromptopsError: a number outside [0, 1]: it is on another scale, and guessing which would be wrong for some.
    """
    if isinstance(value, str):
        text = value.strip()
        if text in _LETTERS:
            return _LETTERS[text]
        if text.lower() in _WORDS:
            return _WORDS[text.lower()]
        try:
            value = float(text)
        except ValueError:
            return None
    if not isinstance(value, bool | int | float) or math.isnan(value):
        return None
    if not 0 <= value <= 1:
        raise PromptopsError(
            f"the harness scored {value:g} for {what}, outside of 0 to 1", hint="let the harness divide by its scale"
        )
    return float(value)
