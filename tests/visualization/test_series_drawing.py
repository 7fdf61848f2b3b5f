"""Series of several channels, maps of channels by time, and series longer than a picture is wide."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import channels_time, series

NAN = float("nan")


def band(ax: Any, row: int = 0) -> np.ndarray[Any, Any]:
    return np.ma.filled(ax.images[row].get_array(), NAN)


def said(ax: Any) -> list[str]:
    return str(ax.get_xlabel()).split("\n")


def test_no_peak_of_a_long_series_is_lost() -> None:
    generator = np.random.default_rng(0)
    relevance, values = generator.normal(size=(2, 100_001))
    relevance[77_777], relevance[12_345] = -40, 30
    values[55_555] = 99
    ax = series(relevance, values)
    colours = band(ax)[0]
    assert len(colours) == 300 and colours.min() == -40 and colours.max() == 30
    place = int(np.argmin(colours)) * 100_001 / 300
    assert abs(place - 77_777) < 340
    (line,) = ax.lines
    steps, heights = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert len(steps) <= 600 and (np.diff(steps) > 0).all()
    assert heights[steps == 55_555] == 99 and heights.min() == values.min()
    assert (heights == values[steps.astype(int)]).all()
    assert "100001 steps in 300 stretches, each with its largest |R|" in said(ax)
    assert ax.images[0].get_extent()[:2] == [-0.5, 100_000.5] == list(ax.get_xlim())


def test_stretches_have_the_value_of_largest_magnitude_with_its_sign() -> None:
    relevance = torch.tensor([1.0, -2.0, 0.5, 0.25, -1.0, 1.0, 3.0])
    # Seven steps in three stretches: 0-1, 2-3, 4-6.
    assert band(series(relevance, torch.zeros(7), resolution=3)).tolist() == [[-2, 0.5, 3]]
    assert band(channels_time(torch.stack([relevance, -relevance]), resolution=3)).tolist() == [
        [-2, 0.5, 3],
        [2, -0.5, -3],
    ]
    whole = series(relevance, torch.zeros(7), resolution=7)
    assert band(whole)[0].tolist() == relevance.tolist() and not any("stretches" in line for line in said(whole))


def test_nan_cannot_hide_in_a_stretch() -> None:
    relevance = np.ones(1000)
    relevance[500] = NAN
    ax = series(relevance, np.sin(np.arange(1000.0)), resolution=10)
    assert np.isnan(band(ax)[0]).tolist() == [False] * 5 + [True] + [False] * 4
    (hatched,) = (patch for patch in ax.patches if patch.get_hatch())
    assert hatched.get_x() == 499.5 and hatched.get_width() == 100 and "1 NaN" in said(ax)
    own = channels_time(relevance, resolution=10)
    assert np.isnan(band(own)[0]).sum() == 1 and len([each for each in own.patches if each.get_hatch()]) == 1


def test_channels_lie_below_each_other_on_one_scale() -> None:
    relevance = torch.tensor([[1.0, -4.0, 0.0], [0.5, NAN, 2.0]])
    values = torch.tensor([[10.0, 20.0, 30.0], [-1.0, 0.0, 1.0]])
    ax = series(relevance, values, names=["I", "$II$"])
    assert [text.get_text() for text in ax.get_yticklabels()] == ["I", "$II$"] and ax.yaxis_inverted()
    assert [image.get_clim() for image in ax.images] == [(-4, 4), (-4, 4)]
    assert [sorted(image.get_extent()[2:]) for image in ax.images] == [[0, 1], [1, 2]]
    first, second = (np.asarray(line.get_ydata()) for line in ax.lines if len(np.asarray(line.get_ydata())) == 3)
    assert (np.diff(first) < 0).all() and first.min() > 0 and first.max() < 1  # larger values lie higher
    assert np.allclose(second - 1, first)  # each within its own range
    assert "colours to ±4" in said(ax) and "1 NaN" in said(ax)
    FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]


def test_lines_of_relevance_share_their_scale() -> None:
    ax = series(torch.tensor([[0.0, 2.0], [0.0, 1.0]]))
    lines = [np.asarray(line.get_ydata()) for line in ax.lines]
    heights = [float(-np.ptp(line)) for line in lines if len(line) == 2 and np.ptp(line) > 0]
    assert len(heights) == 2 and np.isclose(heights[0], 2 * heights[1])
    assert "relevance to ±2" in said(ax)


def test_one_channel_is_drawn_as_one_series() -> None:
    relevance, values = torch.randn(1, 20), torch.randn(1, 20)
    for first, second in (
        (series(relevance, values), series(relevance[0], values[0])),
        (series(relevance), series(relevance[0])),
    ):
        assert first.get_ylim() == second.get_ylim()
        assert np.array_equal(first.lines[0].get_ydata(), second.lines[0].get_ydata())


def test_a_cut_scale_is_said_and_kept_to() -> None:
    relevance = torch.tensor([1.0, 2.0, 3.0, 100.0])
    ax = series(relevance, torch.zeros(4), percentile=50)
    assert ax.images[0].get_clim() == (-2.5, 2.5)
    assert "colours to ±2.5, scale cut at percentile 50 of |R|" in said(ax)
    line = series(relevance, scale=4.0)
    assert max(np.asarray(line.lines[0].get_ydata())) == 4


def test_constant_and_missing_values_are_drawn() -> None:
    for values in (torch.full((5,), 7.0), torch.full((5,), NAN), torch.zeros(5)):
        ax = series(torch.ones(5), values)
        FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]
        low, high = ax.get_ylim()
        assert low < high


def test_a_map_has_a_row_for_each_channel_and_its_scale() -> None:
    relevance = torch.zeros(3, 5)
    relevance[1, 4] = -2
    relevance[2, 0] = NAN
    ax = channels_time(relevance.requires_grad_(), ["a", "b", "$c$"], colorbar=True, title="t")
    assert [text.get_text() for text in ax.get_yticklabels()] == ["a", "b", "$c$"] and ax.get_title() == "t"
    assert band(ax)[1, 4] == -2 and np.isnan(band(ax)[2, 0])
    assert ax.images[0].get_extent() == [-0.5, 4.5, 2.5, -0.5] and ax.images[0].get_clim() == (-2, 2)
    assert len(ax.figure.axes) == 2 and said(ax) == ["step", "1 NaN"]
    assert "colours to ±2" in said(channels_time(relevance))


def test_names_of_many_channels_do_not_lie_on_each_other() -> None:
    ax = channels_time(torch.randn(200, 30), [f"channel {number}" for number in range(200)])
    canvas: Any = FigureCanvasAgg(ax.figure)  # type: ignore[arg-type]
    canvas.draw()
    boxes = [text.get_window_extent() for text in ax.get_yticklabels()]
    assert len(boxes) == 40 and ax.get_yticklabels()[1].get_text() == "channel 5"
    assert all(below.y1 <= above.y0 + 1 for above, below in itertools.pairwise(boxes))


@pytest.mark.parametrize("draw", [series, channels_time])
def test_what_does_not_fit_is_refused(draw: Callable[..., Any]) -> None:
    with pytest.raises(InputError, match=r"\(T,\) or \(C, T\); got shape \(1, 2, 3\)"):
        draw(torch.ones(1, 2, 3))
    with pytest.raises(InputError, match="1 names for 2 channels"):
        draw(torch.ones(2, 3), names=["a"])
    with pytest.raises(ParameterError, match="resolution=1"):
        draw(torch.ones(3), resolution=1)
    with pytest.raises(InputError, match="must be alike"):
        series(torch.ones(2, 3), torch.ones(3, 3))


Make = Callable[..., Explanation]


def test_a_few_channels_become_lines_and_many_a_map(make: Make) -> None:
    few = make(torch.randn(1, 2, 30), inputs=torch.randn(1, 2, 30)).plot(names=["I", "II"]).axes
    assert [text.get_text() for text in few[0].get_yticklabels()] == ["I", "II"] and len(few[0].images) == 2
    many = make(torch.randn(1, 12, 30)).plot().axes
    assert band(many[0]).shape == (12, 30) and many[1].get_label() == "<colorbar>"
    chosen = make(torch.randn(1, 2, 30)).plot(kind="channels", names=["I", "II"]).axes
    assert band(chosen[0]).shape == (2, 30)
