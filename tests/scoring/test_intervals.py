"""Bootstrap intervals, against the standard error of a mean of normal numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from xaicore.errors import ParameterError
from xaicore.scoring import bootstrap_interval


def normal(count: int, seed: int) -> torch.Tensor:
    random = torch.Generator().manual_seed(seed)
    return 3 + 2 * torch.randn(count, generator=random, dtype=torch.float64)


@pytest.mark.parametrize(("confidence", "quantile"), [(0.95, 1.95996), (0.9, 1.64485), (0.5, 0.67449)])
def test_of_normal_numbers_it_is_as_wide_as_the_standard_error_says(confidence: float, quantile: float) -> None:
    values = normal(400, 0)
    low, high = bootstrap_interval(values, confidence)
    error = float(values.std(correction=0)) / math.sqrt(400)
    assert (high - low) / 2 == pytest.approx(quantile * error, rel=0.08)  # 2000 resamples
    assert (high + low) / 2 == pytest.approx(float(values.mean()), abs=0.25 * error)


def test_it_holds_the_true_mean_about_as_often_as_it_says() -> None:
    hits = [low <= 3 <= high for low, high in (bootstrap_interval(normal(60, seed), 0.9) for seed in range(300))]
    # The standard error of this share is 0.017; with 60 numbers the percentile interval is a little short.
    assert np.mean(hits) == pytest.approx(0.89, abs=0.045)


def test_one_seed_gives_one_interval() -> None:
    values = normal(30, 0)
    assert bootstrap_interval(values, seed=1) == bootstrap_interval(values, seed=1)
    assert bootstrap_interval(values, seed=1) != bootstrap_interval(values, seed=2)


def test_equal_numbers_leave_no_doubt() -> None:
    assert bootstrap_interval(torch.full((5,), 0.25)) == (0.25, 0.25)


@pytest.mark.parametrize("values", [[1.0, math.nan, 2.0], [1.0, math.inf], [1.0], []])
def test_there_is_none_where_the_mean_says_nothing(values: list[float]) -> None:
    low, high = bootstrap_interval(torch.tensor(values))
    assert math.isnan(low)
    assert math.isnan(high)


@pytest.mark.parametrize("confidence", [0, 1, 95, -0.5, math.nan])
def test_a_confidence_is_a_probability(confidence: float) -> None:
    with pytest.raises(ParameterError, match="must lie between 0 and 1"):
        bootstrap_interval(torch.ones(3), confidence)


def test_many_numbers_are_drawn_in_parts_that_fit_into_memory() -> None:
    values = normal(100_000, 0)
    low, high = bootstrap_interval(values)
    assert low < float(values.mean()) < high
    assert high - low == pytest.approx(2 * 1.96 * 2 / math.sqrt(100_000), rel=0.1)


@pytest.mark.parametrize(("count", "share"), [(2, 0.49), (3, 0.72), (5, 0.91), (10, 0.95)])
def test_with_few_numbers_it_holds_the_true_mean_as_often_as_its_docstring_says(count: int, share: float) -> None:
    intervals = [bootstrap_interval(normal(count, 1000 * count + seed), seed=seed) for seed in range(400)]
    held = np.mean([low <= 3 <= high for low, high in intervals])
    assert held == pytest.approx(share, abs=3 * math.sqrt(share * (1 - share) / 400))
