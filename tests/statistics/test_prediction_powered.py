from __future__ import annotations

import random
from math import sqrt

import numpy as np
import pytest

from promptops.statistics import prediction_powered

RUNS = 400


def sample(source, count, noise, bias):
    """Labels 0 or 1 with mean 0.3, and a judge's scores of them: shifted by ``bias``, blurred by ``noise``."""
    labels = [float(source.random() < 0.3) for _ in range(count)]
    return labels, [label * 0.7 + bias + source.gauss(0, noise) for label in labels]


@pytest.mark.parametrize(("noise", "bias"), [(0.1, 0.0), (0.1, 0.5), (2.0, 0.0)], ids=["good", "biased", "noisy"])
@pytest.mark.parametrize("power", [None, 1.0])
def test_the_interval_covers_the_mean_of_the_labels(noise, bias, power):
    source = random.Random(11)
    found = []
    for _ in range(RUNS):
        labels, scores = sample(source, 60, noise, bias)
        unlabelled = sample(source, 600, noise, bias)[1]
        found.append(prediction_powered.mean(labels, scores, unlabelled, power=power))
    covered = sum(each.interval.low <= 0.3 <= each.interval.high for each in found) / RUNS
    # Three standard errors of a share of 0.95 over the runs, and what the central limit leaves open at 60 labels.
    assert 0.95 - 3 * sqrt(0.95 * 0.05 / RUNS) - 0.01 <= covered <= 1.0
    assert np.mean([each.value for each in found]) == pytest.approx(0.3, abs=0.02 if power is None else 0.05)


@pytest.mark.parametrize(("noise", "ratio"), [(0.1, (0.2, 0.7)), (2.0, (0.9, 1.05))], ids=["good", "noisy"])
def test_a_good_judge_shortens_the_interval_and_a_bad_one_does_not_lengthen_it(noise, ratio):
    source = random.Random(5)
    widths = []
    for _ in range(100):
        labels, scores = sample(source, 60, noise, 0.2)
        unlabelled = sample(source, 600, noise, 0.2)[1]
        powered = prediction_powered.mean(labels, scores, unlabelled).interval
        plain = prediction_powered.classical(labels).interval
        widths.append((powered.high - powered.low) / (plain.high - plain.low))
    assert ratio[0] < np.mean(widths) < ratio[1]


def test_the_estimate_is_that_of_the_formula():
    labels, scores, unlabelled = [1.0, 0.0, 1.0, 1.0], [0.9, 0.2, 0.6, 0.7], [0.5, 0.1, 0.9, 0.8, 0.4]
    weight = np.cov(labels, scores)[0, 1] / ((1 + 4 / 5) * np.var(scores + unlabelled, ddof=1))
    rests = np.array(labels) - weight * np.array(scores)
    value = weight * np.mean(unlabelled) + rests.mean()
    half = 1.959963984540054 * sqrt(weight**2 * np.var(unlabelled, ddof=1) / 5 + rests.var(ddof=1) / 4)
    found = prediction_powered.mean(labels, scores, unlabelled)
    assert found.power == pytest.approx(weight)
    assert (found.value, *found.interval) == pytest.approx((value, value - half, value + half))


def test_no_power_is_the_labels_alone():
    labels = [0.0, 1.0, 1.0]
    found = prediction_powered.mean(labels, [0.1, 0.5, 0.9], [0.3, 0.4], power=0.0)
    assert found == prediction_powered.classical(labels)
    assert prediction_powered.mean(labels, [0.5] * 3, [0.5] * 4).power == 0.0


@pytest.mark.parametrize(
    ("labels", "scores", "unlabelled"),
    [([1.0], [1.0], [1.0, 0.0]), ([1.0, 0.0], [1.0], [1.0, 0.0]), ([1.0, 0.0], [1.0, 0.0], [1.0])],
)
def test_too_little_is_refused(labels, scores, unlabelled):
    with pytest.raises(ValueError, match="at least two"):
        prediction_powered.mean(labels, scores, unlabelled)
    with pytest.raises(ValueError, match="at least two"):
        prediction_powered.classical([1.0])


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused(broken):
    for place in range(3):
        columns = [[1.0, 0.0], [0.5, 0.0], [0.5, 0.2]]
        columns[place][1] = broken
        with pytest.raises(ValueError, match="finite"):
            prediction_powered.mean(*columns)
    with pytest.raises(ValueError, match="finite"):
        prediction_powered.classical([1.0, broken])
    with pytest.raises(ValueError, match="alpha"):
        prediction_powered.mean([1.0, 0.0], [1.0, 0.0], [1.0, 0.0], alpha=broken)
