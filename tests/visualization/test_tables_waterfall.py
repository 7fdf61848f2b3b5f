"""From the base value to the explained one, and bars on scales that compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Diagnostics, Explanation
from xaicore.visualization import bars, waterfall

NAN = float("nan")


def steps(ax: Axes) -> list[tuple[str, float, float]]:
    """Of each bar its name, where it begins and where it ends."""
    labels = [text.get_text() for text in ax.get_yticklabels()]
    assert ax.yaxis_inverted()
    found = []
    for bar in ax.containers[0]:
        row = round(bar.get_y() + bar.get_height() / 2)
        found.append((labels[row], bar.get_x(), bar.get_x() + bar.get_width()))
    return found


def ends(ax: Axes) -> tuple[str, str, list[float]]:
    """The names of the first and the last row, and where their marks are."""
    (marks,) = (line for line in ax.lines if line.get_marker() == "D")
    labels = [text.get_text() for text in ax.get_yticklabels()]
    return labels[0], labels[-1], [float(place) for place in np.asarray(marks.get_xdata())]


def test_each_bar_begins_where_the_one_above_ends_and_the_last_ends_at_base_plus_sum() -> None:
    relevance = torch.tensor([0.5, -3.0, 1.0, 0.25, 0.25, 2.0], dtype=torch.float64, requires_grad=True)
    ax = waterfall(relevance, list("abcdef"), base=1.0, top=3, title="t")
    assert steps(ax) == [("b", 1, -2), ("f", -2, 0), ("c", 0, 1), ("sum of 3 others", 1, 2)]
    assert ends(ax) == ("base 1", "base + sum 2", [1, 2]) and ax.get_title() == "t"
    low, high = ax.get_xlim()
    assert low < -2 and high > 2


def test_what_the_features_leave_open_has_a_bar_of_its_own() -> None:
    ax = waterfall([1.0, -0.5], ["a", "b"], explained=2.0)
    assert steps(ax)[2:] == [("not in the features", 0.5, 2)]
    assert ends(ax) == ("base 0", "explained 2", [0, 2])
    *features, gap = (bar.get_facecolor() for bar in ax.containers[0])
    assert np.ptp(gap[:3]) == 0 and all(np.ptp(colour[:3]) > 0 for colour in features)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_rounding_is_no_gap(dtype: torch.dtype) -> None:
    relevance = torch.tensor([0.5, 0.25, 1.5], dtype=dtype)
    assert len(steps(waterfall(relevance, base=0.1, explained=2.3500001))) == 3
    assert len(steps(waterfall(relevance, base=0.1, explained=2.36))) == 4


def test_other_inputs_count_before_the_gap() -> None:
    ax = waterfall([1.0], ["a"], explained=4.0, others=-2.0)
    assert steps(ax) == [("a", 0, 1), ("other inputs", 1, -1), ("not in the features", -1, 4)]


def test_nan_takes_the_way_nowhere_and_is_hatched_and_counted() -> None:
    ax = waterfall([1.0, NAN, 2.0], list("abc"), explained=3.5)
    assert steps(ax) == [("b", 0, 0), ("c", 0, 2), ("a", 2, 3), ("not in the features", 3, 3.5)]
    assert len([patch for patch in ax.patches if patch.get_hatch()]) == 1 and "1 NaN" in ax.get_xlabel()


def test_values_stand_behind_the_names_and_lengths_beside_the_bars() -> None:
    ax = waterfall([1.0, -0.25], ["a-b", "c"], values=[-41.256, 0.0])
    assert [name for name, *_ in steps(ax)] == ["a-b = \N{MINUS SIGN}41.3", "c = 0"]
    assert [text.get_text() for text in ax.texts] == ["+1", "\N{MINUS SIGN}0.25"]
    assert [text.get_ha() for text in ax.texts] == ["left", "right"]


def test_zero_relevance_is_drawn() -> None:
    ax = waterfall(torch.zeros(3))
    FigureCanvasAgg(ax.figure).draw()  # type: ignore[arg-type]
    assert ends(ax)[2] == [0, 0]


def test_texts_stay_inside_the_figure() -> None:
    names = ["a_feature_with_a_name_that_is_longer_than_anybody_wants_to_read", "$x_1$", "b\nc"]
    ax = waterfall([1.0, -20.0, 5.0], names, explained=-10.0)
    canvas = FigureCanvasAgg(ax.figure)  # type: ignore[arg-type]
    canvas.draw()
    width, height = canvas.get_width_height()
    for text in [*ax.get_yticklabels(), *ax.texts]:
        box = text.get_window_extent()
        assert box.x0 >= 0 and box.x1 <= width and box.y0 >= 0 and box.y1 <= height
    assert {text.get_text() for text in ax.get_yticklabels()} >= {"$x_1$", "b↵c"}


@pytest.mark.parametrize("name", ["base", "explained", "others"])
def test_ends_that_are_no_numbers_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=rf"waterfall\({name}=nan\)"):
        waterfall([1.0], **{name: NAN})


def test_what_does_not_fit_is_refused() -> None:
    for draw in (bars, waterfall):
        with pytest.raises(InputError, match="1 names for 2 features"):
            draw([1.0, 2.0], ["a"])
        with pytest.raises(InputError, match="1 values for 2 features"):
            draw([1.0, 2.0], values=[3.0])
        with pytest.raises(ParameterError, match="top=0"):
            draw([1.0, 2.0], top=0)
        with pytest.raises(InputError, match="line of numbers"):
            draw(torch.ones(2, 2))


def test_bars_on_one_scale_compare_and_none_is_cut() -> None:
    first, second = (bars(torch.tensor([value, -0.5]), scale=4.0) for value in (1.0, 3.0))
    assert first.get_xlim() == second.get_xlim()
    low, high = first.get_xlim()
    assert low == -high and 4 < high < 4.5
    assert bars(torch.tensor([9.0]), scale=4.0).get_xlim()[1] > 9


Make = Callable[..., Explanation]


def test_an_explanation_is_drawn_from_its_reference_to_the_explained_value(make: Make) -> None:
    relevance, explained, reference = torch.tensor([[1.0, 2.0]]), torch.tensor([5.0]), torch.tensor([1.5])
    checks = Diagnostics(explained, relevance.sum(1), None, reference=reference)
    explanation = make(relevance, inputs=torch.tensor([[7.0, 8.0]]), diagnostics=checks)
    ax = explanation.plot(kind="waterfall", names=["a", "b"]).axes[0]
    assert steps(ax) == [("b = 8", 1.5, 3.5), ("a = 7", 3.5, 4.5), ("not in the features", 4.5, 5)]
    assert ends(ax)[:2] == ("base 1.5", "explained 5")


def test_of_several_inputs_the_others_are_one_bar(make: Make) -> None:
    relevance = {"table": torch.tensor([[1.0, 2.0]]), "image": torch.full((1, 1, 2, 2), 0.5)}
    relevance["image"][0, 0, 0, 0] = NAN
    value = torch.tensor([4.5])
    explanation = make(relevance, diagnostics=Diagnostics(value, value * NAN, non_finite=1))
    figure = explanation.plot(kind={"table": "waterfall"}, names={"table": ["a", "b"]})
    assert steps(figure.axes[0])[-1] == ("other inputs", 3, 4.5)


def test_an_explained_value_that_is_no_number_is_left_out(make: Make) -> None:
    value = torch.tensor([NAN])
    figure: Any = make(torch.ones(1, 2), diagnostics=Diagnostics(value, value)).plot(kind="waterfall")
    assert ends(figure.axes[0])[1] == "base + sum 2"
