"""Whole distributions of two releases' replies to the same requests: paired-swap permutation tests.

Energy distance: Szekely & Rizzo, "Energy statistics: a class of statistics based on distances", Journal of Statistical
Planning and Inference 143(8), 2013. Maximum mean discrepancy: Gretton, Borgwardt, Rasch, Scholkopf & Smola, "A kernel
two-sample test", JMLR 13, 2012, with a Gaussian kernel whose bandwidth is the median distance (section 8 there).

With the 2n points of both sides and signs w, +1 on one side and -1 on the other, both statistics are quadratic forms:
``-(w'Dw) / n^2`` of the distances and ``(w'Kw) / n^2`` of the kernel (V-statistics, never negative). Null: swapping the
two sides of any pair changes nothing, so random swaps are the exact reference (Lehmann & Romano, "Testing Statistical
Hypotheses", 2005, section 15.2) and the p-value ``(1 + #{swapped >= seen}) / (swaps + 1)`` is valid for every n. An
unpaired permutation would drown the shift in what varies between requests.

Needs numpy. Memory: some copies of a (2n, 2n) matrix of floats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    Floats = NDArray[np.float64]

# What is equal but for rounding counts as reached: on the side of a larger p-value.
_ROUNDING = 1e-12


class Test(NamedTuple):
    """A statistic and its p-value."""

    statistic: float
    p_value: float


class Shift(NamedTuple):
    """Both tests on the same pairs and swaps."""

    energy: Test
    mmd: Test


def energy(left: ArrayLike, right: ArrayLike) -> float:
    """Return the energy distance ``2 E|X - Y| - E|X - X'| - E|Y - Y'|`` of two samples.

    Args:
        left: shape (n,) or (n, d), finite.
        right: shape (m,) or (m, d); sizes may differ.

    Raises:
        ValueError: for empty samples, other shapes, or values that are not finite.
    """
    x, y = _points(left), _points(right)
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"both sides have points of one dimension, not {x.shape[1]} and {y.shape[1]}")
    between, within = _distances(x, y).mean(), _distances(x, x).mean() + _distances(y, y).mean()
    return max(0.0, float(2 * between - within))


def paired(left: ArrayLike, right: ArrayLike, *, swaps: int = 999, seed: int = 0) -> Shift:
    """Test whether two releases answer alike, by energy distance and by squared MMD.

    Args:
        left: shape (n,) or (n, d), finite: one reply for each request.
        right: the same shape: the other release's reply to the same request.
        swaps: random swaps; no p-value is below ``1 / (swaps + 1)``.
        seed: of the swaps, so that the p-values are the same every time.

    Raises:
        ValueError: for fewer than two pairs, other shapes, values that are not finite, or no swaps.
    """
    import numpy as np

    x, y = _points(left), _points(right)
    if x.shape != y.shape or len(x) < 2:
        raise ValueError(f"two or more pairs of the same dimension are needed, not {x.shape} and {y.shape}")
    if swaps < 1:
        raise ValueError(f"at least one swap is needed, not {swaps}")
    n = len(x)
    points = np.concatenate([x, y])
    distances = _distances(points, points)
    flips = np.random.default_rng(seed).integers(0, 2, size=(n, swaps)) * 2.0 - 1.0
    signs = np.concatenate([np.ones((n, 1)), flips], axis=1)
    signs = np.concatenate([signs, -signs])
    statistics = -np.einsum("ij,ij->j", signs, distances @ signs) / n**2
    seen = _test(statistics)
    _kernel(distances)
    return Shift(seen, _test(np.einsum("ij,ij->j", signs, distances @ signs) / n**2))


def floor_ratio(candidate: ArrayLike, stable: ArrayLike, again: ArrayLike) -> float:
    """Return how many times farther the candidate is from the stable release than that is from itself, resampled.

    ``energy(candidate, stable) / energy(again, stable)``: near 1 for the same release, whatever n; p-values alone
    reject any difference at large n.

    Args:
        candidate: shape (n,) or (n, d): the candidate's replies.
        stable: the same shape: those of the stable release.
        again: the same shape: the stable release asked once more.

    Raises:
        ValueError: as `energy`, or when resampling gives exactly the same replies: then there is no floor to divide by.
    """
    floor = energy(again, stable)
    # Rounding leaves this much of distances that cancel.
    if floor <= 1e-9 * energy([0.0], [1.0 + abs(_points(stable)).max()]):
        raise ValueError("asking again gave the same replies: there is no resampling floor to compare with")
    return energy(candidate, stable) / floor


def _points(values: ArrayLike) -> Floats:
    import numpy as np

    points = np.asarray(values, dtype=np.float64)
    points = points[:, None] if points.ndim == 1 else points
    if points.ndim != 2 or not points.size:
        raise ValueError(f"a sample has the shape (n,) or (n, d) with n and d above 0, not {np.shape(values)}")
    if not np.isfinite(points).all():
        raise ValueError("all values of a sample are finite numbers")
    return points


def _distances(x: Floats, y: Floats) -> Floats:
    """Return Euclidean distances, shape (n, m)."""
    import numpy as np

    if x.shape[1] == 1:
        return np.abs(x - y.T)
    # Centred, so that a common offset does not eat the digits of the differences.
    same, centre = x is y, x.mean(axis=0)
    x, y = x - centre, y - centre
    distances = (x * x).sum(axis=1)[:, None] + (y * y).sum(axis=1)[None, :] - 2.0 * (x @ y.T)
    np.sqrt(np.maximum(distances, 0.0, out=distances), out=distances)
    if same:
        # The root would make 1e-8 of a rounding error of 1e-16.
        np.fill_diagonal(distances, 0.0)
    return np.asarray(distances, dtype=np.float64)


def _kernel(distances: Floats) -> None:
    """Turn distances into the Gaussian kernel in place; all ones when the points are all equal."""
    import numpy as np

    bandwidth = float(np.median(distances[np.triu_indices(len(distances), 1)]))
    if not bandwidth:
        positive = distances[distances > 0]
        bandwidth = float(np.median(positive)) if positive.size else 1.0
    np.multiply(distances, distances, out=distances)
    distances *= -0.5 / (bandwidth * bandwidth)
    np.exp(distances, out=distances)


def _test(statistics: Floats) -> Test:
    """Return the first statistic with its rank among all."""
    seen = float(statistics[0])
    slack = _ROUNDING * max(1.0, abs(seen))
    reached = int((statistics[1:] >= seen - slack).sum())
    return Test(max(0.0, seen), (1 + reached) / len(statistics))
