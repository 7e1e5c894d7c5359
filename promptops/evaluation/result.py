"""The outcome of a canary."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """What a canary found; all of it is JSON.

    Attributes:
        prompt: name of the prompt.
        version: version of the candidate.
        candidate: digest of the candidate's configuration.
        baseline: digest of the previous release's configuration, or None for a first release.
        verdict: ``pass``, ``fail`` or ``inconclusive``.
        share: fraction in (0, 1] of traffic replayed, and the most exposure before promotion.
        attempts: how many canaries of this prompt were started against this baseline, this one included.
        guardrails: one row per guardrail: metric, suite, baseline, candidate, difference, low, high, margin, verdict,
            and ``words``, the mean length of a reply by arm, which most scores move with.
        evidence: sufficient statistics from which the verdict can be derived again.
        suites: digest by suite name.
        traffic: digest of the recorded traffic that was replayed, or None.
        models: distinct ``{requested, reported, fingerprint}`` seen in replies.
        calls: ``requests``, ``tokens``, ``cost``, ``seconds`` (from a run's first request to its last answer) spent by
            all runs on this evidence, lost attempts included; ``cases`` and ``rounds``; attempts ``retried`` and calls
            ``failed`` by kind, of the runs that came to an end; ``excess`` in ``tokens`` or ``usd`` where an endpoint
            billed beyond the budget.
        reasons: why the verdict is not ``pass``; empty otherwise.
        advisory: means of scores that no guardrail is on: ``{suite, metric, n, baseline, candidate}``.
        judges: what the canary shows of judges: ``{suite, metric, n, level, calibrated, length, repeated, same}``.
        examples: pairs of replies, worst first, for people: ``{case, metric, input, baseline, candidate}``.
    """

    prompt: str
    version: str
    candidate: str
    baseline: str | None
    verdict: str
    share: float
    attempts: int
    guardrails: list[dict[str, Any]]
    evidence: dict[str, Any]
    suites: dict[str, str]
    traffic: str | None = None
    models: list[dict[str, str | None]] = field(default_factory=list)
    calls: dict[str, Any] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
    examples: list[dict[str, str]] = field(default_factory=list)
    advisory: list[dict[str, Any]] = field(default_factory=list)
    judges: list[dict[str, Any]] = field(default_factory=list)
