"""What an application records: that a prompt was used, what came of it, and that somebody could have said so.

Units and sessions leave the application as keyed hashes only (BLAKE2b, RFC 7693). The key is PROMPTOPS_UNIT_KEY, or the
file ``unit.key`` in the folder of the events: processes that share a key give a user the same hash.
"""

from __future__ import annotations

import math
import os
import time
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, Protocol

from promptops import __version__
from promptops.errors import UsageError
from promptops.runtime import events
from promptops.runtime.assignment import HASH

if TYPE_CHECKING:
    from promptops.runtime.events import Sink

KEY_VARIABLE = "PROMPTOPS_UNIT_KEY"
ENVIRONMENT_VARIABLE = "PROMPTOPS_ENVIRONMENT"
CONTENT_VARIABLE = "PROMPTOPS_EVENT_CONTENT"
SDK = f"promptops-python/{__version__}"
LARGEST = 1e12
_UNITS_OF = frozenset({None, "turn", "session", "user"})
_SOURCES = frozenset({"user", "judge", "rule", "system", "human-review"})

_sinks: tuple[Sink, ...] | None = None
_files: dict[str, events.FileSink] = {}
_keys: dict[tuple[str | None, str], bytes] = {}


class Served(Protocol):
    """What `promptops.load` gave: who got which release, and why."""

    @property
    def name(self) -> str:
        """Name of the prompt."""

    @property
    def environment(self) -> str:
        """Where it is live."""

    @property
    def digest(self) -> str:
        """Digest of the release."""

    @property
    def decision(self) -> dict[str, Any]:
        """The decision in force, with its ``sequence``."""

    @property
    def rollout(self) -> str | None:
        """Id of the rollout."""

    @property
    def stage(self) -> int | None:
        """Number of its stage."""

    @property
    def arm(self) -> str:
        """``canary``, ``baseline`` or ``stable``."""

    @property
    def slot(self) -> int | None:
        """The unit's slot."""

    @property
    def reason(self) -> str:
        """Why this arm."""

    @property
    def propensity(self) -> int:
        """How many of the 2^32 slots the arm has."""

    @property
    def unit(self) -> str | None:
        """As given to `promptops.load`, like the rest."""

    @property
    def unit_type(self) -> str:
        """What a unit is."""

    @property
    def session(self) -> str | None:
        """The session."""


def use(*sinks: Sink) -> None:
    """Send the events of this process to ``sinks``; without any, to files again.

    Args:
        sinks: all of them get every event. ``files()`` is the one that is used by default.
    """
    global _sinks  # noqa: PLW0603  one setting of the process
    _sinks = sinks or None


def files() -> events.FileSink:
    """Return the sink that writes to the folder PROMPTOPS_EVENTS, or to ``promptops-events``."""
    folder = os.environ.get(events.FOLDER_VARIABLE) or events.DEFAULT_FOLDER
    found = _files.get(folder)
    return found if found is not None else _files.setdefault(folder, events.FileSink(folder))


def lost() -> int:
    """Return how many events this process could not write to files."""
    return sum(sink.lost for sink in _files.values())


def exposure(
    resolved: Served,
    *,
    response_id: str | None = None,
    turn: int | None = None,
    shadow: bool = False,
    content: object = None,
) -> None:
    """Record that a request was used.

    Args:
        resolved: what `promptops.load` gave.
        response_id: the provider's id of the reply.
        turn: number of the turn in its session.
        shadow: the reply was shown to nobody.
        content: JSON value with what was said; dropped unless PROMPTOPS_EVENT_CONTENT is ``1``.

    Raises:
        UsageError: an argument is of another type.
    """
    members = {
        "release": resolved.digest,
        "rollout": resolved.rollout,
        "decision": resolved.decision.get("sequence"),
        "stage": resolved.stage,
        "arm": resolved.arm,
        "slot": resolved.slot,
        "hash": HASH,
        "unit_type": resolved.unit_type,
        "reason": resolved.reason,
        "propensity": resolved.propensity,
        "shadow": shadow,
        "sdk": SDK,
    }
    if content is not None and os.environ.get(CONTENT_VARIABLE) == "1":
        members["content"] = content
    who = (resolved.unit, resolved.session, turn, response_id)
    _send("exposure", resolved.environment, resolved.name, who, members)


def outcome(
    name: str,
    value: float | None = None,
    *,
    prompt: str,
    environment: str | None = None,
    unit: str | None = None,
    session: str | None = None,
    turn: int | None = None,
    response_id: str | None = None,
    unit_of: str | None = None,
    source: str = "user",
    evaluator: str | None = None,
    latency: float | None = None,
    missing: str | None = None,
) -> None:
    """Record what came of using a prompt, wherever and whenever it is known.

    Args:
        name: such as ``thumbs``.
        value: a number of at most 1e12 in size, or a truth value; None where there is none.
        prompt: name of the prompt.
        environment: where it is live; without it PROMPTOPS_ENVIRONMENT.
        unit: as given to `promptops.load`, like ``session``.
        session: of the outcome; None for one of the unit as a whole.
        turn: number of the turn in its session.
        response_id: the provider's id of the reply.
        unit_of: ``turn``, ``session`` or ``user``: what the value is about.
        source: ``user``, ``judge``, ``rule``, ``system`` or ``human-review``.
        evaluator: digest of what judged.
        latency: seconds until the value was known.
        missing: why there is no value.

    Raises:
        UsageError: an argument is of another type, or nobody says which environment.
    """
    if unit_of not in _UNITS_OF or source not in _SOURCES:
        raise UsageError(
            f"an outcome of {unit_of!r:.40} from {source!r:.40}",
            hint=f"unit_of: turn, session or user; source: {', '.join(sorted(_SOURCES))}",
        )
    members = {
        "name": _text("name", name),
        "value": _number("value", value),
        "unit_of": unit_of,
        "source": source,
        "evaluator": _optional("evaluator", evaluator),
        "latency": _number("latency", latency),
        "missing": _optional("missing", missing),
    }
    _send("outcome", environment, prompt, (unit, session, turn, response_id), members)


def opportunity(
    name: str,
    *,
    prompt: str,
    environment: str | None = None,
    unit: str | None = None,
    session: str | None = None,
    turn: int | None = None,
    response_id: str | None = None,
) -> None:
    """Record that somebody could have given feedback: without it nobody knows which share of the users gave none.

    Args:
        name: the outcome that they could give.
        prompt: as in `outcome`, like all others.
        environment: where the prompt is live.
        unit: as given to `promptops.load`.
        session: as given to `promptops.load`.
        turn: number of the turn.
        response_id: the provider's id of the reply.

    Raises:
        UsageError: an argument is of another type, or nobody says which environment.
    """
    _send("opportunity", environment, prompt, (unit, session, turn, response_id), {"name": _text("name", name)})


def _send(
    kind: str,
    environment: str | None,
    prompt: str,
    who: tuple[str | None, str | None, int | None, str | None],
    members: dict[str, Any],
) -> None:
    environment = environment or os.environ.get(ENVIRONMENT_VARIABLE)
    if not environment:
        raise UsageError("which environment is this of?", hint=f"environment='prod', or set {ENVIRONMENT_VARIABLE}")
    unit, session, turn, response_id = who
    if turn is not None and (type(turn) is not int or turn < 0):
        raise UsageError(f"a turn is a number from 0, not {turn!r:.40}")
    response_id = _optional("response_id", response_id)
    sinks: tuple[Sink, ...] = _sinks if _sinks is not None else (files(),)
    try:
        key = _key()
    except OSError as error:
        # Without its key no event can leave; with files it is the same folder that cannot be written.
        files().failed(error)
        return
    now = time.time_ns() // 1_000_000
    event = {
        "v": 1,
        "type": kind,
        "event_id": events.event_id(now),
        "ts": now,
        "env": _text("environment", environment),
        "prompt": _text("prompt", prompt),
        "unit": None if unit is None else _hashed("unit", unit, key),
        "session": None if session is None else _hashed("session", session, key),
        "turn": turn,
        "response_id": response_id,
        **members,
    }
    for sink in sinks:
        sink.write(event)


def hashed(kind: str, value: str) -> str:
    """Return the hash by which a unit or session is known in events: 32 hexadecimal digits.

    Args:
        kind: ``unit`` or ``session``.
        value: as given to `promptops.load`.

    Raises:
        OSError: there is no key, and none can be made.
    """
    return _hashed(kind, value, _key())


def _hashed(kind: str, value: str, key: bytes) -> str:
    if not isinstance(value, str):
        raise UsageError(f"a {kind} is text, not {type(value).__name__}", hint=f"{kind}=str(...)")
    data = value.encode("utf-8", "surrogatepass")
    return blake2b(data, digest_size=16, key=key, person=kind.encode()).hexdigest()


def _key() -> bytes:
    given = os.environ.get(KEY_VARIABLE) or None
    folder = os.environ.get(events.FOLDER_VARIABLE) or events.DEFAULT_FOLDER
    found = _keys.get((given, folder))
    if found is None:
        secret = given.encode("utf-8", "surrogateescape") if given else events.key_of(folder)
        # BLAKE2b takes keys of at most 64 bytes.
        found = _keys.setdefault((given, folder), blake2b(secret, digest_size=32).digest())
    return found


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise UsageError(f"{what} is text of 1 to 200 characters, not {value!r:.40}")
    return value


def _optional(what: str, value: object) -> str | None:
    return None if value is None else _text(what, value)


def _number(what: str, value: object) -> float | None:
    if value is None:
        return None
    if not isinstance(value, (bool, int, float)) or not math.isfinite(value) or abs(value) > LARGEST:
        raise UsageError(f"{what} is a number of at most 1e12, not {value!r:.40}")
    return float(value) if isinstance(value, bool) else value
