"""What a run will use and cost, before the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from promptops.evaluation import exam, forecast
from promptops.inference.budget import Price

if TYPE_CHECKING:
    from promptops.evaluation.runs.plan import Plan

_SAMPLE = 200


class Estimate(NamedTuple):
    """Tokens and money of a run of everything that is selected.

    Attributes:
        tokens: ``expected`` and ``worst``; worst is None where nothing bounds an answer.
        cost: the same in ``currency``; None without a price.
        currency: of the model file.
        without: what is not counted, in words, or "".
    """

    tokens: dict[str, int | None]
    cost: dict[str, float | None]
    currency: str
    without: str


def estimate(plan: Plan) -> Estimate:
    """Return what a run will use, from up to 200 of its cases; retries are not counted."""
    chosen = [(suite, case) for suite in plan.suites for case in plan.selection.of(suite)]
    sample = chosen[:: max(1, len(chosen) // _SAMPLE)]
    requests = [
        exam.request(case, view, plan.configuration)
        for suite, case in sample
        for view in case.views.values()
        for _ in range(view.calls * plan.selection.times(suite, case))
    ]
    calls = sum(count["calls"] for count in plan.counts().values())
    share = calls / len(requests) if requests else 0.0
    price = Price.read(plan.configuration.model.settings.get("price"))
    tokens: dict[str, int | None] = {}
    cost: dict[str, float | None] = {}
    for name, used in forecast.tokens(plan.configuration, requests).items():
        tokens[name] = None if used is None else round(share * sum(used))
        cost[name] = None if used is None or price is None else round(share * price.cost(*used), 6)
    asked = any(suite.asks for suite in plan.suites)
    without = ", without simulated users and judges" if asked else ""
    return Estimate(tokens, cost, price.currency if price else "USD", without)
