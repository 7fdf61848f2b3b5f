"""What stands for "nothing is there"."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from xaicore import baselines
from xaicore.analyzers.baselines import blurred, resolve_baseline
from xaicore.errors import InputError, ParameterError

X = torch.randn(3, 2, 5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def of(spec: Any, x: Tensor = X, number: int = 0) -> Tensor:
    return resolve_baseline(spec).at({"x": x}, number)["x"].expand_as(x)


def test_numbers_are_the_same_everywhere_or_by_channel() -> None:
    assert torch.equal(of(0.5), torch.full_like(X, 0.5))
    assert of([1.0, -2.0])[2, :, 4, 6].tolist() == [1, -2]
    assert torch.equal(of("zero"), torch.zeros_like(X))


def test_ends_of_the_range_and_means_are_those_of_each_sample_and_channel() -> None:
    for word, function in (("low", np.min), ("high", np.max), ("mean", np.mean)):
        expected = np.array([[function(channel) for channel in sample] for sample in X.numpy()])
        assert np.allclose(of(word).numpy(), expected[:, :, None, None])
    assert of(baselines.RangeEnd(high=True, value=4.0)).unique().tolist() == [4]
    table = torch.tensor([[1.0, 5.0], [2.0, 0.0]])
    assert of("low", table).tolist() == [[1, 1], [0, 0]]


def test_a_blur_is_the_convolution_with_a_gaussian_whose_border_is_continued() -> None:
    sigma = 0.8
    reach = round(3 * sigma)
    weights = [math.exp(-0.5 * (k / sigma) ** 2) for k in range(-reach, reach + 1)]
    total = sum(weights)
    expected = torch.zeros_like(X)
    for row in range(5):
        for column in range(7):
            for i, a in enumerate(weights):
                for j, b in enumerate(weights):
                    y, x = min(max(row + i - reach, 0), 4), min(max(column + j - reach, 0), 6)
                    expected[:, :, row, column] += a * b / total**2 * X[:, :, y, x]
    assert torch.allclose(of(baselines.Blurred(sigma)), expected)
    assert torch.allclose(blurred(torch.ones(1, 1, 9), 2.0), torch.ones(1, 1, 9))


def test_noise_lies_in_the_range_and_differs_by_variant_not_by_batch() -> None:
    noise = baselines.UniformNoise(samples=3, seed=1)
    assert noise.count == 3
    found = [of(noise, number=number) for number in range(3)]
    assert not torch.equal(found[0], found[1])
    assert torch.equal(found[1][2:], of(noise, X[2:], 1))
    assert bool((found[0] >= of("low")).all()) and bool((found[0] <= of("high")).all())
    fixed = of(baselines.UniformNoise(-1.0, 3.0, samples=1), torch.zeros(2, 500, 4))
    assert float(fixed.min()) < -0.9 and float(fixed.max()) > 2.9 and abs(float(fixed.mean()) - 1) < 0.1


def test_several_inputs_have_noise_of_their_own() -> None:
    found = baselines.UniformNoise(0.0, 1.0).at({"a": torch.zeros(1, 50), "b": torch.zeros(1, 50)})
    assert not torch.allclose(found["a"], found["b"])


@pytest.mark.parametrize("given", [torch.ones(2, 5, 7), torch.ones(1, 2, 5, 7).numpy(), torch.ones(3, 2, 5, 7)])
def test_values_fit_one_sample_or_each(given: Any) -> None:
    assert torch.equal(of(given), torch.ones_like(X))
    assert torch.equal(of({"x": given}), torch.ones_like(X))


def test_data_are_taken_in_order_or_drawn_without_repetition() -> None:
    data = torch.arange(4.0)[:, None, None, None].expand(4, 2, 5, 7)
    everything = baselines.Data(data)
    assert [float(of(everything, number=n)[0, 0, 0, 0]) for n in range(everything.count)] == [0, 1, 2, 3]
    drawn = baselines.Data(data, samples=8, seed=3)
    order = [float(of(drawn, number=n)[0, 0, 0, 0]) for n in range(8)]
    assert sorted(order[:4]) == sorted(order[4:]) == [0, 1, 2, 3]
    assert order == [float(of(baselines.Data(data, samples=8, seed=3), number=n)[0, 0, 0, 0]) for n in range(8)]


def test_several_inputs_are_drawn_together() -> None:
    data = {"a": torch.arange(5.0)[:, None], "b": torch.arange(5.0)[:, None] * 10}
    for number in range(5):
        found = baselines.Data(data, samples=5).at({"a": torch.zeros(1, 1), "b": torch.zeros(1, 1)}, number)
        assert float(found["b"]) == 10 * float(found["a"])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_baselines_have_the_type_of_the_input(dtype: torch.dtype) -> None:
    for spec in (1, "mean", "blur", "uniform", torch.ones(2, 5, 7), baselines.Data(X)):
        assert resolve_baseline(spec).at({"x": X.to(dtype)})["x"].dtype == dtype


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("blurr", "Did you mean 'blur'"),
        (None, "is not a baseline"),
        (True, "is not a baseline"),
        ({1, 2}, "is not a baseline"),
    ],
)
def test_what_is_no_baseline_is_refused(spec: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        resolve_baseline(spec)


@pytest.mark.parametrize(
    ("spec", "x", "message"),
    [
        ([1.0, 2.0, 3.0], X, "3 values, one a channel, does not fit"),
        (torch.ones(4, 4), X, r"shape \(4, 4\); it must be \(2, 5, 7\)"),
        ({"y": torch.ones(2, 5, 7)}, X, "no entry for input 'x'; it has 'y'"),
        ("blur", torch.ones(2, 3), "cannot be blurred"),
        ("mean", torch.ones(2, 3), "no positions to average"),
        (baselines.Data(torch.ones(3, 4)), X, r"samples of shape \(4,\)"),
    ],
)
def test_a_baseline_that_does_not_fit_the_input_is_refused(spec: Any, x: Tensor, message: str) -> None:
    with pytest.raises(InputError, match=message):
        of(spec, x)


def test_parameters_out_of_range_are_refused() -> None:
    for make in (
        lambda: baselines.Blurred(0),
        lambda: baselines.UniformNoise(samples=0),
        lambda: baselines.Data(torch.ones(0, 3)),
        lambda: baselines.Data({"a": torch.ones(2, 1), "b": torch.ones(3, 1)}),
    ):
        with pytest.raises(ParameterError):
            make()


def test_numbers_are_as_exact_as_the_input() -> None:
    assert float(of(0.1)[0, 0, 0, 0]) == 0.1


def test_baselines_of_integers_are_integers() -> None:
    counts = torch.tensor([[3, 5], [2, 7]])
    assert of(1.0, counts).tolist() == [[1, 1], [1, 1]]
    for spec in (0.9, baselines.Data(torch.tensor([[2.5, 1.0]]))):
        with pytest.raises(InputError, match=r"no torch\.int64.*floating-point"):
            of(spec, counts)
    with pytest.raises(InputError, match="noise takes the place of floating-point numbers only"):
        of("uniform", counts)
    picture = torch.tensor([[[1, 2, 6]]])
    assert of("mean", picture).tolist() == [[[3, 3, 3]]]


def test_one_number_a_sample_has_no_range() -> None:
    with pytest.raises(InputError, match="has no range"):
        of("high", torch.tensor([1.0, 2.0]))
