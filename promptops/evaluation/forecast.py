"""What a canary will ask, cost and be able to prove, before the first call."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import ceil
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

from promptops.evaluation import exam
from promptops.evaluation.gate import ALPHA
from promptops.evaluation.runner import WINDOW
from promptops.evaluation.tally import BASELINE
from promptops.inference.budget import Budget, Meter, Price
from promptops.inference.client import CONCURRENCY
from promptops.statistics import power

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from promptops.evaluation.harm import Guardrail
    from promptops.evaluation.study import Study
    from promptops.registry.configuration import Configuration

# Assumed where nothing was measured yet; the forecast says that they are.
DISCORDANCE = 0.1
_REPLY_SECONDS = 2.0
_LOCAL_SECONDS = 2.7
_LOCAL_SLOTS = 4
_BYTES_PER_TOKEN = 4
_ANSWER_TOKENS = 256
_SAMPLE = 50
_MOST_PAIRS = 1000
_MOST_PROVABLE = 500


@dataclass(frozen=True, slots=True)
class Forecast:
    """The plan of a canary.

    Attributes:
        cases: how many by suite; ``@traffic`` is recorded traffic.
        guardrails: names.
        pairs: ``least`` that decide, ``expected`` when nothing is wrong and 10 % of pairs differ, ``most`` within the
            budget of requests (None: no such limit).
        replies: the same in replies.
        tokens: ``expected`` and ``worst`` of the expected replies; worst is None where nothing bounds an answer.
        cost: the same in ``currency``; None without a price.
        ahead: replies that may be under way when the verdict falls: paid and kept, and not judged.
        provable: by guardrail, within its part of ``most`` pairs (500 at most): smallest ``margin`` that can pass and
            smallest ``harm`` that fails, each with probability 0.8; of a first release the smallest distance of the
            mean ``within`` the limit that can pass and ``beyond`` it that fails; None: not within these pairs.
        seconds: for the expected replies.
        rate: where ``seconds`` comes from.
        notes: what else to know.
        harnesses: suites that a harness asks: none of their replies is counted.
    """

    cases: dict[str, int]
    guardrails: list[str]
    pairs: dict[str, int | None]
    replies: dict[str, int | None]
    ahead: int
    tokens: dict[str, int | None]
    cost: dict[str, float | None]
    currency: str
    provable: dict[str, dict[str, float | None]]
    seconds: float
    rate: str
    budget: dict[str, float]
    share: float
    notes: list[str]
    harnesses: list[str] = field(default_factory=list)


def forecast(study: Study, latencies: Iterable[float] = ()) -> Forecast:
    """Return the plan of a prepared canary; nothing is sent or written.

    Args:
        study: from `promptops.evaluation.study.prepare`.
        latencies: seconds that earlier replies took.
    """
    arms = len(study.configurations)
    pairs = _pairs(study, arms)
    calls = _calls(study)
    replies = {name: None if count is None else ceil(count * arms * calls) for name, count in pairs.items()}
    expected = pairs["expected"] or 0
    tokens, cost = _sizes(study, expected)
    seconds, rate = _duration(study, replies["expected"] or 0, list(latencies))
    prices = [Price.read(configuration.model.settings.get("price")) for configuration in study.configurations.values()]
    return Forecast(
        cases={pool: len(ids) for pool, ids in study.exam.pools().items()},
        guardrails=sorted(study.exam.rails),
        pairs=pairs,
        replies=replies,
        ahead=ceil(_ahead(study, pairs) * arms * calls),
        tokens=tokens,
        cost=cost,
        currency=next((price.currency for price in prices if price), "USD"),
        provable=_provable(study, _MOST_PAIRS if pairs["most"] is None else pairs["most"]),
        seconds=round(seconds, 1),
        rate=rate,
        budget=dict(study.settings.budget),
        share=study.plan["share"],
        notes=list(study.notes),
        harnesses=sorted(study.exam.harnesses),
    )


def _ahead(study: Study, pairs: Mapping[str, int | None]) -> int:
    """Return how many pairs are under way when the verdict is there."""
    if not study.exam.pools():
        return 0
    most, expected = pairs["most"], pairs["expected"] or 0
    return 2 * WINDOW if most is None else min(2 * WINDOW, most - expected)


def _calls(study: Study) -> float:
    """Return how many replies of one arm a case asks for, on average and at most."""
    pools, cases = study.exam.pools(), study.exam.cases
    # A judge of pairs is asked twice about two arms, and so once for each, as every other.
    judged = {pool: sum(len(judge.models) for judge in study.exam.judges(pool).values()) for pool in pools}
    calls = [cases[pool][case].calls + judged[pool] for pool, ids in pools.items() for case in ids]
    return fmean(calls) if calls else 1.0


def _pairs(study: Study, arms: int) -> dict[str, int | None]:
    """Return pairs: guardrails of one pool share theirs, pools add up."""
    pools = study.exam.pools()
    requests = study.settings.budget.get("requests")
    most = None if requests is None else int(requests / (arms * _calls(study)))
    found: dict[str, int | None] = {"most": most}
    for name, discordance in (("least", 0.0), ("expected", DISCORDANCE)):
        total = sum(_needed(study, pool, discordance) for pool in pools)
        wanted = max(total, study.settings.minimum) if pools else 0
        found[name] = wanted if most is None else min(wanted, most)
    return {name: found[name] for name in ("least", "expected", "most")}


def _needed(study: Study, pool: str, discordance: float) -> int:
    # What a first release needs depends on how far it keeps from its limits; the project's margin stands in.
    margin = study.settings.margin
    if BASELINE in study.configurations:
        margin = min(rail.margin for rail in study.exam.rails.values() if rail.pool == pool)
    needed = power.pairs_to_pass(_MOST_PAIRS, discordance=discordance, margin=margin, alpha=ALPHA)
    return _MOST_PAIRS if needed is None else needed


def _provable(study: Study, most: int) -> dict[str, dict[str, float | None]]:
    rails = study.exam.rails
    pairs = min(most // max(len(study.exam.pools()), 1), _MOST_PROVABLE)
    if BASELINE not in study.configurations:
        return {name: _distances(rail, pairs, len(rails)) for name, rail in sorted(rails.items())}
    margin = power.smallest_margin(pairs, discordance=DISCORDANCE, alpha=ALPHA) if pairs else None
    harms: dict[float, float | None] = {}
    for rail in rails.values():
        if rail.margin not in harms:
            harms[rail.margin] = (
                power.smallest_harm(
                    pairs, discordance=DISCORDANCE, margin=rail.margin, alpha=ALPHA, guardrails=len(rails)
                )
                if pairs
                else None
            )
    return {name: {"margin": margin, "harm": harms[rail.margin]} for name, rail in sorted(rails.items())}


def _distances(rail: Guardrail, replies: int, guardrails: int) -> dict[str, float | None]:
    if not replies or rail.limit is None:
        return {"within": None, "beyond": None}
    limit = rail.limit if rail.direction == "lower" else 1.0 - rail.limit
    return {
        "within": power.smallest_distance(replies, limit=limit, alpha=ALPHA),
        "beyond": power.smallest_distance(replies, limit=limit, alpha=ALPHA, guardrails=guardrails),
    }


def _sizes(study: Study, pairs: int) -> tuple[dict[str, int | None], dict[str, float | None]]:
    """Return tokens and money for so many pairs, from a sample of the requests that would be sent."""
    draws = study.order().take(_SAMPLE, study.exam.pools())
    counts: dict[str, int | None] = {"expected": 0, "worst": 0}
    cost: dict[str, float | None] = {"expected": 0.0, "worst": 0.0}
    for configuration in study.configurations.values():
        requests = [
            exam.request(study.exam.case(draw), view, configuration)
            for draw in draws
            for view in study.exam.case(draw).views.values()
            for _ in range(view.calls)
        ]
        price = Price.read(configuration.model.settings.get("price"))
        share = pairs / len(draws) if draws else 0.0
        for name, used in tokens(configuration, requests).items():
            counts[name] = _add(counts[name], used and round(share * sum(used)))
            cost[name] = _add(cost[name], price.cost(*used) * share if used and price else None)
    return counts, cost


def _add(one: Any, other: Any) -> Any:
    return None if one is None or other is None else one + other


def tokens(configuration: Configuration, requests: list[dict[str, Any]]) -> dict[str, tuple[int, int] | None]:
    """Return tokens of prompt and answer over all requests; None where nothing bounds the answers."""
    meter = Meter(None, configuration.model.settings.get("limits"), Budget())
    sizes = [len(json.dumps(request, ensure_ascii=False).encode("utf-8", "replace")) for request in requests]
    worst = [meter.worst(request, size) for request, size in zip(requests, sizes, strict=True)]
    allowed = [answer for _, answer in worst]
    bounded = all(allowed)
    likely = [min(answer, _ANSWER_TOKENS) if answer else _ANSWER_TOKENS for answer in allowed]
    return {
        "expected": (sum(size // _BYTES_PER_TOKEN for size in sizes), sum(likely)),
        "worst": (sum(prompt for prompt, _ in worst), sum(allowed)) if bounded else None,
    }


def _duration(study: Study, replies: int, latencies: list[float]) -> tuple[float, str]:
    models = [configuration.model for configuration in study.configurations.values()]
    local = any(model.provider == "local" for model in models)
    limits: list[Mapping[str, Any]] = [model.settings.get("limits", {}) for model in models]
    slots = _LOCAL_SLOTS if local else min(limit.get("concurrency", CONCURRENCY) for limit in limits)
    if latencies:
        each, source = median(latencies), f"measured: {median(latencies):.2f} s a reply, {slots} at a time"
    else:
        each = _LOCAL_SECONDS if local else _REPLY_SECONDS
        source = f"assumed: {each:g} s a reply, {slots} at a time"
    seconds = replies * each / slots
    rates = [limit["requests_per_minute"] for limit in limits if limit.get("requests_per_minute")]
    if rates and replies * 60 / min(rates) > seconds:
        return replies * 60 / min(rates), f"limits.requests_per_minute: {min(rates):g}"
    return seconds, source
