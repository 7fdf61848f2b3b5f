"""Curves of metrics: means, bands and a legend that says which method is best."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Curve, Scores, bootstrap_interval
from xaicore.visualization import curves

X = torch.linspace(0, 1, 5, dtype=torch.float64)


def scores(y: torch.Tensor, better: bool = False, label: str = "output", x: torch.Tensor = X) -> Scores:
    return Scores("evaluation.pixel_flipping", y.mean(1), better, curve=Curve(x, y, "share of patches replaced", label))


def falling(speed: float, samples: int = 6) -> torch.Tensor:
    random = torch.Generator().manual_seed(0)
    return torch.exp(-speed * X) + 0.1 * torch.randn(samples, 5, generator=random, dtype=torch.float64)


def legend(ax: object) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]  # type: ignore[attr-defined]


def test_the_line_is_the_mean_and_the_band_its_bootstrap_interval() -> None:
    ax = curves({"one": scores(falling(3))}, confidence=0.9)
    (line,) = ax.get_lines()
    np.testing.assert_allclose(line.get_xdata(), X)
    np.testing.assert_allclose(line.get_ydata(), falling(3).mean(0))
    (band,) = ax.collections
    low, high = bootstrap_interval(falling(3)[:, 2], 0.9)
    heights = sorted(float(y) for x, y in band.get_paths()[0].vertices if x == 0.5)
    assert (heights[0], heights[-1]) == pytest.approx((low, high))
    assert ax.get_xlabel() == "share of patches replaced" and ax.get_ylabel() == "output"


@pytest.mark.parametrize("better", [False, True])
def test_the_best_method_comes_first_and_keeps_the_colour_of_its_place(better: bool) -> None:
    found = {"slow": scores(falling(1), better), "fast": scores(falling(9), better)}
    ax = curves(found)
    means = {name: f"{name}: {each.mean:.3g}" for name, each in found.items()}
    assert legend(ax) == [means[name] for name in (["slow", "fast"] if better else ["fast", "slow"])]
    assert ax.get_legend().get_title().get_text() == f"mean score ({'higher' if better else 'lower'} is better)"
    colours = {line.get_label(): line.get_color() for line in ax.get_lines()}
    again = curves({"slow": found["slow"]})
    assert again.get_lines()[0].get_color() == colours[means["slow"]]


def test_more_methods_than_colours_are_told_apart_by_their_lines() -> None:
    ax = curves({str(number): scores(falling(number)) for number in range(9)}, confidence=None)
    assert len({(line.get_color(), line.get_linestyle()) for line in ax.get_lines()}) == 9
    assert not ax.collections


def test_undefined_samples_are_left_out_and_counted() -> None:
    broken = falling(3)
    broken[2] = torch.nan
    ax = curves({"one": scores(broken), "none": scores(broken[2:3])})
    np.testing.assert_allclose(ax.get_lines()[0].get_ydata(), broken[[0, 1, 3, 4, 5]].mean(0))
    assert legend(ax)[1] == "none: undefined"
    assert ax.get_xlabel().splitlines()[1:] == ["one: undefined for 1 of 6", "none: undefined for 1 of 1"]


def test_one_sample_has_no_band_and_axes_are_the_callers() -> None:
    axes = Figure().add_subplot()
    assert curves({"one": scores(falling(2, samples=1))}, axes, title="$x_1$") is axes
    assert not axes.collections and axes.get_title() == "$x_1$"


def test_what_has_no_curve_or_another_axis_is_refused() -> None:
    with pytest.raises(InputError, match="no scores"):
        curves({})
    with pytest.raises(InputError, match="No curve belongs to the scores of 'gini'"):
        curves({"flip": scores(falling(1)), "gini": Scores("m", torch.ones(2), True)})
    with pytest.raises(InputError, match="different things"):
        curves({"a": scores(falling(1)), "b": scores(falling(1), label="probability")})
    with pytest.raises(ParameterError, match=r"confidence=1.5"):
        curves({"a": scores(falling(1))}, confidence=1.5)
