"""The canary's result as a signed statement, bound to what it compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import RefusedError
from promptops.registry import canonical
from promptops.text import counted
from promptops.trust.statement import TYPE

if TYPE_CHECKING:
    from collections.abc import Callable

    from promptops.evaluation.result import CanaryResult

PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"
# in-toto asks extensions of a vetted predicate to be named by a URI.
EXTENSION = "urn:promptops:canary:v1"
_RESULTS = {"pass": "PASSED", "inconclusive": "WARNED", "fail": "FAILED"}


class CanaryRecord(NamedTuple):
    """A canary's signed result.

    Attributes:
        candidate: digest of the configuration that was judged.
        baseline: digest of the one it was compared with, or None.
        previous: SHA-256 (hex) of the previous release's manifest, or None.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        suites: digest by suite name.
        evidence: sufficient statistics of the gate.
    """

    candidate: str
    baseline: str | None
    previous: str | None
    verdict: str
    share: float
    attempts: int
    suites: dict[str, str]
    traffic: str | None
    models: list[dict[str, str | None]]
    guardrails: list[dict[str, Any]]
    evidence: dict[str, Any]


def statement(result: CanaryResult, previous: str | None) -> dict[str, Any]:
    """Return the in-toto statement about a canary; replies and inputs stay out of it.

    Args:
        result: what the canary found.
        previous: SHA-256 (hex) of the previous release's manifest, or None for a first release.
    """
    tests = {
        verdict: [_label(row) for row in result.guardrails if row.get("verdict") == verdict] for verdict in _RESULTS
    }
    return {
        "_type": TYPE,
        "subject": [_described(f"{result.prompt}@{result.version}", result.candidate)],
        "predicateType": PREDICATE,
        "predicate": {
            "result": _RESULTS[result.verdict],
            "configuration": [_described(name, digest) for name, digest in sorted(result.suites.items())],
            "passedTests": tests["pass"],
            "warnedTests": tests["inconclusive"],
            "failedTests": tests["fail"],
            EXTENSION: {
                "baseline": result.baseline,
                "previous": previous,
                "verdict": result.verdict,
                "share": result.share,
                "attempts": result.attempts,
                "traffic": result.traffic,
                "models": result.models,
                "calls": result.calls,
                "reasons": result.reasons,
                "guardrails": result.guardrails,
                "evidence": result.evidence,
            },
        },
    }


def _described(name: str, digest: str) -> dict[str, Any]:
    return {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}


def parse(value: Any) -> CanaryRecord:
    """Read a canary's statement whose signature was verified.

    Raises:
        RefusedError: another kind of statement, or one that contradicts itself.
    """
    try:
        predicate, (subject,) = value["predicate"], value["subject"]
        stated = predicate[EXTENSION]
        record = CanaryRecord(
            candidate="sha256:" + subject["digest"]["sha256"],
            baseline=stated["baseline"],
            previous=stated["previous"],
            verdict=stated["verdict"],
            share=stated["share"],
            attempts=stated["attempts"],
            suites={item["name"]: "sha256:" + item["digest"]["sha256"] for item in predicate["configuration"]},
            traffic=stated["traffic"],
            models=stated["models"],
            guardrails=stated["guardrails"],
            evidence=stated["evidence"],
        )
        kinds = (value["_type"], value["predicateType"], predicate["result"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise RefusedError("the canary's statement lacks what a test result of a release has") from error
    wrong = [name for name, fits in _SHAPES.items() if not fits(getattr(record, name))]
    if wrong:
        raise RefusedError(f"the canary's statement holds no usable {wrong[0]!r}")
    if kinds != (TYPE, PREDICATE, _RESULTS.get(record.verdict)):
        raise RefusedError("the canary's statement is no test result, or its result contradicts its verdict")
    canonical.dumps(record.evidence)
    return record


def _text(value: object) -> bool:
    return isinstance(value, str)


def _optional(value: object) -> bool:
    return value is None or isinstance(value, str)


def _identity(value: object) -> bool:
    """Tell whether this is a model as a canary records it."""
    return isinstance(value, dict) and all(map(_optional, value.values()))


_SHAPES: dict[str, Callable[[Any], bool]] = {
    "candidate": _text,
    "baseline": _optional,
    "previous": _optional,
    "verdict": _text,
    "share": lambda value: type(value) in {int, float} and 0 < value <= 1,
    "attempts": lambda value: type(value) is int and value >= 0,
    "suites": lambda value: all(map(_text, value)),
    "traffic": _optional,
    "models": lambda value: isinstance(value, list) and all(map(_identity, value)),
    "guardrails": lambda value: isinstance(value, list) and all(isinstance(row, dict) for row in value),
    "evidence": lambda value: isinstance(value, dict),
}


def summary(result: CanaryResult) -> str:
    """Return the canary as lines of plain text for a tag's message."""
    from promptops.evaluation import report

    share = f"{100 * result.share:.4f}".rstrip("0").rstrip(".")
    summed = f"canary    {result.verdict} at {share}%, {counted(result.attempts, 'attempt')}"
    return "\n  ".join([summed, *report.table(result.guardrails)])


def _label(row: dict[str, Any]) -> str:
    return f"{row.get('suite')}/{row.get('metric')}"
