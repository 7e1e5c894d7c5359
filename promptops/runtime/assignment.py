"""Which release a unit gets: frozen arithmetic on SHA-256, the same in every process, language and year.

A unit is what is assigned as a whole, such as a user. Its slot in one rollout never changes, and a larger weight only
adds units to an arm, so that no stage of a ramp takes anybody out of the canary or the baseline. The vectors in
``tests/data/assignment/vectors.json`` hold every implementation to it.
"""

from __future__ import annotations

import hashlib
import re

from promptops.errors import UsageError

HASH = "sha256-u32/1"
SLOTS = 1 << 32
CANARY, BASELINE, STABLE = "canary", "baseline", "stable"
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,9})?)%", re.ASCII)


def slot(salt: str, unit: str) -> int:
    """Return the unit's slot in a rollout: the first four bytes of SHA-256 of salt, a zero byte and unit, big-endian.

    Args:
        salt: id of the rollout, so that not always the same units try what is new.
        unit: identifier of what is assigned, in the application's own words; compared as bytes of UTF-8.

    Returns:
        A number from 0 up to `SLOTS` - 1.
    """
    # What no UTF-8 can say (a lone surrogate) still has a slot, and always the same one.
    data = salt.encode() + b"\0" + unit.encode("utf-8", "surrogatepass")
    return int.from_bytes(hashlib.sha256(data, usedforsecurity=False).digest()[:4], "big")


def arm(slot: int, canary: int, baseline: int) -> str:
    """Return the arm of a slot: the canary's lie at the bottom, the baseline's at the top, the rest is stable.

    Args:
        slot: from `slot`.
        canary: number of slots of the canary, 0 to `SLOTS`.
        baseline: number of slots of the baseline, 0 to `SLOTS` - ``canary``.
    """
    if slot < canary:
        return CANARY
    return BASELINE if slot >= SLOTS - baseline else STABLE


def weight(share: str) -> int:
    """Return how many slots a share such as ``"5%"`` is, rounded down from the exact decimal fraction.

    Raises:
        UsageError: not a percentage from 0% to 100% with at most nine decimals.
    """
    found = _SHARE.fullmatch(share)
    if found:
        whole, _, decimals = found[1].partition(".")
        parts = int(whole + decimals)
        of: int = 100 * 10 ** len(decimals)
        if parts <= of:
            return parts * SLOTS // of
    raise UsageError(f"{share!r} is no share", hint='a percentage from 0% to 100%, such as "5%" or "0.5%"')
