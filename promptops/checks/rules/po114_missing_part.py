"""PO114: a suite names a model that plays the user, or a file of feedback, that cannot be used."""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.checks import suites
from promptops.checks.finding import Finding
from promptops.checks.rule import ChangeSubject, Text, exists
from promptops.errors import InputError
from promptops.registry.prompt import EVALS, MODELS, model_path

if TYPE_CHECKING:
    from collections.abc import Iterator

    from promptops.registry.yaml import Document
    from promptops.repo.source import Source

ID = "PO114"
TEXT = Text(
    title="A suite names a model or a file of feedback that cannot be used",
    why=(
        "A simulated user is played by a model, and an evaluator of the kind feedback reads what people said from a"
        " file. Where the model file is missing, or the feedback is missing or malformed, every canary of the suite is"
        " refused before it asks anything."
    ),
    fix="Create the model file or the feedback, correct the line that the finding names, or take the part out.",
    example="turns:\n  - simulate: {model: persona, persona: ..., goal: ..., turns: 3}   # no models/persona.yaml",
)


def check(change: ChangeSubject) -> Iterator[Finding]:
    """Yield a finding for each missing model of a simulated user, and for feedback that cannot be read."""
    if not any(path.startswith((EVALS, MODELS)) for path in change.paths):
        return
    for document in suites.holding(change.source, b"simulate", b"feedback"):
        yield from _players(document, change.source)
        yield from _feedback(document, change.source)


def _players(document: Document, source: Source) -> Iterator[Finding]:
    for index, case in enumerate(document.value.get("cases", ())):
        own: tuple[str | int, ...] = ("cases", index)
        views = [((*own, "views", name), view) for name, view in case.get("views", {}).items()]
        for place, view in views or [(own, case)]:
            for number, turn in enumerate(view.get("turns", ())):
                model = turn.get("simulate", {}).get("model") if isinstance(turn, dict) else None
                if model and not exists(source, model_path(model)):
                    at = document.where((*place, "turns", number, "simulate", "model"))
                    message = f"there is no model {model} to play the user"
                    yield Finding(document.path, *at, ID, message, f"create {model_path(model)}")


def _feedback(document: Document, source: Source) -> Iterator[Finding]:
    from promptops.evaluation import feedback

    for metric, given in document.value.get("evaluators", {}).items():
        if given["type"] != feedback.KIND:
            continue
        path = given["path"]
        try:
            data = source.read(path)
            if data is None:
                place = document.where(("evaluators", metric, "path"))
                hint = f"commit {path}, or take the evaluator out"
                yield Finding(document.path, *place, ID, f"there is no feedback for {metric}: {path}", hint)
            else:
                feedback.read(data, path, positive=given.get("positive", feedback.POSITIVE))
        except InputError as error:
            yield Finding(path, error.line or 1, 1, ID, error.message, error.hint or "")
