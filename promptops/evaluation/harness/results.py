"""What harnesses write, as scores by sample and metric.

A sample that the harness could not put to the model (an error in place of a score) is left out: it counts like a lost
reply of that arm. A sample whose score it could not read is there with None.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from promptops.errors import PromptopsError
from promptops.evaluation.harness import redteam
from promptops.evaluation.harness.scores import Scores, Sheet
from promptops.evaluation.harness.shapes import member, objects, parsed, rows

if TYPE_CHECKING:
    from collections.abc import Callable

# promptfoo's ResultFailureReason.ERROR: no answer, or no verdict on it.
_ERROR = 2


def inspect(content: bytes) -> Scores:
    """Read an Inspect log in JSON format; ``SCORER`` is a metric, ``SCORER_KEY`` where it gives several values.

    The samples of further epochs have the ids ``ID#2``, ``ID#3``, ...

    Raises:
        PromptopsError: it is no log of a run that came to its end.
    """
    log = parsed(content, "an Inspect log")
    if member(log, "status", str) != "success":
        error = log.get("error")
        said = error.get("message") if isinstance(error, dict) else None
        raise PromptopsError(f"Inspect ended with the status {log['status']}: {said or 'it does not say why'}")
    sheet = Sheet()
    for sample in sorted(objects(log, "samples"), key=lambda sample: str(sample.get("epoch", 1)).zfill(9)):
        scores = sample.get("scores")
        if sample.get("error") or not isinstance(scores, dict) or not scores:
            continue
        epoch = sample.get("epoch", 1)
        name = sheet.sample(f"{sample.get('id')}" if epoch == 1 else f"{sample.get('id')}#{epoch}")
        for scorer, score in scores.items():
            value = score.get("value") if isinstance(score, dict) else None
            if isinstance(value, dict):
                for key, part in value.items():
                    sheet.put(name, f"{scorer}_{key}", part)
            else:
                sheet.put(name, scorer, value)
    return sheet.scores


def promptfoo(content: bytes) -> Scores:
    """Read promptfoo's results: metrics ``success`` and ``score``, and its named scores; samples ``test.prompt``.

    Raises:
        PromptopsError: they are no results.
    """
    sheet = Sheet()
    for result in redteam.results(content):
        if result.get("failureReason") == _ERROR:
            continue
        name = sheet.sample(redteam.label(result))
        sheet.put(name, "success", result.get("success"))
        sheet.put(name, "score", result.get("score"))
        named = result.get("namedScores")
        for metric, value in (named if isinstance(named, dict) else {}).items():
            sheet.put(name, metric, value)
    return sheet.scores


def junit(content: bytes) -> Scores:
    """Read a JUnit report: the metric ``passed`` is 1, 0 for a failure and None for a skip; an error leaves it out.

    Raises:
        PromptopsError: it is no such report, or declares entities, which could grow without bound.
    """
    try:
        text = content.decode("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise PromptopsError("the JUnit report declares a document type", hint="no test runner writes one")
        root = ET.fromstring(text)  # noqa: S314  nothing is declared in it, so nothing expands
    except (ValueError, ET.ParseError) as error:
        raise PromptopsError("the harness wrote no JUnit report") from error
    sheet = Sheet()
    for case in root.iter("testcase"):
        if case.find("error") is not None:
            continue
        name = sheet.sample("::".join(part for part in (case.get("classname"), case.get("name")) if part))
        skipped, failed = (case.find(kind) is not None for kind in ("skipped", "failure"))
        sheet.put(name, "passed", None if skipped else not failed)
    return sheet.scores


def jsonl(content: bytes) -> Scores:
    """Read JSON Lines ``{"id": ..., METRIC: SCORE, ...}``; null is a score that could not be read.

    Raises:
        PromptopsError: a line holds something else.
    """
    sheet = Sheet()
    for number, row in rows(content):
        label = row.pop("id", None)
        if not isinstance(label, str | int) or isinstance(label, bool) or not row:
            raise PromptopsError(f"line {number} of the scores has no id, or no score", hint='{"id": ..., METRIC: ...}')
        if str(label) in sheet.scores:
            raise PromptopsError(f"line {number} of the scores has the id of an earlier line: {label}")
        name = sheet.sample(str(label))
        for metric, value in row.items():
            if value is not None and not isinstance(value, int | float):
                raise PromptopsError(f"line {number} of the scores holds {json.dumps(value)[:60]} for {metric}")
            sheet.put(name, metric, value)
    return sheet.scores


READERS: dict[str, Callable[[bytes], Scores]] = {
    "inspect": inspect,
    "promptfoo": promptfoo,
    "junit": junit,
    "jsonl": jsonl,
    "garak-report": redteam.garak,
    "promptfoo-redteam": redteam.promptfoo,
}


def read(form: str, content: bytes) -> Scores:
    """Return the scores in what a harness wrote.

    Args:
        form: a key of `READERS`.
        content: the file.

    Raises:
        PromptopsError: it holds something else, or nothing.
    """
    found: Any = READERS[form](content)
    if not any(found.values()):
        raise PromptopsError(
            "the harness scored no sample", hint="run it by hand against: promptops serve PROMPT; nothing was concluded"
        )
    scores: Scores = found
    return scores
