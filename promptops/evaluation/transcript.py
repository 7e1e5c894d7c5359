"""What one arm answered to one case: the sessions of its views, turn by turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from promptops.inference.reply import Reply


@dataclass(frozen=True, slots=True)
class Exchange:
    """One turn.

    Attributes:
        said: the user's words.
        reply: the answer to them.
    """

    said: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class Transcript:
    """An arm's answers to a case.

    Attributes:
        views: turns in order by the name of the view; the only session of a case without views has the name "". A
            session holds fewer turns than the case where a condition or a silent reply ended it.
        scores: scores that come from elsewhere by metric, as of judges and harnesses; None where one is not readable.
        floors: parts of validity floors that come with them, by ``metric/floor``.
    """

    views: Mapping[str, tuple[Exchange, ...]]
    scores: Mapping[str, float | None] = field(default_factory=dict)
    floors: Mapping[str, float] = field(default_factory=dict)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All turns, view by view."""
        return tuple(exchange for session in self.views.values() for exchange in session)

    @property
    def replies(self) -> tuple[Reply, ...]:
        """All replies, view by view."""
        return tuple(exchange.reply for exchange in self.exchanges)

    @property
    def text(self) -> str:
        """The replies for people to read; of several, each after what it answers."""
        exchanges = self.exchanges
        if len(exchanges) == 1:
            return exchanges[0].reply.text
        parts = []
        for name, session in self.views.items():
            parts += [f"[{name}]"] * bool(name)
            for exchange in session:
                parts += [f"> {exchange.said}", exchange.reply.text]
        return "\n".join(parts)


def single(reply: Reply, said: str = "") -> Transcript:
    """Return the transcript of one question and its reply."""
    return Transcript({"": (Exchange(said, reply),)})
