"""Grids of any form; classes x methods and models x methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.text import Text

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import class_grid, grid, model_grid
from xaicore.visualization.smooth_forms import smoothed

Make = Callable[..., Explanation]
FORMS = ["heatmap", "graymap", "overlay", "gated", "segments", "pattern", "blend", "contours", "projection"]


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def cells(figure: Figure, columns: int) -> list[Any]:
    """The pictures of a grid without the inputs, row by row: they come first."""
    return [ax for ax in figure.axes if ax.images][:columns]


@pytest.mark.parametrize("form", FORMS)
def test_any_form_fills_a_grid_and_nothing_overlaps(make: Make, form: str) -> None:
    relevance = torch.randn(2, 3, 12, 12)
    relevance[0, 0, 0, 0] = float("nan")
    found = {name: make(relevance, name, [0, 1]) for name in ("a.one", "a.two")}
    figure = grid(torch.rand(2, 3, 12, 12), found, form=form, true=[1, 0], percentile=99)
    figure.draw_without_rendering()
    frames = [ax.get_window_extent() for ax in figure.axes if ax.images]
    assert len(frames) == 6
    for text in figure.findobj(Text):
        if text.get_visible() and text.get_text().strip():
            box = text.get_window_extent().padded(-1.5)
            assert not any(box.overlaps(frame) for frame in frames), text.get_text()
            assert box.x0 >= 0 and box.x1 <= figure.bbox.x1 and box.y0 >= 0 and box.y1 <= figure.bbox.y1
    said = " ".join(texts(figure)).replace("\n", " ")
    assert said.count("1 NaN") == 2
    assert ("percentile 99" in said) == (form not in ("segments", "pattern")), "what has no scale has no bar"


@pytest.mark.parametrize("form", ["graymap", "projection"])
@pytest.mark.parametrize("scale", ["map", "row", "figure"])
def test_a_shared_scale_is_the_largest_over_what_shares_it(make: Make, form: str, scale: str) -> None:
    relevance = torch.tensor([[1.0, -2.0], [4.0, 3.0]])[:, :, None, None, None].expand(2, 2, 1, 4, 4)
    found = [make(relevance[:, column], f"a.{column}") for column in range(2)]
    limits = [ax.images[0].get_clim()[1] for ax in cells(grid(None, found, form=form, scale=scale), 4)]
    assert limits == {"map": [1, 2, 4, 3], "row": [2, 2, 4, 4], "figure": [4, 4, 4, 4]}[scale]


def test_the_scale_of_a_form_is_that_of_what_it_draws(make: Make) -> None:
    relevance = torch.zeros(1, 1, 9, 9)
    relevance[0, 0, 4, 4] = 3.0
    peak = smoothed(relevance[0], blur=1.0).max()
    figure = grid(torch.rand(1, 9, 9), make(relevance), form="blend", options={"blur": 1.0}, scale="figure")
    assert f"{peak:.2g}" in texts(figure)
    colours = torch.tensor([[[[3.0]], [[-3.0]], [[0.0]]]])
    assert "3" in texts(grid(None, make(colours), form="projection", scale="figure")), "channels do not cancel"


def test_pooling_sets_both_picture_and_scale(make: Make) -> None:
    relevance = torch.tensor([3.0, -4.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4)
    (ax,) = cells(grid(None, make(relevance), pool="norm"), 1)
    assert ax.images[0].get_clim() == (-5, 5) and ax.images[0].get_array()[0, 0] == pytest.approx(5)


def test_segments_print_their_share_below_each_cell(make: Make) -> None:
    regions = torch.tensor([[0, 0, 1, 1], [2, 2, 3, 3]])
    relevance = torch.tensor([[3.0, 3.0, 1.0, 1.0], [-4.0, 9.0, -1.0, -1.0]])[None, None]
    options = {"regions": regions, "keep": 0.5}
    said = texts(grid(torch.rand(1, 2, 4), make(relevance), form="segments", options=options))
    assert "2 of 4 segments 84.6 % of positive relevance" in [text.replace("\n", " ") for text in said]


def test_row_names_and_captions_are_written(make: Make) -> None:
    found = {"one": make(torch.randn(2, 1, 4, 4), "a.b", [3, 3])}
    said = texts(grid(None, found, rows=["first", "second"], captions=[["AUC 0.1"], ["AUC 0.2"]], score=None))
    assert "first\npredicted: 0\nexplained: 3" in said and "AUC 0.1" in said and "AUC 0.2" in said
    with pytest.raises(InputError, match="1 names for 2 rows"):
        grid(None, found, rows=["first"])
    with pytest.raises(InputError, match="2 rows of 1 texts"):
        grid(None, found, captions=[["a", "b"]])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"form": "bars"}, ParameterError, "core.bars draws no images one by one"),
        ({"form": "gated"}, InputError, "core.gated needs the images"),
        ({"form": "graymap", "overlaid": True}, ParameterError, "give one of them"),
        ({"options": {"colour": 1}}, ParameterError, "core.heatmap has no option 'colour'"),
    ],
)
def test_what_makes_no_grid_of_a_form_is_refused(
    make: Make, options: dict[str, Any], error: type, message: str
) -> None:
    with pytest.raises(error, match=message):
        grid(None, make(torch.randn(1, 1, 4, 4)), **options)


def of_classes(make: Make, method: str, samples: int) -> list[Explanation]:
    """Explanations of three classes; relevance is the number of the class, ten times that of the sample added."""
    return [
        make(torch.full((samples, 1, 4, 4), 0.0) + 10 * torch.arange(samples).view(-1, 1, 1, 1) + each, method,
             [each] * samples)
        for each in (3, 5, 8)
    ]  # fmt: skip


def test_a_class_grid_has_a_row_for_each_class_of_each_input(make: Make) -> None:
    found = {"lrp.epsilon": of_classes(make, "lrp.epsilon", 2), "lrp.zero": of_classes(make, "lrp.zero", 2)}
    images = torch.rand(2, 1, 4, 4)
    figure = class_grid(images, found, true=[5, 8], scale="figure")
    values = [ax.images[0].get_array()[0, 0] for ax in cells(figure, 12)]
    assert values == [3, 3, 5, 5, 8, 8, 13, 13, 15, 15, 18, 18]
    assert {ax.images[0].get_clim()[1] for ax in cells(figure, 12)} == {18}
    said = texts(figure)
    assert said.count("explained: 5") == 2 and "true: 5\npredicted: 0 (5.00)\nexplained: 3" in said
    inputs = [ax for ax in figure.axes if ax.images][12:]
    assert len(inputs) == 2, "each input once"
    np.testing.assert_allclose(inputs[1].images[0].get_array(), images[1, 0])


def test_inputs_kept_in_the_explanations_serve_a_class_grid(make: Make) -> None:
    images = torch.rand(2, 1, 4, 4)
    parts = [make(torch.randn(2, 1, 4, 4), index=[each] * 2, inputs=images) for each in range(3)]
    assert len([ax for ax in class_grid(None, {"m": parts}).axes if ax.images]) == 6 + 2


def test_a_model_grid_has_a_row_for_each_model_and_says_what_it_predicts(make: Make) -> None:
    def of_model(number: int) -> dict[str, Explanation]:
        answers = torch.eye(10)[[number, number]] * 2
        return {
            name: make(torch.full((2, 1, 4, 4), float(number)), name, [7, 7], prediction=answers)
            for name in ("lrp.epsilon", "lrp.zero")
        }

    figure = model_grid(torch.rand(2, 1, 4, 4), {"small": of_model(1), "large": of_model(2)}, true=[7, 7])
    assert [ax.images[0].get_array()[0, 0] for ax in cells(figure, 8)] == [1, 1, 2, 2] * 2
    said = texts(figure)
    assert said.count("small\ntrue: 7\npredicted: 1 (2.00)\nexplained: 7") == 2
    assert said.count("large\npredicted: 2 (2.00)\nexplained: 7") == 2, "the true class is said once for each input"


@pytest.mark.parametrize(
    ("draw", "contents", "message"),
    [
        (class_grid, {}, "needs a dict"),
        (class_grid, {"a": []}, "same classes"),
        (class_grid, {"a": [1], "b": [1, 1]}, "same classes"),
        (class_grid, {"a": 1}, "are one: give a list"),
        (class_grid, {"a": [1, 2]}, "same samples"),
        (model_grid, {}, "at least one model"),
        (model_grid, {"m": [1]}, "dict of dicts"),
        (model_grid, {"m": {"a": 1}, "n": {"b": 1}}, r"same methods, \['a'\]; 'n' has \['b'\]"),
    ],
)
def test_what_makes_no_comparison_is_refused(make: Make, draw: Any, contents: Any, message: str) -> None:
    def filled(each: Any) -> Any:
        if isinstance(each, dict):
            return {key: filled(value) for key, value in each.items()}
        return [filled(value) for value in each] if isinstance(each, list) else make(torch.randn(each, 1, 4, 4))

    with pytest.raises(InputError, match=message):
        draw(None, filled(contents))


def test_as_many_inputs_as_samples_are_needed(make: Make) -> None:
    with pytest.raises(InputError, match="3 entries for explanations of 2 samples"):
        class_grid(torch.rand(3, 1, 4, 4), {"a": of_classes(make, "a.b", 2)})
