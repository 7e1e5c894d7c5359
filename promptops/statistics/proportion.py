"""Confidence intervals of shares that were counted once, with a number of trials that was fixed before."""

from __future__ import annotations

import math

from promptops.statistics.betting import Interval

# Two-sided 95 %.
_Z = 1.959963984540054


def wilson(hits: int, trials: int) -> Interval:
    """Return Wilson's 95 % interval of a share (E. B. Wilson, JASA 22(158), 1927); [0, 1] for no trials.

    It keeps its coverage near shares of 0 and 1, where hits / trials has no spread of its own to go by.

    Args:
        hits: how many of the trials.
        trials: how many there were.
    """
    if not trials:
        return Interval(0.0, 1.0)
    share, z2 = hits / trials, _Z * _Z
    centre = share + z2 / (2 * trials)
    spread = _Z * math.sqrt(share * (1.0 - share) / trials + z2 / (4.0 * trials * trials))
    scale = 1.0 + z2 / trials
    low = 0.0 if hits == 0 else (centre - spread) / scale
    return Interval(low, 1.0 if hits == trials else (centre + spread) / scale)
