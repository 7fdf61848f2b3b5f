"""Bars, series and tokens."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import bars, series, tokens

NAN = float("nan")


def lengths(ax: Axes) -> list[float]:
    return [bar.get_width() for bar in ax.containers[0]]


def names(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.get_yticklabels()]


def test_bars_are_sorted_by_magnitude_from_the_top_and_add_up() -> None:
    relevance = torch.tensor([0.5, -3.0, 1.0, 0.25, 0.25, 2.0], requires_grad=True)
    ax = bars(relevance, list("abcdef"), top=3, title="t")
    assert lengths(ax) == [-3, 2, 1, 1.0]
    assert names(ax) == ["b", "f", "c", "sum of 3 others"]
    assert ax.yaxis_inverted() and ax.get_title() == "t"
    assert sum(lengths(ax)) == relevance.sum().item()


def test_bars_are_red_for_and_blue_against() -> None:
    first, second = (bar.get_facecolor() for bar in bars(torch.tensor([2.0, -1.0])).containers[0])
    assert first[0] > first[2] and second[2] > second[0]


def test_one_more_than_top_is_drawn_rather_than_summed() -> None:
    assert names(bars(torch.ones(4), top=3)) == ["0", "1", "2", "3"]


def test_bars_that_are_no_numbers_come_first_and_are_hatched() -> None:
    ax = bars(torch.tensor([1.0, NAN, 2.0]))
    assert names(ax) == ["1", "2", "0"] and lengths(ax)[0] == 0
    assert len([patch for patch in ax.patches if patch.get_hatch()]) == 1
    assert "1 NaN" in ax.get_xlabel()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((torch.ones(2, 2),), InputError), ((torch.ones(0),), InputError), ((torch.ones(2), ["a"]), InputError)],
)
def test_bars_refuse_what_does_not_fit(arguments: Any, error: type) -> None:
    with pytest.raises(error):
        bars(*arguments)
    with pytest.raises(ParameterError):
        bars(torch.ones(2), top=0)


def test_series_draws_a_symmetric_line_or_a_band_behind_the_values() -> None:
    relevance = torch.tensor([1.0, -3.0, 0.0, NAN])
    line = series(relevance)
    low, high = line.get_ylim()
    assert low == -high and high > 3
    band = series(relevance, torch.tensor([5.0, 6.0, 7.0, 8.0]))
    assert band.images[0].get_clim() == (-3, 3)
    assert band.lines[0].get_ydata().tolist() == [5, 6, 7, 8]
    left, right, *_ = band.images[0].get_extent()
    assert (left, right) == (-0.5, 3.5) == band.get_xlim()
    for ax in (line, band):
        assert "1 NaN" in ax.get_xlabel()
        assert [patch.get_hatch() for patch in ax.patches] == ["//////"]
        FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]


def test_series_of_other_lengths_are_refused() -> None:
    with pytest.raises(InputError, match="3 values for relevance of 2"):
        series(torch.ones(2), torch.ones(3))


def test_a_single_step_is_visible() -> None:
    assert series(torch.ones(1)).lines[0].get_marker() == "."


def test_tokens_stand_in_reading_order_without_overlap_inside_the_axes() -> None:
    words = "the quick $brown$ fox <b> jumps over_the ##ly lazy dog".split() * 4
    ax = tokens(torch.linspace(-1, 1, len(words)), words, title="x")
    figure: Any = ax.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    assert [text.get_text() for text in ax.texts] == words
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    for before, after in itertools.pairwise(boxes):
        assert after.x0 >= before.x1 or after.y1 <= before.y0
    for one in range(len(boxes)):
        for other in range(one):
            assert not boxes[one].padded(-0.5).overlaps(boxes[other].padded(-0.5))
    width, height = canvas.get_width_height()
    assert all(box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height for box in boxes)
    title = ax.title.get_window_extent()
    assert title.y1 <= height and not any(title.overlaps(box) for box in boxes)


def test_tokens_are_coloured_by_relevance_and_readable() -> None:
    ax = tokens(torch.tensor([2.0, -2.0, 0.0, NAN]), list("abcd"))
    red, blue, white, grey = (text.get_bbox_patch() for text in ax.texts)
    assert red.get_facecolor()[0] > red.get_facecolor()[2]
    assert blue.get_facecolor()[2] > blue.get_facecolor()[0]
    assert white.get_facecolor() == (1, 1, 1, 1)
    assert grey.get_hatch() and np.ptp(grey.get_facecolor()[:3]) == 0
    assert [text.get_color() for text in ax.texts] == ["white", "white", "black", "black"]


def test_tokens_and_relevance_must_be_as_many() -> None:
    with pytest.raises(InputError, match="2 tokens for relevance of 3"):
        tokens(torch.ones(3), ["a", "b"])


def drawn(ax: Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_padding_has_no_word_where_its_relevance_is_zero() -> None:
    assert drawn(tokens(torch.tensor([1.0, 0.0, 2.0, 0.0, 0.0]), ["a", "b", "c"])) == ["a", "b", "c"]
    behind = tokens(torch.tensor([0.0, 0.0, 0.0, -1.0, 2.0]), ["a", "b"])
    assert drawn(behind) == ["a", "b"]
    blue, red = (text.get_bbox_patch().get_facecolor() for text in behind.texts)
    assert blue[2] > blue[0] and red[0] > red[2]
    assert drawn(tokens(torch.tensor([0.0, 1.0, 0.0]), ["a", "b"])) == ["a", "b"]  # padding is taken at the end first


@pytest.mark.parametrize("rest", [1e-9, NAN])
def test_what_has_relevance_is_no_padding(rest: float) -> None:
    with pytest.raises(InputError, match="2 tokens for relevance of 3.*padding"):
        tokens(torch.tensor([1.0, 2.0, rest]), ["a", "b"])
    with pytest.raises(InputError, match="0 tokens"):
        tokens(torch.zeros(2), [])
    with pytest.raises(InputError, match="3 tokens for relevance of 2"):
        tokens(torch.zeros(2), ["a", "b", "c"])
