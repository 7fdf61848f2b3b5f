"""Symmetric limits, the diverging colour map, and numbers of every float type."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import RELEVANCE_COLOURS, symmetric_limit
from xaicore.visualization.scales import as_array, as_map, colours, number, symmetric_norm

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("values", "limit"),
    [([1.0, -3.0], 3.0), ([0.0, 0.0], 1.0), ([NAN, 2.0, -INF], 2.0), ([NAN], 1.0), ([], 1.0), ([1e-300], 1e-300)],
)
def test_the_limit_is_the_largest_finite_magnitude(values: list[float], limit: float) -> None:
    assert symmetric_limit(torch.tensor(values, dtype=torch.float64)) == limit


def test_a_percentile_cuts_the_limit_unless_that_leaves_nothing() -> None:
    values = torch.arange(101.0) - 50
    assert symmetric_limit(values, percentile=50) == 25
    assert symmetric_limit(values, percentile=100) == 50
    sparse = torch.zeros(100)
    sparse[0] = -2
    assert symmetric_limit(sparse, percentile=90) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"scale": 0},
        {"scale": -1},
        {"scale": NAN},
        {"percentile": 0},
        {"percentile": 101},
        {"scale": 1, "percentile": 9},
    ],
)
def test_impossible_limits_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(ParameterError):
        symmetric_limit(torch.ones(2), **options)


def test_zero_is_exactly_white_and_the_map_is_red_above_and_blue_below() -> None:
    norm = symmetric_norm(3.0)
    assert tuple(RELEVANCE_COLOURS(norm(0.0))) == (1, 1, 1, 1)
    red, blue = RELEVANCE_COLOURS(norm(2.0)), RELEVANCE_COLOURS(norm(-2.0))
    assert red[0] > red[2] + 0.3 and blue[2] > blue[0] + 0.3


def test_lightness_falls_evenly_on_both_sides() -> None:
    shades = RELEVANCE_COLOURS(np.linspace(0, 1, 21))[:, :3] @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(shades[:11]) > 0).all() and (np.diff(shades[10:]) < 0).all()
    assert np.abs(shades - shades[::-1]).max() < 0.16


def test_what_is_no_number_has_a_colour_that_is_not_on_the_scale() -> None:
    for name in (None, "seismic", RELEVANCE_COLOURS):
        bad = np.array(colours(name)(np.ma.masked_invalid([NAN]))[0])
        scale = np.array([colours(name)(place) for place in np.linspace(0, 1, 257)])
        assert np.abs(scale - bad).max(1).min() > 0.1
    with pytest.raises(ParameterError, match="no colour map 'seismik'"):
        colours("seismik")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int32])
def test_every_real_type_becomes_an_array(dtype: torch.dtype) -> None:
    assert as_array(torch.tensor([1, 2], dtype=dtype)).tolist() == [1.0, 2.0]
    assert as_array(torch.ones(2, requires_grad=True) * 2).tolist() == [2.0, 2.0]
    assert as_array(np.float32([1, 2])).dtype == np.float64
    with pytest.raises(InputError, match="complex"):
        as_array(torch.ones(1, dtype=torch.complex64))


def test_channels_are_summed_without_losing_small_relevance() -> None:
    many = torch.full((4096, 1, 1), 0.25, dtype=torch.float16)
    many[0] = 2048
    assert as_map(many).item() == 2048 + 4095 * 0.25
    assert np.isnan(as_map(torch.tensor([[[INF]], [[-INF]]]))).all()
    for shape in [(2,), (2, 1, 3, 3), (0, 3), (3, 0, 0)]:
        with pytest.raises(InputError, match="shape"):
            as_map(torch.zeros(shape))


def test_numbers_are_brief_and_have_a_true_minus() -> None:
    assert [number(value) for value in (0.123456, -2.0, 1e-9)] == ["0.12", "−2", "1e−09"]
