"""Effects between two arms with bounds that hold at every look: asymptotic confidence sequences.

Source of every bound: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52(6), 2024 (arXiv 2103.06476); equation numbers are those of the preprint.

Assumptions: independent units (users, not events) with a finite variance, assigned at random, in both arms at the same
time; a margin, alpha and ``n_star`` fixed before the first look. The error probability holds for all looks together,
in the limit of many units: look first at some hundred units in each arm. A rate of some events in a thousand needs
``span``, or an exact procedure (`promptops.statistics.twoproportions`).

Only `math`, so that evidence can be judged again anywhere; logarithms differ in the last bit between machines: round
what is stored.
"""

from __future__ import annotations

from math import erfc, exp, inf, isfinite, log, log1p, pi, sqrt
from typing import TYPE_CHECKING, NamedTuple

from promptops.statistics.betting import plain_sum
from promptops.statistics.evalues import E_VALUE_CAP

if TYPE_CHECKING:
    from collections.abc import Iterable

# Sums of squares minus squared sums: less than this share of the former is rounding, not variation.
_ROUNDING = 1e-12


class Moments(NamedTuple):
    """Units of one arm, the sum of their values and the sum of the squared values."""

    n: int
    total: float
    squares: float


class Joint(NamedTuple):
    """Units of one arm with two values each: `Moments` of a value, those of the other, and the sum of products.

    The other value is a ratio's denominator, or a covariate measured before exposure.
    """

    n: int
    total: float
    squares: float
    other: float
    other_squares: float
    product: float


class Effect(NamedTuple):
    """An estimated effect, its standard error, and the units of both arms together.

    An ``error`` of 0 means that no unit differed from another: nothing is known of the variance, so there is no bound.
    """

    estimate: float
    error: float
    n: int


class Bounds(NamedTuple):
    """Lower and upper bound; infinite where nothing is proved."""

    low: float
    high: float


def pooled(parts: Iterable[Moments]) -> Moments:
    """Return the moments of all units from those of disjoint groups, such as days.

    Raises:
        ValueError: for no groups.
    """
    groups = list(parts)
    if not groups:
        raise ValueError("there are no groups to pool")
    return Moments(
        sum(group.n for group in groups),
        plain_sum(group.total for group in groups),
        plain_sum(group.squares for group in groups),
    )


def difference(canary: Moments, baseline: Moments, *, span: float = 0.0) -> Effect:
    """Return the mean of the canary minus that of the baseline, with Welch's standard error.

    Args:
        canary: at least two units.
        baseline: at least two units.
        span: width of a bounded metric's range (1 for yes or no), or 0. Adds one squared span to each arm's sum of
            squared deviations, as one more event would: a rare event that was not seen yet is not proved impossible.

    Raises:
        ValueError: for fewer units, sums that are not finite or contradict each other, or a negative span.
    """
    _check_span(span)
    variance = sum(_squared_error(_deviations(arm) + span * span, arm.n) for arm in (canary, baseline))
    return _effect(canary.total / canary.n - baseline.total / baseline.n, variance, canary.n + baseline.n)


def ratio_difference(canary: Joint, baseline: Joint) -> Effect:
    """Return the difference of two ratios of sums, such as satisfied sessions over sessions, by the delta method.

    Source: Deng, Knoblich & Lu, "Applying the delta method in metric analytics", KDD 2018, section 3.1. The unit is
    still the user: his sessions are not independent.

    Args:
        canary: ``total`` is the sum of numerators, ``other`` that of denominators; at least two units.
        baseline: likewise.

    Raises:
        ValueError: for fewer units, a denominator that is not positive, or impossible sums.
    """
    estimate, variance = 0.0, 0.0
    for sign, arm in ((1, canary), (-1, baseline)):
        top, bottom, cross = _joint_deviations(arm)
        if arm.other <= 0:
            raise ValueError(f"the denominators of a ratio add up to more than 0, not to {arm.other:g}")
        ratio, mean = arm.total / arm.other, arm.other / arm.n
        estimate += sign * ratio
        # The residuals y - R x have this sum of squares; the ratio's error is that of their mean, over the mean of x.
        residual = _settle(top - 2 * ratio * cross + ratio * ratio * bottom, top + ratio * ratio * bottom)
        variance += _squared_error(residual, arm.n) / (mean * mean)
    return _effect(estimate, variance, canary.n + baseline.n)


def adjusted_difference(canary: Joint, baseline: Joint, *, span: float = 0.0) -> Effect:
    """Return the difference of means after regression on a covariate measured before exposure (CUPED).

    Source: Deng, Xu, Kohavi & Walker, "Improving the sensitivity of online controlled experiments by utilizing
    pre-experiment data", WSDM 2013, section 3: the slope is the pooled covariance over the pooled variance. A covariate
    that never varies adjusts nothing.

    Args:
        canary: ``total`` is the sum of the metric, ``other`` that of the covariate; at least two units.
        baseline: likewise.
        span: as in `difference`.

    Raises:
        ValueError: as `difference`.
    """
    _check_span(span)
    parts = [_joint_deviations(arm) for arm in (canary, baseline)]
    _, spread, cross = (sum(column) for column in zip(*parts, strict=True))
    slope = cross / spread if spread > 0 else 0.0
    variance = 0.0
    for arm, (own, other, product) in zip((canary, baseline), parts, strict=True):
        residual = _settle(own - 2 * slope * product + slope * slope * other, own + slope * slope * other)
        variance += _squared_error(residual + span * span, arm.n)
    estimate = canary.total / canary.n - baseline.total / baseline.n
    estimate -= slope * (canary.other / canary.n - baseline.other / baseline.n)
    return _effect(estimate, variance, canary.n + baseline.n)


def rho(alpha: float, n_star: float, *, sided: int) -> float:
    """Return the mixture's parameter that makes the bounds nearly tightest at ``n_star`` units (eq. 161).

    Args:
        alpha: error probability: in (0, 1) for two sides, in (0, 0.5) for one.
        n_star: units of both arms together at which the bounds shall be tight; above 0.
        sided: 1 or 2.

    Raises:
        ValueError: outside of these ranges.
    """
    if sided not in {1, 2}:
        raise ValueError(f"a bound has one side or two, not {sided!r}")
    if not 0 < alpha < sided / 2:
        raise ValueError(f"alpha lies strictly between 0 and {sided / 2:g} for {sided} side(s), not at {alpha}")
    if not (isfinite(n_star) and n_star > 0):
        raise ValueError(f"the units to aim at are a positive number, not {n_star}")
    twice = -2 * log(alpha if sided == 2 else 2 * alpha)
    return sqrt((twice + log1p(twice)) / n_star)


def width(n: float, alpha: float, n_star: float, *, sided: int) -> float:
    """Return how many standard errors lie between the estimate and a bound after ``n`` units (eq. 9 and 134).

    Raises:
        ValueError: as `rho`, or for n that is not positive.
    """
    if not (isfinite(n) and n > 0):
        raise ValueError(f"the number of units is positive, not {n}")
    spread = n * rho(alpha, n_star, sided=sided) ** 2
    gain = log(sqrt(spread + 1) / alpha) if sided == 2 else log1p(sqrt(spread + 1) / (2 * alpha))
    return sqrt(2 * (spread + 1) / spread * gain)


def lower(effect: Effect, alpha: float, n_star: float) -> float:
    """Return the one-sided (1 - alpha) lower bound of the effect; minus infinity without variance (eq. 134).

    Raises:
        ValueError: as `rho`, or for an effect that is not finite.
    """
    _check(effect)
    margin = width(effect.n, alpha, n_star, sided=1)
    return effect.estimate - margin * effect.error if effect.error else -inf


def upper(effect: Effect, alpha: float, n_star: float) -> float:
    """Return the one-sided (1 - alpha) upper bound of the effect; infinity without variance (eq. 134).

    Raises:
        ValueError: as `lower`.
    """
    return -lower(Effect(-effect.estimate, effect.error, effect.n), alpha, n_star)


def interval(effect: Effect, alpha: float, n_star: float) -> Bounds:
    """Return the two-sided (1 - alpha) confidence sequence at this look; infinite without variance (eq. 9).

    Raises:
        ValueError: as `lower`.
    """
    _check(effect)
    half = width(effect.n, alpha, n_star, sided=2) * effect.error if effect.error else inf
    return Bounds(effect.estimate - half, effect.estimate + half)


def e_value(effect: Effect, null: float, n_star: float, alpha: float, *, greater: bool) -> float:
    """Return the e-value against "the effect is at most ``null``" (at least, unless ``greater``).

    The half-normal mixture behind eq. 134: ``2 / sqrt(k) * exp(z^2 / 2) * Phi(z)`` with ``k = n rho^2 + 1`` and
    ``z = rho sqrt(n / k) (estimate - null) / error``. Asymptotically an e-process: reject once it is >= 1/alpha, at
    whichever look. At most `promptops.statistics.evalues.E_VALUE_CAP`; 1 without variance.

    Args:
        effect: the effect at this look.
        null: the boundary of the null.
        n_star: units at which the test shall be strong.
        alpha: in (0, 0.5); only tunes the mixture, as in `rho`.
        greater: whether evidence is for an effect above the null.

    Raises:
        ValueError: as `lower`, or for a null that is not finite.
    """
    _check(effect)
    if not isfinite(null):
        raise ValueError(f"a null is a finite number, not {null}")
    spread = effect.n * rho(alpha, n_star, sided=1) ** 2
    if not effect.error:
        return 1.0
    z = (effect.estimate - null) / effect.error * sqrt(spread / (spread + 1))
    if not greater:
        z = -z
    return min(_half_normal(z) / sqrt(spread + 1), float(E_VALUE_CAP))


def _half_normal(z: float) -> float:
    """Return ``2 exp(z^2 / 2) Phi(z)``."""
    if z < -25:
        # erfc is about to underflow; Mills' ratio to four terms is good to ten digits here.
        z2 = z * z
        return 2 / (-z * sqrt(2 * pi)) * (1 - 1 / z2 + 3 / z2**2 - 15 / z2**3)
    return exp(min(z * z / 2, 700.0)) * erfc(-z / sqrt(2))


def _check(effect: Effect) -> None:
    """Refuse an effect that is no finite estimate of something."""
    if not (isfinite(effect.estimate) and isfinite(effect.error) and effect.error >= 0):
        raise ValueError(f"an effect is a finite number with a finite error of 0 or more, not {tuple(effect)}")


def _check_span(span: float) -> None:
    if not (isfinite(span) and span >= 0):
        raise ValueError(f"the width of a metric's range is a finite number of 0 or more, not {span}")


def _deviations(arm: Moments | Joint) -> float:
    """Return the sum of squared deviations from the mean."""
    if isinstance(arm.n, bool) or arm.n != int(arm.n) or arm.n < 2:
        raise ValueError(f"an arm has a whole number of at least two units, not {arm.n}")
    if not (isfinite(arm.total) and isfinite(arm.squares)):
        raise ValueError(f"sums of an arm are finite numbers, not {tuple(arm)}")
    return _settle(arm.squares - arm.total * arm.total / arm.n, arm.squares)


def _joint_deviations(arm: Joint) -> tuple[float, float, float]:
    """Return the centred sums of squares of value and other value, and of their products."""
    own = _deviations(arm)
    other = _deviations(Moments(arm.n, arm.other, arm.other_squares))
    if not isfinite(arm.product):
        raise ValueError(f"sums of an arm are finite numbers, not {tuple(arm)}")
    cross = arm.product - arm.total * arm.other / arm.n
    if cross * cross > own * other * (1 + 1e-6) + (_ROUNDING * (1 + arm.squares) * (1 + arm.other_squares)):
        raise ValueError("the sum of products is larger than the sums of squares allow")
    return own, other, cross


def _settle(deviations: float, scale: float) -> float:
    """Return a sum of squared deviations with rounding of terms as large as ``scale`` taken for the 0 that it is."""
    if deviations < -1e-9 * scale or (scale < 0):
        raise ValueError("the sum of squares is smaller than the sum of values allows")
    return deviations if deviations > _ROUNDING * scale else 0.0


def _squared_error(deviations: float, n: int) -> float:
    """Return the variance of a mean."""
    return deviations / (n - 1) / n


def _effect(estimate: float, variance: float, n: int) -> Effect:
    if not (isfinite(estimate) and isfinite(variance)):
        raise ValueError("sums so large leave no finite effect")
    return Effect(estimate, sqrt(variance), n)
