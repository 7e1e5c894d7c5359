"""What a user is worth later: retention, and satisfaction over sessions. One number for each user, all exposed users.

Definitions follow the intention to treat: a user belongs to the arm of the first exposure and counts from it, whatever
happens after; who has not been observed for long enough is not counted yet, never counted as lost. The numbers of each
arm then go to `promptops.statistics.asymptotic.difference`; users are taken in the order in which they mature.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from promptops.statistics.betting import plain_sum

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

DAY = 86_400_000  # milliseconds


def retained(exposed: int, sessions: Iterable[int], *, watermark: int, day: int, days: int = 1) -> bool | None:
    """Tell whether a user came back: a session in ``(t0 + day d, t0 + (day + days) d]``, d being 24 hours.

    Args:
        exposed: t0, the first exposure, in milliseconds since 1970.
        sessions: times of the user's sessions, likewise.
        watermark: until when everything is known, likewise.
        day: 1 for D1, 7 for D7; at least 1.
        days: how long the window is.

    Returns:
        None for a user who has not matured: the window is not over at the watermark.

    Raises:
        ValueError: for a day or a length below 1.
    """
    if day < 1 or days < 1:
        raise ValueError(f"a retention window starts and lasts a day or more, not {day} and {days}")
    start, end = exposed + day * DAY, exposed + (day + days) * DAY
    if end > watermark:
        return None
    return any(start < session <= end for session in sessions)


def slope(scores: Sequence[float], *, minimum: int = 3) -> float | None:
    """Return the least-squares slope of a user's scores over the number of the session, per session.

    ``sum (s - mean s)(y_s - mean y) / sum (s - mean s)^2`` for s = 0, 1, ... Never a gate of its own: users who leave
    choose which slopes are seen, and may bias the difference between arms. `satisfied` and `carried` are its
    companions over all users.

    Args:
        scores: one for each session, in order.
        minimum: sessions that a slope takes, at least 2.

    Returns:
        None for a user with fewer sessions.

    Raises:
        ValueError: for a score that is not finite, or a smaller minimum.
    """
    if minimum < 2:
        raise ValueError(f"a slope takes at least two sessions, not {minimum}")
    _check(scores)
    n = len(scores)
    if n < minimum:
        return None
    middle = (n - 1) / 2
    return plain_sum((s - middle) * y for s, y in enumerate(scores)) / (n * (n * n - 1) / 12)


def satisfied(sessions: Iterable[tuple[int, float]], *, exposed: int, watermark: int, window: int) -> float | None:
    """Return the sum of a user's satisfaction over the sessions in ``[t0, t0 + window)``: 0 after leaving.

    Args:
        sessions: time in milliseconds, and the satisfaction of that session (0 or 1, or a score).
        exposed: t0, the first exposure.
        watermark: until when everything is known.
        window: length in milliseconds, above 0.

    Returns:
        None for a user whose window is not over at the watermark.

    Raises:
        ValueError: for a window that is not positive or a score that is not finite.
    """
    kept = _within(sessions, exposed, watermark, window)
    return None if kept is None else plain_sum(score for _, score in kept)


def carried(sessions: Iterable[tuple[int, float]], *, exposed: int, watermark: int, window: int) -> float | None:
    """Return a user's last score in the window minus the first, the last one carried forward after leaving.

    Args:
        sessions: as in `satisfied`.
        exposed: as there.
        watermark: as there.
        window: as there.

    Returns:
        0 for a user with one session or none, who never changed; None for one who has not matured.

    Raises:
        ValueError: as `satisfied`.
    """
    kept = _within(sessions, exposed, watermark, window)
    if kept is None:
        return None
    return kept[-1][1] - kept[0][1] if kept else 0.0


def _within(
    sessions: Iterable[tuple[int, float]], exposed: int, watermark: int, window: int
) -> list[tuple[int, float]] | None:
    if window <= 0:
        raise ValueError(f"a window has a positive length, not {window}")
    found = list(sessions)
    _check([score for _, score in found])
    if exposed + window > watermark:
        return None
    return sorted(session for session in found if exposed <= session[0] < exposed + window)


def _check(scores: Sequence[float]) -> None:
    if not all(map(isfinite, scores)):
        raise ValueError("scores are finite numbers")
