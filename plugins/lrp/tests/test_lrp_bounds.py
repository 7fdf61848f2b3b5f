"""The bounds of z-box: in the model's numbers or in pixels, one for all or one a channel."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import ZBox
from xaicore.errors import InputError, ParameterError

MEAN, STD = [0.4, 0.5, 0.6], [0.2, 0.25, 0.5]


@functools.cache
def network(dims: int) -> tuple[nn.Module, Tensor]:
    """A network for normalised inputs with three channels and ``dims`` positions; captured once."""
    torch.manual_seed(dims)
    first = {0: nn.Linear(3, 4), 1: nn.Conv1d(3, 4, 2), 2: nn.Conv2d(3, 4, 2)}[dims]
    pixels = torch.rand(2, 3, *[4] * dims)
    model = nn.Sequential(first, nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))
    model(pixels)
    return model.double(), ((pixels - by_channel(MEAN, dims)) / by_channel(STD, dims)).double()


def by_channel(values: list[float], dims: int) -> Tensor:
    return torch.tensor(values).view(3, *[1] * dims)


def relevance(dims: int, method: str = "lrp.z_box", **parameters: Any) -> Tensor:
    model, x = network(dims)
    return xaicore.explain(model, x, method=method, target=0, **parameters).relevance


@pytest.mark.parametrize("method", ["lrp.z_box", "lrp.epsilon_gamma_box"])
@pytest.mark.parametrize("dims", [0, 1, 2])
def test_bounds_of_pixels_with_the_normalisation_are_the_normalised_bounds(dims: int, method: str) -> None:
    mean, std = by_channel(MEAN, dims).double(), by_channel(STD, dims).double()
    expected = relevance(dims, method, low=(0 - mean) / std, high=(1 - mean) / std)
    for given in (
        {"low": 0, "high": 1, "mean": MEAN, "std": STD},
        {"low": 0, "high": 1, "mean": tuple(MEAN), "std": torch.tensor(STD)},
        {"low": [0, 0, 0], "high": [1.0, 1, 1], "mean": mean, "std": std},
        {"low": torch.zeros(3, *[1] * dims), "high": torch.tensor(1.0), "mean": MEAN, "std": STD},
        {"low": ((0 - mean) / std).flatten().tolist(), "high": ((1 - mean) / std).flatten().tolist()},
    ):
        torch.testing.assert_close(relevance(dims, method, **given), expected, rtol=1e-6, atol=1e-8)


def test_the_mean_or_the_standard_deviation_may_be_given_alone_and_be_one_for_all_channels() -> None:
    expected = relevance(2, low=-2.0, high=2.0)
    torch.testing.assert_close(relevance(2, low=-1.0, high=3.0, mean=[1.0]), expected)
    torch.testing.assert_close(relevance(2, low=-1.0, high=1.0, std=[0.5]), expected)
    torch.testing.assert_close(relevance(2, low=0.0, high=2.0, mean=[1.0] * 3, std=[0.5]), expected)


def test_pixels_outside_their_bounds_are_noted() -> None:
    model, x = network(2)
    bounds = {"low": 0, "high": 0.5, "mean": MEAN, "std": STD}
    (note,) = xaicore.explain(model, x, method="lrp.z_box", target=0, **bounds).diagnostics.notes
    assert "outside the box [0, 0.5] of the normalised pixels" in note


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"std": [0.1, 0.0, 0.1]}, "must be positive: pixels were divided by it"),
        ({"std": [-1.0]}, "must be positive"),
        ({"mean": [float("nan")] * 3}, "must be finite numbers"),
        ({"mean": "0.5"}, "mean='0.5' must be"),
        ({"mean": torch.zeros(2, 2)}, "one a channel, such as"),
        ({"mean": []}, "one a channel, such as"),
        ({"mean": [0.1, 0.2], "std": [1.0, 1.0, 1.0]}, "mean has 2 channels and std 3"),
        ({"low": [0.0, 2.0]}, "low must not exceed high"),
        ({"low": [0.0, 0.0], "high": torch.ones(2, 1, 1)}, "both be sequences"),
        ({"low": ["a"]}, "must be a sequence of numbers"),
        ({"low": None}, "must be a number, a sequence with one number a channel, or a tensor, not a NoneType"),
        ({"high": float("nan")}, "low must not exceed high"),
    ],
)
def test_bounds_that_make_no_sense_are_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        ZBox(**{"low": 0.0, "high": 1.0} | parameters)


@pytest.mark.parametrize("name", ["mean", "std", "low"])
def test_a_number_of_channels_that_is_not_the_models_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"{name} has 2 numbers, but the input of conv2d .* has 3 channels"):
        relevance(2, **{"low": 0.0, "high": 1.0} | {name: [0.5, 0.5]})


def test_a_box_reads_as_it_is_written() -> None:
    rule = ZBox(0, [1, 1], mean=[0.5, 0.5], std=torch.ones(2))
    assert repr(rule) == "ZBox(low=0, high=[1, 1], epsilon=1e-06, mean=[0.5, 0.5], std=tensor(2,))"
