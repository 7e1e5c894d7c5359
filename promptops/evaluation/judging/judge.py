"""A judge: a rubric, the verdicts it allows, and the models that are asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from promptops.errors import InputError
from promptops.registry import canonical

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from promptops.registry.prompt import Model

KIND = "judge"
# The validity floor of a judge of pairs: the mean share of models that do not go by the place of a reply.
CONSISTENT = "consistent"
# Part of every judge's identity: raise it when `prompt` asks, or reads a verdict, otherwise.
PROMPT_VERSION = 1
# What a judge of pairs may say, and how much it then prefers the reply that it saw first.
PREFERENCES: Mapping[str, float] = {"first": 1.0, "tie": 0.5, "second": 0.0}
# Below these lower bounds of its agreement with people a judge decides nothing, where neither suite nor judge says so:
# 0.4 is where Landis & Koch (Biometrics 33(1), 1977) begin to call agreement moderate.
FLOOR: Mapping[str, float] = {"kappa": 0.4, "spearman": 0.4}
_MOST_STEPS = 100

Verdict: TypeAlias = str | int


@dataclass(frozen=True)
class Judge:
    """An evaluator of type ``judge``.

    Attributes:
        rubric: what is judged, and when which verdict is right.
        choices: score in [0, 1] by label; empty for a scale or pairs.
        scale: least and largest whole number of a scale, or None.
        pair: whether the two arms' replies are judged side by side.
        combine: ``median`` of the scores, or the ``majority`` of the labels.
        models: the model files by name.
        floor: least lower bound of agreement with people by coefficient.
    """

    rubric: str
    choices: Mapping[str, float]
    scale: tuple[int, int] | None
    pair: bool
    combine: str
    models: Mapping[str, Model]
    floor: Mapping[str, float]

    @cached_property
    def identity(self) -> str:
        """``sha256:<hex>`` over all that decides verdicts: models, their parameters, our prompt, rubric, choices."""
        return canonical.sha256(
            {
                "type": "promptops/judge/1",
                "prompt": PROMPT_VERSION,
                "rubric": self.rubric,
                "choices": dict(self.choices),
                "scale": list(self.scale) if self.scale else None,
                "pair": self.pair,
                "combine": self.combine,
                "models": {name: model.identity for name, model in self.models.items()},
            }
        )

    @property
    def verdicts(self) -> list[Verdict]:
        """What a model may answer, in the order of the suite."""
        if self.scale:
            return list(range(self.scale[0], self.scale[1] + 1))
        return list(PREFERENCES if self.pair else self.choices)

    @property
    def coefficient(self) -> str:
        """How agreement with people is measured: ``kappa`` of labels, ``spearman`` of numbers."""
        return "spearman" if self.scale else "kappa"

    @property
    def ordered(self) -> bool:
        """Whether the labels stand for different scores, so that a near miss weighs less than a wide one."""
        scores = [self.score(verdict) for verdict in self.verdicts]
        return len(scores) > 2 and len(set(scores)) == len(scores)

    def score(self, verdict: Verdict) -> float:
        """Return the score in [0, 1] of one verdict; of a pair, how much the reply seen first is preferred."""
        if self.scale:
            low, high = self.scale
            return (int(verdict) - low) / (high - low)
        return (PREFERENCES if self.pair else self.choices)[str(verdict)]

    def combined(self, verdicts: Sequence[Verdict | None]) -> float | None:
        """Return the score that the models' verdicts give; None unless more than half of them could be read.

        A majority is a label that more models chose than any other; without one the median decides.
        """
        read = [verdict for verdict in verdicts if verdict is not None]
        if 2 * len(read) <= len(verdicts):
            return None
        if self.combine == "majority":
            (first, most), *others = Counter(read).most_common(2)
            if not others or others[0][1] < most:
                return self.score(first)
        return _median([self.score(verdict) for verdict in read])

    def preferred(self, orders: Sequence[tuple[Verdict | None, Verdict | None]]) -> float | None:
        """Return how much the candidate's reply is preferred, in [0, 1]; None unless more than half could be read.

        Args:
            orders: of each model, its verdict with the candidate's reply first, and with it second.
        """
        read = [
            (self.score(first) + (1.0 - self.score(second))) / 2
            for first, second in orders
            if first is not None and second is not None
        ]
        return _median(read) if 2 * len(read) > len(orders) else None


def _median(scores: list[float]) -> float:
    # A verifier reads suites with judges and asks none: the module takes as long to load as all of this package.
    from statistics import median

    return median(scores)


def model_names(arguments: Mapping[str, Any]) -> list[str]:
    """Return the names of the model files that an evaluator of type ``judge`` asks."""
    return list(arguments.get("models", ()))


def check(arguments: Mapping[str, Any]) -> None:
    """Raise for arguments that fit the JSON Schema but nothing could be judged with.

    Raises:
        InputError: not exactly one of choices, scale and pair, a scale without range, a majority without labels, a
            model named twice, or labels that could be taken for each other.
    """
    kinds = [name for name in ("choices", "scale", "pair") if arguments.get(name)]
    if len(kinds) != 1:
        found = f"both {kinds[0]} and {kinds[1]}" if kinds else "neither choices nor a scale nor pair"
        raise InputError(f"the judge has {found}", hint="write one of: choices, scale, pair: true")
    scale = arguments.get("scale")
    if scale and not 1 <= scale["maximum"] - scale["minimum"] <= _MOST_STEPS:
        raise InputError("the judge's scale has no range", hint=f"minimum below maximum, at most {_MOST_STEPS} steps")
    if scale and arguments.get("combine") == "majority":
        raise InputError("a majority is one of labels, and this judge has a scale", hint="write combine: median")
    names = model_names(arguments)
    if len(set(names)) != len(names):
        raise InputError("the judge names a model twice", hint="a model's second verdict is no second judge")
    labels = [label.strip().casefold() for label in arguments.get("choices", ())]
    if len(set(labels)) != len(labels):
        raise InputError("two of the judge's choices differ in case or space only", hint="rename one")


def build(arguments: Mapping[str, Any], models: Mapping[str, Model], floor: Mapping[str, float] | None = None) -> Judge:
    """Return the judge of an evaluator's arguments.

    Args:
        arguments: of an evaluator of type ``judge``, as `check` accepts them.
        models: model files by name, at least those that it asks.
        floor: of the suite; the evaluator's own goes before it.
    """
    scale = arguments.get("scale")
    return Judge(
        rubric=arguments["rubric"],
        choices={label: float(score) for label, score in arguments.get("choices", {}).items()},
        scale=(scale["minimum"], scale["maximum"]) if scale else None,
        pair=bool(arguments.get("pair")),
        combine=arguments.get("combine", "median"),
        models={name: models[name] for name in model_names(arguments)},
        floor={**FLOOR, **(floor or {}), **arguments.get("floor", {})},
    )
