"""Sending many calls to one endpoint: as many at a time as it bears, within a budget, paying once."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from promptops.errors import PromptopsError
from promptops.inference.answer import Answer, read
from promptops.inference.budget import Budget, Hold, Meter, Price
from promptops.inference.clock import SYSTEM, Clock
from promptops.inference.ledger import Usage
from promptops.inference.pace import Pace, Window
from promptops.inference.reply import Call, Failure, Reply
from promptops.inference.retry import RETRIED, AttemptError, RetryPolicy, delay
from promptops.inference.stats import Stats
from promptops.inference.transport import Transport
from promptops.text import counted

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from promptops.inference.endpoint import Endpoint
    from promptops.inference.journal import Journal

CONCURRENCY = 64
# Calls in a row, all their attempts failed, that end a run which had replies before; without any, one does.
_BARREN = 16
_NOTHING = Usage(0, 0.0)
_ENCODED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_Task = asyncio.Task[Reply | Failure]


@dataclass(frozen=True, slots=True)
class _Order:
    """A call made ready to be sent: its JSON and the most tokens that it may use."""

    call: Call
    body: bytes
    prompt: int
    completion: int
    worst: Usage


class Client:
    """Sends calls to one endpoint; an async context manager.

    An answer that does not say how many tokens it used is taken to have used the most that it could, in its reply
    and in the budget alike. A journaled reply is returned without a request and counts towards the budget as if this
    run had paid it, so that a resumed run as a whole stays within its limits.

    Args:
        endpoint: where to send.
        price: the model's price, or the model file's ``price`` mapping.
        limits: the model file's ``limits`` mapping: ``context``, ``output``, ``requests_per_minute``, ``concurrency``.
        budget: what the run may use; several clients of one event loop may share it.
        journal: where replies are kept, and looked up by the call's key.
        concurrency: calls under way at most; the limits and the endpoint may allow fewer.
        retry: attempts and waits.
        timeout: seconds for one attempt.
        grace: seconds that calls under way get when the run is cut short.
        max_body: bytes of a response at most.
        clock: where time comes from.

    Raises:
        UsageError: the budget is in money and the model has no price in its currency.
        PromptopsError: the openai client is not installed.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        price: Price | Mapping[str, Any] | None = None,
        limits: Mapping[str, Any] | None = None,
        budget: Budget | None = None,
        journal: Journal | None = None,
        concurrency: int = CONCURRENCY,
        retry: RetryPolicy | None = None,
        timeout: float = 180.0,
        grace: float = 30.0,
        max_body: int = 16 * 1024 * 1024,
        clock: Clock = SYSTEM,
    ) -> None:
        limits = limits or {}
        most = max(1, min(concurrency, limits.get("concurrency") or concurrency, endpoint.slots or concurrency))
        self.stats = Stats()
        self.budget = budget or Budget(now=clock.now)
        if journal is not None:
            self.budget.open(journal.ledger)
        self._endpoint = endpoint
        self._meter = Meter(
            price if price is None or isinstance(price, Price) else Price.read(price),
            limits,
            self.budget,
            free=endpoint.free,
        )
        self._journal = journal
        self._retry = retry or RetryPolicy()
        self._timeout = timeout
        self._grace = grace
        self._clock = clock
        self._window = Window(most)
        self._pace = Pace(limits.get("requests_per_minute"))
        self._transport = Transport(endpoint, connections=most, max_body=max_body, wall=clock.wall)
        self._fatal: PromptopsError | None = None
        self._barren = 0
        self._tasks: set[_Task] = set()
        self._on_wire: set[asyncio.Task[Any] | None] = set()
        self._last_attempt: set[asyncio.Task[Any] | None] = set()
        self._sleepers: set[asyncio.Future[None]] = set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._drain(set(self._tasks))
        finally:
            await self._transport.close()

    async def reply(self, call: Call) -> Reply | Failure:
        """Send one call as soon as there is a place, places being given in the order of asking.

        A call that the budget does not allow is a failure of kind ``budget``. When the caller is cancelled, a call that
        is under way gets ``grace`` seconds, and its reply goes to the journal.

        Raises:
            PromptopsError: no call can succeed (wrong key, unknown model, no credit, the endpoint is down), or the
                journal cannot be written. It is raised for every further call too, but a reply that was under way is
                returned.
        """
        kept = self._recall(call)
        if kept is not None:
            return kept
        await self._window.wait()
        try:
            self._check()
            task = self._start(call)
            try:
                await _end(task)
            except asyncio.CancelledError:
                await self._drain({task})
                raise
        finally:
            self._window.give()
        if task.cancelled() or not isinstance(task.result(), Reply):
            self._check()
        return task.result()

    def _check(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def _open(self) -> bool:
        return self._fatal is None and self.budget.exhausted is None

    def _recall(self, call: Call) -> Reply | None:
        return self._journal.get(call.key) if self._journal else None

    def _start(self, call: Call) -> _Task:
        task = asyncio.create_task(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self.stats.peak = self._window.peak
        return task

    def _ended(self, task: _Task) -> None:
        """Once nothing more may be sent, end the waits of calls that are not under way."""
        self._tasks.discard(task)
        if self._fatal is not None:
            for waiting in self._tasks - self._on_wire:
                waiting.cancel()
        elif self.budget.exhausted is not None:
            for sleeper in self._sleepers:
                sleeper.cancel()

    async def _drain(self, tasks: set[_Task]) -> None:
        for task in tasks:
            if task in self._on_wire:
                self._last_attempt.add(task)
            else:
                task.cancel()
        try:
            if tasks:
                _, late = await asyncio.wait(tasks, timeout=self._grace)
                for task in late:
                    task.cancel()
                await asyncio.gather(*late, return_exceptions=True)
        finally:
            self._last_attempt -= tasks

    async def _answer(self, call: Call) -> Reply | Failure:
        """Get one call answered, with retries; an error that ends the run goes to ``_fatal``."""
        try:
            result = await self._try(self._prepare(call))
        except PromptopsError as error:
            self._fatal = self._fatal or error
            result = Failure(call.key, "rejected", error.message, 0)
        if isinstance(result, Failure):
            self.stats.failed[result.kind] += 1
            self._note_silence(result)
            return result
        self._barren = 0
        self.stats.replied += 1
        self.stats.prompt_tokens += result.prompt_tokens
        self.stats.completion_tokens += result.completion_tokens
        self.stats.cost += result.cost
        if self._journal is not None:
            try:
                self._journal.add(result)
            except PromptopsError as error:
                self._fatal = self._fatal or error
        return result

    def _note_silence(self, failure: Failure) -> None:
        """End the run where the endpoint is down: thousands of calls would each go through all their attempts."""
        if failure.kind not in RETRIED or failure.attempts < self._retry.attempts:
            return
        self._barren += 1
        if self._fatal is None and self._barren >= (_BARREN if self.stats.replied else 1):
            self._fatal = PromptopsError(
                f"{self._endpoint.name} does not answer, after {counted(failure.attempts, 'attempt')}:"
                f" {failure.message}",
                hint=f"check that {self._endpoint.base_url} is right and up, and run the same command again",
            )

    def _prepare(self, call: Call) -> _Order:
        body = _ENCODED(call.request).encode("utf-8", "replace")
        prompt, completion = self._meter.worst(call.request, len(body))
        return _Order(call, body, prompt, completion, Usage(prompt + completion, self._meter.cost(prompt, completion)))

    async def _try(self, order: _Order) -> Reply | Failure:
        key = order.call.key
        for attempt in range(1, self._retry.attempts + 1):
            hold = await self._cleared(order)
            if hold is None:
                return Failure(key, "budget", f"the budget of {self.budget.exhausted} is used up", attempt - 1)
            try:
                return await self._attempt(order, hold, attempt)
            except AttemptError as error:
                failure = Failure(key, error.kind, error.message, attempt)
                if error.fatal is not None:
                    raise error.fatal from error
                if error.kind not in RETRIED or attempt == self._retry.attempts or not self._may_retry():
                    return failure
                self.stats.retried[error.kind] += 1
                wait = delay(self._retry, attempt, error.retry_after, random.random())  # noqa: S311  jitter, no secret
            if self.budget.outlasts(wait):
                await self._rest(wait)
        return failure

    def _may_retry(self) -> bool:
        return self._open() and asyncio.current_task() not in self._last_attempt

    async def _cleared(self, order: _Order) -> Hold | None:
        """Wait until one attempt may go and its worst case is set aside; None when the budget forbids it."""
        at = self._pace.book(self._clock.now())
        while (wait := self._pace.open_at(at) - self._clock.now()) > 0:
            if not self.budget.outlasts(wait):
                return None
            await self._rest(wait)
        return await self.budget.reserve(order.worst, self._timeout)

    async def _attempt(self, order: _Order, hold: Hold, attempt: int) -> Reply:
        remaining = self.budget.remaining_seconds
        timeout = self._timeout if remaining is None else min(self._timeout, remaining)
        task = asyncio.current_task()
        model = str(order.call.request.get("model", ""))
        # Whatever ends this attempt unexpectedly, it may have been billed.
        used: Usage | None = None
        self._on_wire.add(task)
        self.stats.sent += 1
        sent_at = self._clock.now()
        try:
            response = await self._transport.post(order.body, model, timeout)
            answer = read(response.body, response.content_type)
            reply = self._reply(order, answer, self._clock.now() - sent_at, attempt)
            used = Usage(reply.prompt_tokens + reply.completion_tokens, reply.cost)
        except AttemptError as error:
            if not error.billed:
                used = _NOTHING
            if error.overloaded:
                self._slow_down(error, sent_at)
            raise
        finally:
            self._on_wire.discard(task)
            self._settle(hold, used)
        self._window.grow()
        return reply

    def _settle(self, hold: Hold, used: Usage | None) -> None:
        try:
            self.budget.settle(hold, used)
        except PromptopsError as error:
            # The reply was paid for and must arrive; nothing more is sent.
            self._fatal = self._fatal or error
        self.budget.outlasts(0)

    def _slow_down(self, error: AttemptError, sent_at: float) -> None:
        now = self._clock.now()
        self._window.shrink(sent_at, now)
        if error.retry_after is not None:
            self._pace.pause(now + min(error.retry_after, self._retry.server_cap))

    def _reply(self, order: _Order, answer: Answer, latency: float, attempt: int) -> Reply:
        prompt = order.prompt if answer.prompt_tokens is None else answer.prompt_tokens
        completion = order.completion if answer.completion_tokens is None else answer.completion_tokens
        return Reply(
            key=order.call.key,
            text=answer.text,
            model=answer.model,
            fingerprint=answer.fingerprint,
            finish_reason=answer.finish_reason,
            prompt_tokens=prompt,
            completion_tokens=completion,
            latency=latency,
            cost=self._meter.cost(prompt, completion),
            attempts=attempt,
            tool_calls=answer.tool_calls,
        )

    async def _rest(self, seconds: float) -> None:
        """Sleep until the time is over or ``_ended`` ends it."""
        sleeper = asyncio.ensure_future(self._clock.sleep(seconds))
        self._sleepers.add(sleeper)
        try:
            await asyncio.wait({sleeper})
        finally:
            sleeper.cancel()
            self._sleepers.discard(sleeper)


async def _end(task: _Task) -> None:
    """Wait until a task has ended in whatever way; a caller that is cancelled leaves it alone."""
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def tell(_: _Task) -> None:
        if not ended.done():
            ended.set_result(None)

    task.add_done_callback(tell)
    await ended


def complete(
    endpoint: Endpoint,
    call: Call,
    *,
    price: Price | Mapping[str, Any] | None = None,
    limits: Mapping[str, Any] | None = None,
    budget: Budget | None = None,
    timeout: float = 180.0,
) -> Reply:
    """Send one call and return its reply.

    Raises:
        PromptopsError: there is no reply.
    """

    async def once() -> Reply | Failure:
        # Nothing keeps the reply of a call that is interrupted, so there is nothing to wait for.
        async with Client(endpoint, price=price, limits=limits, budget=budget, timeout=timeout, grace=0.0) as client:
            return await client.reply(call)

    result = asyncio.run(once())
    if isinstance(result, Failure):
        raise PromptopsError(
            f"no reply from {endpoint.name} after {counted(result.attempts, 'attempt')}: {result.message}",
            hint="try again later"
            if result.kind in RETRIED
            else "check the parameters of the prompt and of the model file",
        )
    return result
