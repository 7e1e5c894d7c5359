"""What a client did, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Stats:
    """Counts of one client.

    Attributes:
        sent: attempts, each of which is one request.
        replied: calls answered by the endpoint.
        failed: calls without an answer, by kind.
        retried: attempts that were followed by another one, by kind.
        prompt_tokens: in the endpoint's answers.
        completion_tokens: in the endpoint's answers.
        cost: of the endpoint's answers, in the price's currency; what lost attempts may have cost is in the budget.
        peak: most calls under way at a time.
    """

    sent: int = 0
    replied: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    peak: int = 0
