"""Putting a case to an arm: every view in a session of its own, turn after turn."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from promptops.evaluation import evaluators, exam, sampling
from promptops.evaluation.transcript import Exchange, Transcript
from promptops.inference.reply import Failure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence

    from promptops.evaluation.arms import Arm
    from promptops.evaluation.case import Case, Simulation, Turn, View
    from promptops.evaluation.sampling import Draw
    from promptops.inference.reply import Reply

_T = TypeVar("_T")
# What the model that plays the user says when it has what it wants.
_DONE = "[END]"
_PLAYED = (
    "You play the user in a conversation with an assistant. Stay in character and write only the user's next message.\n"
    "Who you are: {persona}\nWhat you want: {goal}\n"
    f"When you have it, or there is nothing left to say, write {_DONE} and nothing else."
)


async def together(work: Sequence[Coroutine[Any, Any, _T]]) -> list[_T]:
    """Return what all of them return, in order; one that is alone needs no task of its own."""
    return [await work[0]] if len(work) == 1 else await asyncio.gather(*work)


class Helper(Protocol):
    """A model that a suite asks for itself, as one that plays the user or judges."""

    async def answer(
        self, key: str, messages: list[dict[str, Any]], parameters: Mapping[str, Any] | None = None
    ) -> Reply | Failure:
        """Return the reply to ``messages``; ``key`` names the call within the evidence."""
        ...


@dataclass(frozen=True, slots=True)
class Conversation:
    """One arm's answers to one draw, as they come in.

    Attributes:
        arm: who is asked.
        draw: what is drawn.
        case: the case of the draw.
        helpers: the models that the suites ask for themselves, by the name of the model file.
    """

    arm: Arm
    draw: Draw
    case: Case
    helpers: Mapping[str, Helper]

    async def hold(self) -> Transcript | Failure:
        """Return all answers, or the first failure: half a case says nothing.

        Raises:
            InputError: the case does not fit the prompt's variables.
        """
        views = self.case.views
        sessions = await together([self._session(name, view) for name, view in views.items()])
        found = {}
        for name, session in zip(views, sessions, strict=True):
            if isinstance(session, Failure):
                return session
            found[name] = tuple(session)
        return Transcript(found)

    async def _session(self, name: str, view: View) -> list[Exchange] | Failure:
        request = exam.request(self.case, view, self.arm.configuration)
        reply = await self.arm.answer(sampling.call_key(self.draw, name, 0), request)
        if isinstance(reply, Failure):
            return reply
        held, messages = [Exchange(view.asked, reply)], list(request["messages"])
        async for said in self._turns(name, view, held):
            if isinstance(said, Failure):
                return said
            messages += [
                {"role": "assistant", "content": held[-1].reply.text},
                {"role": "user", "content": said},
            ]
            key = sampling.call_key(self.draw, name, len(held))
            reply = await self.arm.answer(key, {**request, "messages": list(messages)})
            if isinstance(reply, Failure):
                return reply
            held.append(Exchange(said, reply))
        return held

    async def _turns(self, name: str, view: View, held: Sequence[Exchange]) -> AsyncIterator[str | Failure]:
        """Yield what the user says next, as long as there is something to answer to."""
        for turn in view.turns:
            for _ in range(turn.most):
                # After a call of a tool the next word is the tool's, and a suite has no tools.
                if not held[-1].reply.text.strip() or held[-1].reply.tool_calls:
                    return
                said = await self._next(name, turn, held)
                if said is None:
                    break
                yield said
            if said is None and turn.simulate is None:
                return

    async def _next(self, name: str, turn: Turn, held: Sequence[Exchange]) -> str | Failure | None:
        if turn.simulate:
            return await self._played(name, turn.simulate, held)
        fits = all(evaluators.run(definition, self.case, held[-1].reply) == 1.0 for definition in turn.when)
        return turn.say if fits else turn.otherwise

    async def _played(self, name: str, simulation: Simulation, held: Sequence[Exchange]) -> str | Failure | None:
        played = _PLAYED.format(persona=simulation.persona, goal=simulation.goal)
        messages = [{"role": "system", "content": played}]
        for exchange in held:
            # To the model that plays the user, the user's words are its own.
            messages += [
                {"role": "assistant", "content": exchange.said},
                {"role": "user", "content": exchange.reply.text},
            ]
        key = sampling.call_key(self.draw, name, len(held), by="user")
        reply = await self.helpers[simulation.model].answer(f"{self.arm.name} {key}", messages)
        if isinstance(reply, Failure):
            return reply
        said = reply.text.strip()
        return None if not said or said.startswith(_DONE) else said
