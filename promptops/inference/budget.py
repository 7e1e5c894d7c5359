"""Money, requests, tokens and time that a run may use, reserved before they are used."""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from promptops.errors import UsageError
from promptops.inference.ledger import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from promptops.inference.ledger import Ledger

# Sums of floats drift by parts in 10^16; a budget that is met exactly is not exceeded.
_SLACK = 1 + 1e-9


@dataclass(frozen=True, slots=True)
class Price:
    """What tokens cost.

    Attributes:
        input: money per ``per_tokens`` tokens of prompt.
        output: money per ``per_tokens`` tokens of answer.
        currency: ISO 4217 code.
        per_tokens: how many tokens the two numbers are for.
    """

    input: float
    output: float
    currency: str = "USD"
    per_tokens: int = 1_000_000

    @classmethod
    def read(cls, mapping: Mapping[str, Any] | None) -> Price | None:
        """Return the price in a model file's ``price`` mapping, None where there is none."""
        if mapping is None:
            return None
        return cls(
            float(mapping["input"]),
            float(mapping["output"]),
            str(mapping.get("currency", "USD")),
            int(mapping.get("per_tokens", 1_000_000)),
        )

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return what so many tokens cost, in ``currency``."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / self.per_tokens


class Hold(NamedTuple):
    """A reservation for one attempt.

    Attributes:
        number: the attempt's, in the ledger; 0 without one.
        worst: what was expected to suffice.
    """

    number: int
    worst: Usage


class Budget:
    """Limits over all runs of one piece of work, retries included; None is no limit.

    Every attempt reserves its worst case before it is sent. What an answer really used replaces the reservation;
    an attempt whose fate is unknown (a time-out, a cut connection, an unreadable answer) keeps it as spent, because
    it may have been billed. An endpoint that bills more than was reserved can break a limit in tokens or money; from
    then on, reservations are larger by the worst ratio seen. One budget may serve several clients of one event loop.

    Attributes:
        exhausted: the limit that ended the run: ``usd``, ``requests``, ``tokens`` or ``seconds``.
        spent: tokens and money used so far, without reservations.
        sent: attempts so far.
    """

    def __init__(
        self,
        usd: float | None = None,
        requests: int | None = None,
        tokens: int | None = None,
        seconds: float | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.usd = usd
        self.requests = requests
        self.tokens = tokens
        self.seconds = seconds
        self.exhausted: str | None = None
        self.spent = Usage(0, 0.0)
        self.sent = 0
        self._ratio = 1.0
        self._held = Usage(0, 0.0)
        self._now = now
        self._begun: float | None = None
        self._before = 0.0
        self._last = 0.0
        self._ledger: Ledger | None = None
        self._changed: asyncio.Future[None] | None = None

    def open(self, ledger: Ledger) -> None:
        """Start from what earlier runs used, and record what this one does; clients of one budget share a ledger."""
        if ledger is self._ledger:
            return
        if self._ledger is not None:
            raise ValueError("a budget has one ledger")
        self._ledger = ledger
        before = ledger.spent
        self.sent += before.requests
        self.spent = _plus(self.spent, Usage(before.tokens, before.cost))
        self._before = before.seconds
        self._ratio = max(self._ratio, before.ratio)

    @property
    def elapsed(self) -> float:
        """Seconds from each run's first attempt to its last answer, summed over runs."""
        return self._before + self._last

    @property
    def remaining_seconds(self) -> float | None:
        """Seconds left; None without a limit. The first look starts the clock."""
        running = self._running()
        return None if self.seconds is None else self.seconds - self._before - running

    @property
    def excess(self) -> Usage:
        """Tokens and money beyond the limits: what the endpoint billed above the bound that it was given."""
        tokens = 0 if self.tokens is None else max(0, self.spent.tokens - self.tokens)
        over = self.usd is not None and self.spent.cost > self.usd * _SLACK
        return Usage(tokens, self.spent.cost - self.usd if over and self.usd is not None else 0.0)

    def outlasts(self, seconds: float) -> bool:
        """Say whether time remains after waiting so long; ends the run where it does not."""
        remaining = self.remaining_seconds
        if self.exhausted is None and remaining is not None and remaining <= seconds:
            self._exhaust("seconds")
        return self.exhausted is None

    async def reserve(self, worst: Usage, lasting: float) -> Hold | None:
        """Set the worst case of one attempt aside; None when a limit leaves no room for it.

        Waits while attempts under way hold what their answers may free.

        Args:
            worst: the most that the attempt can use.
            lasting: seconds after which it is given up.

        Raises:
            PromptopsError: the ledger cannot be written.
        """
        while self.outlasts(0):
            limit = self._over(worst, Usage(0, 0.0))
            if limit:
                self._exhaust(limit)
            elif self._over(worst, self._held) is None:
                return self._hold(worst, lasting)
            else:
                if self._changed is None:
                    self._changed = asyncio.get_running_loop().create_future()
                # A waiter that is cancelled must not cancel the others' future.
                await asyncio.shield(self._changed)
        return None

    def settle(self, hold: Hold, used: Usage | None) -> None:
        """Replace a reservation by what was used; None, which is not known, counts as the worst case.

        Raises:
            PromptopsError: the ledger cannot be written; this budget has counted it all the same.
        """
        self._held = _plus(self._held, Usage(-hold.worst.tokens, -hold.worst.cost))
        if used is None:
            used = self._scaled(hold.worst)
        elif self.tokens is not None or self.usd is not None:
            self._ratio = max(self._ratio, _ratio(hold.worst, used))
        self.spent = _plus(self.spent, used)
        self._last = self._running()
        self._wake()
        if self._ledger is not None:
            self._ledger.settle(hold.number, used, self._last, self._ratio)

    def _hold(self, worst: Usage, lasting: float) -> Hold:
        self._last = self._running()
        remaining = self.remaining_seconds
        lasting = lasting if remaining is None else min(lasting, remaining)
        number = 0 if self._ledger is None else self._ledger.send(worst, self._last, lasting)
        self._held = _plus(self._held, worst)
        self.sent += 1
        return Hold(number, worst)

    def _running(self) -> float:
        """Return the seconds since the first look."""
        if self._begun is None:
            self._begun = self._now()
        return self._now() - self._begun

    def _scaled(self, worst: Usage) -> Usage:
        return Usage(math.ceil(worst.tokens * self._ratio), worst.cost * self._ratio)

    def _over(self, worst: Usage, held: Usage) -> str | None:
        if self.requests is not None and self.sent >= self.requests:
            return "requests"
        if self.usd is None and self.tokens is None:
            return None
        tokens, cost = _plus(self.spent, self._scaled(_plus(held, worst)))
        if self.usd is not None and cost > self.usd * _SLACK:
            return "usd"
        if self.tokens is not None and tokens > self.tokens:
            return "tokens"
        return None

    def _exhaust(self, limit: str) -> None:
        self.exhausted = limit
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)
        self._changed = None


class Meter:
    """Bounds and bills the calls to one model for one budget.

    Args:
        price: the model's price; None where it has none.
        limits: the model file's ``limits`` mapping (``context``, ``output``: tokens).
        budget: what has to be kept.
        free: whether replies cost nothing.

    Raises:
        UsageError: the budget is in money and the model has no price, or another currency's.
    """

    def __init__(
        self, price: Price | None, limits: Mapping[str, Any] | None, budget: Budget, *, free: bool = False
    ) -> None:
        if budget.usd is not None and not free:
            if price is None:
                raise UsageError(
                    "a budget in USD cannot be kept: the model has no price",
                    hint="add price: {input: ..., output: ...} to the model file, or give the budget in tokens",
                )
            if price.currency != "USD":
                raise UsageError(
                    f"a budget in USD cannot be kept: the model is priced in {price.currency}",
                    hint="give the price in USD in the model file, or the budget in tokens",
                )
        self._price = price
        self._context: int | None = (limits or {}).get("context")
        self._output: int | None = (limits or {}).get("output")
        self._bounded = budget.usd is not None or budget.tokens is not None

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Return the bill; 0 where the model has no price."""
        return self._price.cost(prompt_tokens, completion_tokens) if self._price else 0.0

    def worst(self, request: Mapping[str, Any], size: int) -> tuple[int, int]:
        """Return the most tokens that a request can use, in prompt and in answer.

        A token of a byte-level vocabulary stands for at least one byte, so that the request's JSON has at least as many
        UTF-8 bytes as tokens; images, sound and files do not obey that and count as the whole context.

        Args:
            request: arguments of the call.
            size: bytes of the request's JSON.

        Raises:
            UsageError: a money or token budget needs a bound and there is none.
        """
        prompt = size if _text_only(request) else self._context
        answer = request.get("max_completion_tokens") or request.get("max_tokens") or self._output or self._context
        if prompt is not None and isinstance(answer, int):
            return prompt, answer * (request.get("n") or 1)
        if not self._bounded:
            return prompt or 0, 0
        if prompt is None:
            raise UsageError(
                "a budget in money or tokens needs a bound on what images, sound and files use",
                hint="set limits: {context: ...} in the model file",
            )
        raise UsageError(
            "a budget in money or tokens needs a bound on the length of an answer",
            hint="set max_completion_tokens in the prompt's parameters, or limits: {output: ...} in the model file",
        )


def _text_only(request: Mapping[str, Any]) -> bool:
    for message in request.get("messages") or ():
        content = message.get("content")
        if isinstance(content, list) and any(part.get("type") != "text" for part in content):
            return False
    return True


def _plus(one: Usage, other: Usage) -> Usage:
    return Usage(one.tokens + other.tokens, one.cost + other.cost)


def _ratio(worst: Usage, used: Usage) -> float:
    """Return how many times its worst case an attempt used."""
    tokens = used.tokens / worst.tokens if worst.tokens else 1.0
    return max(tokens, used.cost / worst.cost if worst.cost else 1.0)
