"""The configurations that a canary compares, each behind the client that answers for its model."""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from promptops.inference import endpoint
from promptops.inference.client import CONCURRENCY, Client
from promptops.inference.reply import Call, Failure, Reply

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from promptops.inference.budget import Budget
    from promptops.inference.journal import Journal
    from promptops.registry.configuration import Configuration
    from promptops.registry.prompt import Model


_AGAIN = " again"


class Arm(Protocol):
    """One side of a comparison."""

    name: str
    configuration: Configuration

    async def answer(self, key: str, request: dict[str, Any]) -> Reply | Failure:
        """Return the reply to a request; ``key`` names the question and not the arm."""
        ...

    def knows(self, key: str) -> bool:
        """Return whether the reply costs nothing."""
        ...


@dataclass(slots=True)
class LiveArm:
    """An arm that is asked now, or was asked earlier in the same evidence.

    Attributes:
        name: ``baseline`` or ``candidate``.
        journal: paid replies of this evidence.
    """

    name: str
    configuration: Configuration
    client: Client
    journal: Journal

    async def answer(self, key: str, request: dict[str, Any]) -> Reply | Failure:
        """See `Arm.answer`. A recorded reply of another model than was asked for is asked for again."""
        return await self.client.reply(Call(self._full(key), request))

    def knows(self, key: str) -> bool:
        """See `Arm.knows`: it was paid for already."""
        return self.journal.get(self._full(key)) is not None

    def _full(self, key: str) -> str:
        full = f"{self.name} {key}"
        while (kept := self.journal.get(full)) is not None and moved(self.configuration, kept):
            full += _AGAIN
        return full


@dataclass(slots=True)
class RecordedArm:
    """An arm that only repeats what it once answered.

    Attributes:
        name: ``baseline``.
        replies: by the question's key.
    """

    name: str
    configuration: Configuration
    replies: Mapping[str, Reply]

    async def answer(self, key: str, request: dict[str, Any]) -> Reply | Failure:
        """See `Arm.answer`."""
        del request
        return self.replies.get(key) or Failure(key, "rejected", "no reply is recorded", 0)

    def knows(self, key: str) -> bool:
        """See `Arm.knows`: it repeats all, and what it cannot repeat fails at once."""
        del key
        return True


@dataclass(slots=True)
class LiveHelper:
    """A model that a suite asks for itself, and no arm.

    Attributes:
        model: its model file, whose defaults are its parameters.
    """

    model: Model
    client: Client

    async def answer(
        self, key: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any] | None = None
    ) -> Reply | Failure:
        """Return the reply to ``messages``; another model's is a failure.

        Args:
            key: names the call within the evidence.
            messages: as sent.
            parameters: in place of the model file's defaults, where given.
        """
        request = {"model": self.model.id, **self.model.defaults, **(parameters or {}), "messages": messages}
        reply = await self.client.reply(Call(f"helper {self.model.name} {key}", request))
        if isinstance(reply, Reply) and reply.model not in self.model.reported_ids:
            told = f"{self.model.name} was asked and {reply.model or 'a model without a name'} answered"
            return Failure(reply.key, "rejected", told, reply.attempts)
        return reply


@dataclass(slots=True)
class RecordedHelper:
    """A model that a suite asks for itself, which only repeats what it once said.

    Attributes:
        name: of the model file.
        replies: by their full key.
    """

    name: str
    replies: Mapping[str, Reply]

    async def answer(
        self, key: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any] | None = None
    ) -> Reply | Failure:
        """Return what was said then; see `LiveHelper.answer`."""
        del messages, parameters
        return self.replies.get(f"helper {self.name} {key}") or Failure(key, "rejected", "no reply is recorded", 0)


def questions(name: str, configuration: Configuration, replies: Mapping[str, Reply]) -> dict[str, Reply]:
    """Return an arm's journaled replies by the question's key, of the right model only."""
    found = {}
    for full, reply in replies.items():
        arm, _, key = full.partition(" ")
        if arm == name and not moved(configuration, reply):
            while key.endswith(_AGAIN):
                key = key.removesuffix(_AGAIN)
            found[key] = reply
    return found


def moved(configuration: Configuration, reply: Reply) -> bool:
    """Say whether another model answered than the model file allows."""
    return reply.model not in configuration.model.reported_ids


def faults(clients: Iterable[Client]) -> dict[str, Counter[str]]:
    """Return how many attempts were ``retried`` and how many calls ``failed`` in the end, by kind.

    Calls that the budget kept back are no faults.
    """
    found: dict[str, Counter[str]] = {"retried": Counter(), "failed": Counter()}
    for client in {id(client): client for client in clients}.values():
        found["retried"] += client.stats.retried
        found["failed"] += client.stats.failed
    del found["failed"]["budget"]
    return found


@contextlib.asynccontextmanager
async def opened(
    configurations: Mapping[str, Configuration],
    asks: Mapping[tuple[str, str], Model],
    *,
    budget: Budget,
    journal: Journal,
    environ: Mapping[str, str],
    concurrency: int = CONCURRENCY,
) -> AsyncIterator[tuple[dict[str, LiveArm], dict[tuple[str, str], LiveHelper]]]:
    """Open the arms by name and the helpers by suite and name.

    Those of one model share a client, so that they meet the same limits at the same time.

    Raises:
        PromptopsError: an endpoint cannot be found, or the client is not installed.
        UsageError: the budget is in money and a model has no price.
    """
    async with contextlib.AsyncExitStack() as stack:
        clients: list[tuple[dict[str, Any], Client]] = []

        async def client_of(model: Model) -> Client:
            settings = model.settings
            known = next((client for kept, client in clients if kept == settings), None)
            if known is None:
                known = await stack.enter_async_context(
                    Client(
                        endpoint.resolve(settings, environ),
                        price=settings.get("price"),
                        limits=settings.get("limits"),
                        budget=budget,
                        journal=journal,
                        concurrency=concurrency,
                    )
                )
                clients.append((settings, known))
            return known

        arms = {
            name: LiveArm(name, configuration, await client_of(configuration.model), journal)
            for name, configuration in configurations.items()
        }
        yield arms, {place: LiveHelper(model, await client_of(model)) for place, model in asks.items()}
