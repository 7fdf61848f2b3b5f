"""Relevance of features over many samples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import summary

NAN = float("nan")
TABLE = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1.0, 4.0, 0.5, 2.0])


def names(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def dots(ax: Axes) -> list[np.ndarray[Any, Any]]:
    return [np.asarray(each.get_offsets()) for each in ax.collections]


def test_there_is_one_dot_a_sample_at_its_relevance_and_the_strongest_feature_is_at_the_top() -> None:
    ax = summary(TABLE, list("abcd"), title="t")
    assert names(ax) == ["b", "d", "a", "c"] and ax.yaxis_inverted() and ax.get_title() == "t"
    for row, (places, column) in enumerate(zip(dots(ax), (1, 3, 0, 2), strict=True)):
        assert np.allclose(places[:, 0], TABLE[:, column])
        assert (abs(places[:, 1] - row) < 0.4).all()


def test_dots_of_one_place_lie_side_by_side_and_lonely_ones_in_the_middle() -> None:
    (places,) = dots(summary(torch.tensor([[1.0], [1.0], [1.0], [-1.0]])))
    offsets = places[:, 1]
    assert offsets[0] == offsets[3] == 0 and offsets[1] == -offsets[2] != 0
    assert len({tuple(place) for place in places.tolist()}) == 4


def test_dense_places_are_wider() -> None:
    generator = torch.Generator().manual_seed(0)
    (places,) = dots(summary(torch.randn(2000, 1, generator=generator)))
    middle, outside = abs(places[:, 0]) < 0.2, abs(places[:, 0]) > 2
    assert np.ptp(places[middle, 1]) > 4 * np.ptp(places[outside, 1]) > 0
    again = dots(summary(torch.randn(2000, 1, generator=generator.manual_seed(0))))[0]
    assert (places == again).all()


def test_dots_have_the_colours_of_values_from_the_5th_to_the_95th_percentile() -> None:
    values = torch.arange(101.0)[:, None].repeat(1, 2)
    values[:, 1] = 3
    values[0, 0] = NAN
    ax = summary(torch.linspace(-1, 1, 101)[:, None].repeat(1, 2), values=values)
    paint = matplotlib.colormaps["viridis"]
    first, second = (each.get_facecolors() for each in ax.collections[:2])  # type: ignore[attr-defined]
    low, high = np.percentile(np.arange(1, 101), (5, 95))
    expected = paint(np.clip((np.arange(101) - low) / (high - low), 0, 1))
    assert np.allclose(first[1:], expected[1:]) and np.ptp(first[0, :3]) == 0
    assert np.allclose(second, paint(0.5))
    assert [each.get_label() for each in ax.figure.axes].count("<colorbar>") == 1
    assert len(summary(TABLE, values=TABLE, colorbar=False).figure.axes) == 1


def test_a_rare_flag_is_seen() -> None:
    flag = torch.zeros(100, 1)
    flag[0] = 1  # beyond the 95th percentile, which is zero as the 5th is
    colours = summary(torch.ones(100, 1), values=flag).collections[0].get_facecolors()  # type: ignore[attr-defined]
    paint = matplotlib.colormaps["viridis"]
    assert np.allclose(colours[0], paint(1.0)) and np.allclose(colours[1:], paint(0.0))


def test_bars_are_means_of_magnitudes_with_students_interval() -> None:
    table = torch.tensor([[1.0, -2.0], [3.0, -2.0], [-5.0, 2.0]])
    ax = summary(table, ["a", "b"], style="bars")
    bars = next(each for each in ax.containers if hasattr(each, "patches"))
    assert [bar.get_width() for bar in bars] == [3, 2]
    (segments,) = (each.get_segments() for each in ax.collections)  # type: ignore[attr-defined]
    half = 4.302652729911275 * 2 / np.sqrt(3)  # t of 2 degrees of freedom at 0.975; standard deviation of 1, 3, 5
    assert np.allclose(segments[0][:, 0], [0, 3 + half])  # cut at zero
    assert np.allclose(segments[1][:, 0], [2, 2])


def test_of_one_sample_there_are_bars_and_no_interval() -> None:
    ax = summary(torch.tensor([[1.0, -2.0]]), style="bars", scale=3.0)
    assert names(ax) == ["1", "0"]
    assert ax.get_xlabel() == "mean |relevance|" and ax.get_xlim()[1] == pytest.approx(1.04 * 3)
    (segments,) = (each.get_segments() for each in ax.collections)  # type: ignore[attr-defined]
    assert not any(len(segment) for segment in segments)  # no whiskers
    table = torch.tensor([[1.0, -2.0], [2.0, torch.nan]])
    assert "95 % interval" in summary(table, style="bars").get_xlabel()


def test_nan_is_left_out_and_counted() -> None:
    table = TABLE.clone()
    table[0, 2] = NAN
    table[:, 1] = float("inf")
    for style in ("dots", "bars"):
        ax = summary(table, list("abcd"), style=style)
        assert names(ax) == ["d", "a", "c", "b"] and "1 NaN, 50 inf" in ax.get_xlabel()
        FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]
    assert [len(each) for each in dots(summary(table))] == [50, 50, 49, 0]


def test_only_the_strongest_features_are_drawn_and_that_is_said() -> None:
    ax = summary(TABLE, top=2)
    assert names(ax) == ["1", "3"] and "2 of 4 features" in ax.get_xlabel()


def test_scales_can_be_shared() -> None:
    ax = summary(TABLE, scale=2.0)
    assert ax.get_xlim() == (-2.08, 2.08)
    assert max(abs(each[:, 0]).max() for each in dots(ax)) == 2
    low, high = summary(TABLE, scale=9.0, style="bars").get_xlim()
    assert low == 0 and high > 9


def test_half_precision_equals_double() -> None:
    half = TABLE.bfloat16()
    assert all((a == b).all() for a, b in zip(dots(summary(half)), dots(summary(half.double())), strict=True))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        ((torch.ones(3),), {}, InputError, r"many samples, \(B, F\); got shape \(3,\)"),
        ((torch.ones(0, 2),), {}, InputError, "many samples"),
        ((torch.ones(2, 2), ["a"]), {}, InputError, "1 names for 2 features"),
        ((torch.ones(2, 2),), {"values": torch.ones(2, 3)}, InputError, "must be alike"),
        ((torch.ones(2, 2),), {"style": "dot"}, ParameterError, "Did you mean 'dots'"),
        ((torch.ones(2, 2),), {"cmap": "nothing"}, ParameterError, "no colour map 'nothing'"),
        ((torch.ones(2, 2),), {"top": 0}, ParameterError, "top=0"),
    ],
)
def test_what_does_not_fit_is_refused(arguments: Any, options: Any, error: type, said: str) -> None:
    with pytest.raises(error, match=said):
        summary(*arguments, **options)


Make = Callable[..., Explanation]


def test_all_samples_of_an_explanation_are_in_one_picture(make: Make) -> None:
    explanation = make(TABLE, inputs=TABLE * 2)
    figure = explanation.plot(kind="summary", names=list("abcd"))
    assert [ax.get_label() for ax in figure.axes] == ["", "<colorbar>"]
    assert (
        names(figure.axes[0]) == ["b", "d", "a", "c"]
        and figure.axes[0].get_title() == "50 samples, explained: 50 different classes"
    )
    same = make(TABLE, index=[3] * 50).plot(kind="summary", labels=list("abcdefghij"))
    assert same.axes[0].get_title() == "50 samples, explained: d"
    both = make({"one": TABLE, "two": TABLE[:, :2]}).plot(kind="summary", footer=False)
    several = "50 samples, explained: 50 different classes"
    assert [ax.get_title() for ax in both.axes] == [f"one, {several}", f"two, {several}"]
    with pytest.raises(InputError, match=r'kind="summary" is for tables.*shape \(50, 2, 2\)'):
        make(TABLE.reshape(50, 2, 2)).plot(kind="summary")
    with pytest.raises(InputError, match="names that all of them share"):
        explanation.plot(kind="summary", names=[list("abcd")] * 50)
