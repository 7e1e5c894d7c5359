"""Betting as tests need it: a whole sequence at once, and the paper's bets to compare with."""

from __future__ import annotations

import math

from promptops.statistics.betting import Capital


def capital(xs, null, *, at_least):
    """Return the e-process against one null after all of ``xs``."""
    process = Capital(null, at_least)
    for x in xs:
        process.update(x)
    return process


def plug_in_bets(xs, alpha):
    """Return the predictable plug-in bets of Waudby-Smith & Ramdas 2024 (lambda^PrPl), not truncated.

    Production does not bet like this; it is what the mixture is compared with.
    """
    bets = []
    total, squares = 0.5, 0.25
    for t, x in enumerate(xs, start=1):
        # squares is t times the shrunk variance before t.
        bets.append(math.sqrt(2.0 * math.log(2.0 / alpha) / (squares * math.log1p(t))))
        total += x
        squares += (x - total / (t + 1)) ** 2
    return bets
