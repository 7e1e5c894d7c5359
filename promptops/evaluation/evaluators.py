"""Evaluators: pure functions from a case and its reply to a score in [0, 1].

An evaluator with a yes-or-no answer scores 1.0 for yes. Which direction is good is the guardrail's business: a low rate
of ``praise`` and a high rate of ``contains`` are both fine.
"""

from __future__ import annotations

import hashlib
from itertools import product
from json import loads
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from promptops.errors import InputError, RefusedError
from promptops.evaluation import callables, praise, refusal, style, tripwires
from promptops.evaluation.judging import judge
from promptops.evaluation.measures.registry import MEASURES
from promptops.evaluation.measures.registry import VERSION as MEASURES_VERSION
from promptops.registry import canonical, schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import jsonschema_rs

    from promptops.evaluation.callables import Code
    from promptops.evaluation.case import Case
    from promptops.evaluation.suite import Suite
    from promptops.inference.reply import Reply

# Part of every suite's digest: raise it when an evaluator here comes to score some reply otherwise.
VERSION = 2
_MAX_JSON = 4_000_000
Arguments: TypeAlias = dict[str, Any]
Score: TypeAlias = "Callable[[Arguments, Case, Reply], float]"


class Definition(NamedTuple):
    """An evaluator's type and its arguments by name."""

    type: str
    arguments: Arguments


def contains(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply contains ``value`` (of a list: any of them), regardless of case."""
    text = reply.text.casefold()
    return float(any(value.casefold() in text for value in _values(arguments)))


def not_contains(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply contains none of ``value``, regardless of case."""
    return 1.0 - contains(arguments, _case, reply)


def equals(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply without surrounding white space is one of ``value``, regardless of case."""
    return float(reply.text.strip().casefold() in {value.strip().casefold() for value in _values(arguments)})


def starts_with(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply starts with one of ``value``, regardless of case and leading white space."""
    return float(reply.text.lstrip().casefold().startswith(tuple(value.casefold() for value in _values(arguments))))


def ends_with(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply ends with one of ``value``, regardless of case and trailing white space."""
    return float(reply.text.rstrip().casefold().endswith(tuple(value.casefold() for value in _values(arguments))))


def regex(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when one of the patterns in ``value`` matches somewhere in the reply.

    Patterns are those of JSON Schema without look-around and back-references, so that matching takes time linear in the
    reply. ``(?i)`` ignores case, ``(?m)`` lets ``^`` and ``$`` match at lines.
    """
    text = _encodable(reply.text)
    return float(any(_pattern(value).is_valid(text) for value in _values(arguments)))


def not_regex(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when none of the patterns in ``value`` matches in the reply; patterns as for ``regex``."""
    return 1.0 - regex(arguments, _case, reply)


def json(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the whole reply is one JSON value without repeated keys (``value: false``: when it is not).

    A value is JSON as RFC 8259 has it and thus without NaN and infinity, in 4 million characters at most.
    """
    try:
        _parsed(reply)
    except (ValueError, RecursionError):
        return _wanted(arguments, detected=0.0)
    return _wanted(arguments, detected=1.0)


def json_schema(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the whole reply is a JSON value that fits ``schema`` (draft 2020-12 unless it says otherwise)."""
    validator = _schema(arguments)
    try:
        return float(validator.is_valid(_parsed(reply)))
    except (ValueError, RecursionError):
        return 0.0


def refuses(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply declines to do what was asked (``value: false``: when it does not)."""
    return _wanted(arguments, detected=refusal.refuses(reply.text))


def praises(arguments: Arguments, case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply praises the user or the user's work (``value: false``: when it does not)."""
    return _wanted(arguments, detected=praise.praises(reply.text, case.said))


def praise_opener(arguments: Arguments, case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply opens with praise, in its first 80 characters (``value: false``: when it does not).

    A measure of style to look at beside ``praise``, which is the one to gate on.
    """
    return _wanted(arguments, detected=praise.opens(reply.text, case.said))


def praise_per_100_words(_arguments: Arguments, case: Case, reply: Reply) -> float:
    """Return min(1, (100 h / w) / 10) for h praising phrases in w words: 1.0 from ten phrases in 100 words on.

    A measure of style to look at beside ``praise``, which is the one to gate on: a single phrase weighs much in a short
    reply.
    """
    return praise.per_100_words(reply.text, case.said)


def words(_arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return min(1, w / 1,000) for w words: a measure of style, and the confound of every measure that reads prose."""
    return style.words(reply.text)


def questions(_arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return the share of sentences that are questions: a measure of style."""
    return style.questions(reply.text)


def hedges(_arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return min(1, (100 h / w) / 10) for h hedges in w words: a measure of style."""
    return style.hedges(reply.text)


def length(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply has ``minimum`` to ``maximum`` words (``unit: words``, the default) or ``chars``."""
    size = len(reply.text) if arguments.get("unit") == "chars" else len(reply.text.split())
    return float(arguments.get("minimum", 0) <= size <= arguments.get("maximum", float("inf")))


def latency(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply took at most ``maximum`` seconds from sending to its last byte."""
    return float(reply.latency <= arguments["maximum"])


def cost(arguments: Arguments, _case: Case, reply: Reply) -> float:
    """Return 1.0 when the reply cost at most ``maximum`` in the model file's currency."""
    return float(reply.cost <= arguments["maximum"])


def python(arguments: Arguments, _case: Case, _reply: Reply) -> float:
    """Refuse: the team's own code is run by `run` only, and only where it is told that it may.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(
        f"the suite runs Python code ({arguments['callable']}), which is not allowed here",
        hint="Python evaluators run only for suites of a trusted revision",
    )


class Evaluator(NamedTuple):
    """How an evaluator is run.

    Attributes:
        run: the scoring function.
        argument: what a case's ``expect: {type: argument}`` sets; None where it is a mapping of arguments.
    """

    run: Score
    argument: str | None


EVALUATORS: dict[str, Evaluator] = {
    "contains": Evaluator(contains, "value"),
    "not_contains": Evaluator(not_contains, "value"),
    "equals": Evaluator(equals, "value"),
    "starts_with": Evaluator(starts_with, "value"),
    "ends_with": Evaluator(ends_with, "value"),
    "regex": Evaluator(regex, "value"),
    "not_regex": Evaluator(not_regex, "value"),
    "json": Evaluator(json, "value"),
    "json_schema": Evaluator(json_schema, "schema"),
    "refusal": Evaluator(refuses, "value"),
    "praise": Evaluator(praises, "value"),
    "praise_opener": Evaluator(praise_opener, "value"),
    "praise_per_100_words": Evaluator(praise_per_100_words, None),
    "words": Evaluator(words, None),
    "questions": Evaluator(questions, None),
    "hedges": Evaluator(hedges, None),
    "length": Evaluator(length, None),
    "latency": Evaluator(latency, "maximum"),
    "cost": Evaluator(cost, "maximum"),
    "python": Evaluator(python, None),
}


def expectation(kind: str, argument: Any) -> Definition:
    """Return the definition behind ``kind: argument`` in a case's ``expect``."""
    name = EVALUATORS[kind].argument
    return Definition(kind, dict(argument) if name is None else {name: argument})


def check(definition: Definition) -> None:
    """Raise for arguments that fit the JSON Schema but nothing could be scored with.

    Raises:
        InputError: a pattern or schema does not compile, a range is empty, code is named in no usable way, a measure
            has no such output, or it is a trip-wire.
    """
    kind, arguments = definition
    tripwires.refuse(kind)
    if kind in MEASURES and arguments.get("output") not in MEASURES[kind].outputs:
        raise InputError(
            f"{kind} has no output {arguments.get('output')!r}", hint=f"one of: {', '.join(MEASURES[kind].outputs)}"
        )
    if kind == "rating" and arguments.get("low", 1) >= arguments.get("high", 10):
        raise InputError("rating needs `low` below `high`")
    if kind in {"regex", "not_regex"}:
        for value in _values(arguments):
            _pattern(value)
    elif kind == "json_schema":
        _schema(arguments)
    elif kind == "length":
        low, high = arguments.get("minimum", 0), arguments.get("maximum", float("inf"))
        if not arguments.keys() & {"minimum", "maximum"} or low > high:
            raise InputError("length needs `minimum`, `maximum` or both, the first not above the second")
    elif kind == judge.KIND:
        judge.check(arguments)
    elif kind == "python":
        callables.location(arguments["callable"])


def run(
    definition: Definition, case: Case, reply: Reply, *, allow_python: bool = False, code: Code = callables.no_code
) -> float:
    """Return the score of one reply by one evaluator.

    Args:
        definition: the evaluator.
        case: what was asked.
        reply: what came back.
        allow_python: whether the suite comes from a trusted revision, so that its Python code may run.
        code: reads that revision's files.

    Raises:
        RefusedError: it is Python code and ``allow_python`` is false, or the code is not the pinned one.
        InputError: Python code fails or returns no score.
    """
    if definition.type == "python" and allow_python:
        arguments = definition.arguments
        return callables.score(code, arguments["callable"], arguments["sha256"], case, reply)
    return EVALUATORS[definition.type].run(definition.arguments, case, reply)


def digest(suite: Suite) -> str:
    """Return ``sha256:<hex>`` of all that decides a suite's scores.

    That is the file but for its description, the models that it asks, the files that it names, and this code.
    """
    return _digest(suite, _versions())


def digests(suite: Suite) -> set[str]:
    """Return the suite's digest under this version of the code and every earlier one.

    A release was judged by the code of its day, and stays what it was when that code is improved.
    """
    versions = (range(1, each + 1) for each in _versions())
    return {_digest(suite, each) for each in product(*versions)}


def _versions() -> tuple[int, ...]:
    return VERSION, praise.VERSION, refusal.VERSION, MEASURES_VERSION, judge.PROMPT_VERSION


def _digest(suite: Suite, every: Sequence[int]) -> str:
    own, praising, refusing, measuring, judging = every
    judged = {key: value for key, value in suite.value.items() if key != "description"}
    versions = {"evaluators": own, "praise": praising, "refusal": refusing}
    if any(definition.type in MEASURES for definition in suite.evaluators.values()):
        versions["measures"] = measuring
    if any(definition.type == judge.KIND for definition in suite.evaluators.values()):
        versions["judging"] = judging
    asks = {name: model.identity for name, model in suite.asks.items()}
    files = {path: hashlib.sha256(data).hexdigest() for path, data in suite.files.items()}
    more = {name: value for name, value in (("asks", asks), ("files", files)) if value}
    return canonical.sha256({"suite": judged, "versions": versions, **more})


def _values(arguments: Arguments) -> list[str]:
    value = arguments["value"]
    return [value] if isinstance(value, str) else value


def _wanted(arguments: Arguments, *, detected: float) -> float:
    return detected if arguments.get("value", True) else 1.0 - detected


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _parsed(reply: Reply) -> Any:
    # Not the registry's reader: its rules for what gets signed refuse large integers and keys that differ in case.
    if len(reply.text) > _MAX_JSON:
        raise ValueError("too large")
    return loads(reply.text, object_pairs_hook=_members, parse_constant=_refuse_constant)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("repeated key")
    return members


def _refuse_constant(name: str) -> Any:
    raise ValueError(name)


def _pattern(pattern: str) -> jsonschema_rs.Validator:
    try:
        return schemas.compiled(canonical.dumps({"type": "string", "pattern": pattern}))
    except InputError as error:
        raise InputError(
            f"the pattern {pattern!r} does not compile", hint="look-around and back-references are not supported"
        ) from error


def _schema(arguments: Arguments) -> jsonschema_rs.Validator:
    return schemas.compiled(canonical.dumps(arguments["schema"]))
