"""What a sequential canary can prove with a number of pairs: exact first-passage probabilities.

A pair differs by +1 (worse), -1 (better) or 0. The mixture's wealth depends only on how many of each were seen, so the
law of the first crossing of 1/alpha follows from a recursion over (worse, better) counts instead of simulation.
Scores between 0 and 1 give smaller steps than whole ones and need fewer pairs: these numbers are on the safe side.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from promptops.statistics.betting import FRACTIONS, WEIGHTS

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

_NEGLIGIBLE = 1e-9
_STEP = 0.005


def crossing_probabilities(
    pairs: int, *, discordance: float, harm: float, margin: float, threshold: float, against_harm: bool
) -> list[float]:
    """Return the probability that the wealth has reached ``threshold`` after 1, 2, ... ``pairs`` pairs.

    Args:
        pairs: how many pairs the budget allows.
        discordance: share of pairs that differ, in [0, 1].
        harm: true mean difference (positive is worse); no larger than ``discordance``.
        margin: the harm that is tolerated, in [0, 1); negative values down to -1 serve `smallest_distance`.
        threshold: the e-value that decides: 1/alpha, or K/alpha for one failing guardrail among K.
        against_harm: True for the test that proves harm < margin (pass), False for harm > margin (fail).

    Raises:
        ValueError: when ``harm`` exceeds ``discordance``, or either leaves [0, 1].
    """
    import numpy as np

    if not abs(harm) <= discordance <= 1.0:
        raise ValueError("a mean difference cannot exceed the share of pairs that differ")
    worse, better = (discordance + harm) / 2.0, (discordance - harm) / 2.0
    steps = _log_steps(margin, against_harm=against_harm)
    alive: NDArray[np.float64] = np.ones((1, 1))
    corner = (0, 0)
    crossed, path = 0.0, []
    for n in range(1, pairs + 1):
        grown = np.zeros((alive.shape[0] + 1, alive.shape[1] + 1))
        grown[:-1, :-1] += alive * (1.0 - discordance)
        grown[1:, :-1] += alive * worse
        grown[:-1, 1:] += alive * better
        over = _wealth(n, corner, grown.shape, steps) >= threshold
        crossed += float(grown[over].sum())
        grown[over] = 0.0
        path.append(min(crossed, 1.0))
        corner, alive = _trim(corner, grown)
        if not alive.size:
            break
    return path + [path[-1]] * (pairs - len(path))


def _log_steps(margin: float, *, against_harm: bool) -> NDArray[np.float64]:
    """Return log factors of every bettor for a worse, a better and an equal pair: shape (3, bettors)."""
    import numpy as np

    differences = np.array([[1.0], [-1.0], [0.0]])
    gain = (margin - differences) / (1.0 - margin) if against_harm else (differences - margin) / (1.0 + margin)
    return np.asarray(np.log1p(np.array(FRACTIONS) * gain), dtype=np.float64)


def _wealth(n: int, corner: tuple[int, int], shape: tuple[int, ...], steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mixture's wealth at time ``n`` for the (worse, better) counts of a window at ``corner``."""
    import numpy as np

    worse, better, equal = steps
    at_corner = np.log(WEIGHTS) + corner[0] * worse + corner[1] * better + (n - sum(corner)) * equal
    # Windows span a few standard deviations; the cap keeps extreme margins from overflowing, far above any threshold.
    rows = np.exp(np.minimum(at_corner + np.arange(shape[0])[:, None] * (worse - equal), 300.0))
    columns = np.exp(np.minimum(np.arange(shape[1])[:, None] * (better - equal), 300.0))
    return np.asarray(rows @ columns.T, dtype=np.float64)


def _trim(corner: tuple[int, int], alive: NDArray[np.float64]) -> tuple[tuple[int, int], NDArray[np.float64]]:
    """Cut the window of counts down to those that matter to a printed digit."""
    rows = (alive.sum(axis=1) > _NEGLIGIBLE).nonzero()[0]
    columns = (alive.sum(axis=0) > _NEGLIGIBLE).nonzero()[0]
    if not rows.size or not columns.size:
        return corner, alive[:0, :0]
    window = alive[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return (corner[0] + int(rows[0]), corner[1] + int(columns[0])), window


def pairs_to_pass(
    limit: int, *, discordance: float, margin: float, alpha: float, power: float = 0.8, harm: float = 0.0
) -> int | None:
    """Return how many pairs prove harm < margin with probability ``power``; None when ``limit`` is not enough.

    Raises:
        ValueError: when ``harm`` exceeds ``discordance``.
    """
    path = crossing_probabilities(
        limit, discordance=discordance, harm=harm, margin=margin, threshold=1.0 / alpha, against_harm=True
    )
    return next((n for n, probability in enumerate(path, start=1) if probability >= power), None)


def smallest_margin(pairs: int, *, discordance: float, alpha: float, power: float = 0.8) -> float | None:
    """Return the smallest margin, in steps of 0.005, that equally good arms prove within ``pairs`` pairs.

    Args:
        pairs: the number of pairs.
        discordance: share of pairs that differ between equally good arms.
        alpha: error probability of a pass.
        power: probability with which it must succeed.
    """

    def provable(step: int) -> bool:
        margin = step * _STEP
        return pairs_to_pass(pairs, discordance=discordance, margin=margin, alpha=alpha, power=power) is not None

    return _smallest(provable, 0, round(1.0 / _STEP) - 1)


def smallest_harm(
    pairs: int, *, discordance: float, margin: float, alpha: float, guardrails: int = 1, power: float = 0.8
) -> float | None:
    """Return the smallest true harm, in steps of 0.005, that fails within ``pairs`` pairs.

    Harm adds worse pairs to the ``discordance`` that equally good arms show. The one harmed guardrail must carry the
    mean over all ``guardrails``, so its own e-value has to reach guardrails / alpha.
    """

    def detectable(step: int) -> bool:
        harm = step * _STEP
        path = crossing_probabilities(
            pairs,
            discordance=discordance + harm,
            harm=harm,
            margin=margin,
            threshold=guardrails / alpha,
            against_harm=False,
        )
        return path[-1] >= power

    return _smallest(detectable, int(margin / _STEP), int((1.0 - discordance) / _STEP))


def smallest_distance(
    replies: int, *, limit: float, alpha: float, guardrails: int = 0, power: float = 0.8
) -> float | None:
    """Return the smallest distance from an absolute limit, in steps of 0.005, that decides within so many replies.

    A yes-or-no score with mean p against a limit m bets like pairs that all differ, with harm 2p - 1 and margin 2m - 1:
    both have the observations 0 and 1 with mean p against the null m.

    Args:
        replies: how many replies bear on the guardrail.
        limit: worst tolerated mean, where lower is better, in (0, 1).
        alpha: error probability.
        guardrails: 0 for the distance below the limit that passes, else the number of guardrails for that above it
            which fails.
        power: probability with which it must succeed.
    """

    def decided(step: int) -> bool:
        mean = limit + step * _STEP if guardrails else limit - step * _STEP
        path = crossing_probabilities(
            replies,
            discordance=1.0,
            harm=2.0 * min(max(mean, 0.0), 1.0) - 1.0,
            margin=2.0 * limit - 1.0,
            threshold=max(guardrails, 1) / alpha,
            against_harm=not guardrails,
        )
        return path[-1] >= power

    room = 1.0 - limit if guardrails else limit
    return _smallest(decided, 0, int(room / _STEP + 1e-9))


def _smallest(holds: Callable[[int], bool], below: int, above: int) -> float | None:
    """Bisect a monotone property of the steps in (below, above]; None when the last step lacks it."""
    if above <= below or not holds(above):
        return None
    while above - below > 1:
        middle = (below + above) // 2
        if holds(middle):
            above = middle
        else:
            below = middle
    return above * _STEP
