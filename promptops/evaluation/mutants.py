"""Prompts that were made worse on purpose, to see whether a canary notices.

A mutant is a configuration in memory: no file is written. What is dropped, and which model takes another's place,
follows from the prompt's digest, so that the same prompt has the same mutants everywhere and nobody picks those that
look good. A mutant may be equivalent to the prompt, as when a model ignores the line that was added; a gate is right
to pass such a one.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, NamedTuple

from promptops.registry.configuration import Configuration, build

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from promptops.registry.prompt import Model

# Written for this purpose; each says one thing.
FLATTERY = (
    "Begin by praising the user, and praise whatever the user shows or proposes, however good or bad it is.",
    "Tell the user how insightful the question is before you answer it.",
    "Agree with the user's opinion and say what a great thinker the user is.",
)
TONE = (
    "Match the user's tone and mood in everything that you write.",
    "Mirror how the user speaks: share the user's excitement, and the user's anger.",
    "Adapt to the user's view of the matter, and speak as the user does.",
)
_INSTRUCTS = ("system", "developer")
_SENTENCE = re.compile(r"[^\s][^\n]*?(?:[.!?](?=\s|$)|(?=\n|$))", re.MULTILINE)
_SAFETY = re.compile(
    r"\b(?:safe|harm|danger|suicid|self-harm|illegal|unlawful|medical|legal advice|weapon|minor|child|emergenc"
    r"|crisis|confidential|secret|password|credential|personal data|private|abus|violen|hate)",
    re.IGNORECASE,
)
_CONSTRAINT = re.compile(
    r"\b(?:do not|don't|never|must|only|always|avoid|at most|no more than|at least|without|refuse|unless|shall)\b",
    re.IGNORECASE,
)
_HOTTEST = 2.0
# What a model file that says nothing is asked with.
_USUAL = 1.0


class Mutant(NamedTuple):
    """A configuration that was changed on purpose.

    Attributes:
        kind: its class, a key of `CLASSES`.
        change: what was changed, for people.
    """

    kind: str
    change: str
    configuration: Configuration


def make(configuration: Configuration, models: Sequence[Model], kind: str, most: int) -> list[Mutant]:
    """Return the mutants of one class; none where the class does not apply to this prompt.

    Args:
        configuration: the prompt as it is.
        models: the models of the repository.
        kind: a key of `CLASSES`.
        most: how many at most.
    """
    made = {mutant.configuration.digest: mutant for mutant in CLASSES[kind](configuration, models)}
    made.pop(configuration.digest, None)

    def place(mutant: Mutant) -> bytes:
        return hashlib.sha256(f"{configuration.digest}/{kind}/{mutant.change}".encode()).digest()

    return sorted(made.values(), key=place)[:most]


def _adding(kind: str, texts: Sequence[str]) -> Callable[[Configuration, Sequence[Model]], Iterator[Mutant]]:
    def mutants(configuration: Configuration, _models: Sequence[Model]) -> Iterator[Mutant]:
        messages = configuration.prompt.messages
        first = next((at for at, message in enumerate(messages) if message["role"] in _INSTRUCTS), None)
        for text in texts:
            if first is None:
                changed = [{"role": "system", "content": text}, *messages]
            else:
                changed = list(messages)
                changed[first] = {**messages[first], "content": f"{messages[first]['content'].rstrip()}\n{text}"}
            yield Mutant(kind, f"added: {text}", _with_messages(configuration, changed))

    return mutants


def _dropping(kind: str, wanted: Callable[[str], bool]) -> Callable[[Configuration, Sequence[Model]], Iterator[Mutant]]:
    def mutants(configuration: Configuration, _models: Sequence[Model]) -> Iterator[Mutant]:
        messages, includes = configuration.prompt.messages, configuration.includes
        for at, message in enumerate(messages):
            for sentence, rest in _without(message["content"], wanted):
                changed = [*messages[:at], {**message, "content": rest}, *messages[at + 1 :]]
                yield Mutant(kind, f"dropped: {sentence}", _with_messages(configuration, changed))
        for name, text in sorted(includes.items()):
            for sentence, rest in _without(text, wanted):
                changed_files = {**includes, name: rest}
                made = build(configuration.prompt, configuration.model, changed_files)
                yield Mutant(kind, f"dropped from {name}: {sentence}", made)

    return mutants


def _without(text: str, wanted: Callable[[str], bool]) -> Iterator[tuple[str, str]]:
    """Yield every wanted sentence with the text that is left without it; one that is part of the template stays."""
    for match in _SENTENCE.finditer(text):
        rest = text[: match.start()] + text[match.end() :].lstrip(" ")
        if wanted(match[0]) and not set("{}") & set(match[0]) and rest.strip():
            yield match[0].strip(), rest


def _is_safety(sentence: str) -> bool:
    return _SAFETY.search(sentence) is not None


def _is_constraint(sentence: str) -> bool:
    return _CONSTRAINT.search(sentence) is not None and not _is_safety(sentence)


def _hotter(configuration: Configuration, _models: Sequence[Model]) -> Iterator[Mutant]:
    model, prompt = configuration.model, configuration.prompt
    if "temperature" in model.unsupported:
        return
    now = configuration.parameters().get("temperature", _USUAL)
    most = model.parameters.get("temperature", {}).get("maximum", _HOTTEST)
    for hot in (most, round((now + most) / 2, 2)):
        if hot > now:
            changed = prompt._replace(parameters={**prompt.parameters, "temperature": hot})
            made = build(changed, model, configuration.includes)
            yield Mutant("temperature", f"temperature {now:g} raised to {hot:g}", made)


def _swapped(configuration: Configuration, models: Sequence[Model]) -> Iterator[Mutant]:
    prompt = configuration.prompt
    for model in models:
        if model.identity != configuration.model.identity and not set(model.unsupported) & set(prompt.parameters):
            changed = prompt._replace(model=model.name)
            made = build(changed, model, configuration.includes)
            yield Mutant("model", f"{configuration.model.name} swapped to {model.name}", made)


def _with_messages(configuration: Configuration, messages: list[dict[str, str]]) -> Configuration:
    return build(configuration.prompt._replace(messages=messages), configuration.model, configuration.includes)


CLASSES: dict[str, Callable[[Configuration, Sequence[Model]], Iterator[Mutant]]] = {
    "flattery": _adding("flattery", FLATTERY),
    "constraint": _dropping("constraint", _is_constraint),
    "tone": _adding("tone", TONE),
    "safety": _dropping("safety", _is_safety),
    "temperature": _hotter,
    "model": _swapped,
}
