"""The grid of inputs x methods: contents, scales, and that no text meets another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization import grid

Make = Callable[..., Explanation]
METHODS = [
    *("gradients.saliency", "gradients.sensitivity", "gradients.input_x_gradient", "gradients.guided_backprop"),
    *("gradients.deconvnet", "lrp.zero", "lrp.epsilon", "lrp.gamma", "lrp.alpha_beta", "lrp.alpha_1_beta_0"),
    *("lrp.alpha_2_beta_1", "lrp.z_plus", "lrp.flat", "lrp.w_square", "lrp.z_box", "lrp.epsilon_plus"),
    *("lrp.epsilon_plus_flat", "lrp.epsilon_gamma_box", "lrp.epsilon_alpha2_beta1"),
]
NAN = float("nan")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in shown_texts(figure)]


def shown_texts(figure: Figure) -> list[Text]:
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]


def pictures(figure: Figure) -> list[Any]:
    """The axes that show an image or a map."""
    return [ax for ax in figure.axes if ax.images]


def maps(figure: Figure) -> list[Any]:
    return [image for ax in figure.axes for image in ax.images if image.get_clim()[0] < 0]


def assert_nothing_overlaps(figure: Figure) -> None:
    """No text meets another text or a picture, and all of it lies on the page, at a low and a high resolution."""
    for dpi in (72, 220):
        figure.set_dpi(dpi)
        figure.draw_without_rendering()
        page = figure.get_size_inches() * dpi
        boxes = [(text.get_text(), text.get_window_extent().padded(-0.01 * dpi)) for text in shown_texts(figure)]
        for (one, box), (other, another) in itertools.combinations(boxes, 2):
            assert not box.overlaps(another), (dpi, one, other)
        for text, box in boxes:
            assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= page[0] and box.y1 <= page[1], (dpi, text)
        frames = [ax.get_window_extent() for ax in pictures(figure)]
        for (text, box), frame in itertools.product(boxes, frames):
            assert not box.overlaps(frame), (dpi, text)
        for one_frame, other_frame in itertools.combinations(frames, 2):
            assert not one_frame.padded(-0.5).overlaps(other_frame)


def test_two_targets_of_one_digit_with_nineteen_methods(make: Make) -> None:
    digit = torch.rand(1, 1, 8, 8).repeat(2, 1, 1, 1)
    logits = torch.eye(10)[[8, 8]] * 3
    found = {name: make(torch.randn(2, 1, 8, 8), name, [8, 5], prediction=logits) for name in METHODS}
    figure = grid(digit, found, true=[5, 5], score="softmax", footer="digit 17")
    assert_nothing_overlaps(figure)
    said = texts(figure)
    head = "true: 5\npredicted: 8 (69 %)\nexplained: 8"
    assert said.count(head) == 2, "once a block of columns"
    assert said.count("explained: 5") == 2, "the row below says what is new"
    assert said.count("gradients") == 1 and said.count("lrp") == 2
    assert len(maps(figure)) == 38
    assert len(pictures(figure)) == 38 + 2, "the repeated input is drawn once a block"
    assert "digit 17" in said


def test_an_overview_of_digits_by_method_and_target(make: Make) -> None:
    inputs, shape = torch.rand(6, 1, 8, 8), (6, 1, 8, 8)
    found = {
        name: {
            "predicted": make(torch.randn(shape), name, [8, 3, 9, 1, 4, 6]),
            "true": make(torch.randn(shape), name, [5, 6, 7, 8, 9, 0]),
        }
        for name in METHODS[2:7]
    }
    figure = grid(inputs, found, true=[5, 6, 7, 8, 9, 0], title="Misclassified digits")
    assert_nothing_overlaps(figure)
    said = texts(figure)
    assert said.count("predicted") == said.count("true") == 5
    assert said.count("for 8") == 10, "the predicted class of one row and the true one of another"
    assert not any("explained" in text for text in said)


@pytest.mark.parametrize("scale", ["map", "row", "figure"])
@pytest.mark.parametrize(
    ("rows", "methods", "shape", "options"),
    [
        (1, 1, (3, 40, 40), {}),
        (1, 3, (1, 8, 8), {"labels": ["a very long name of a class, longer than any row title"] * 10}),
        (4, 2, (3, 20, 60), {"true": [0, 1, 2, 3], "title": "A title " * 12, "footer": "a footer " * 30}),
        (3, 8, (1, 60, 20), {"figsize": (7, 5), "percentile": 99}),
        (6, 8, (1, 8, 8), {"figsize": (7, 5), "true": range(6)}),
        (2, 14, (1, 8, 8), {"wrap": 4}),
        (2, 4, (1, 8, 8), {"labels": ["$x_1$ und _y", "b"] * 5, "overlaid": True}),
    ],
)
def test_nothing_overlaps_whatever_the_contents(
    make: Make, scale: str, rows: int, methods: int, shape: tuple[int, ...], options: dict[str, Any]
) -> None:
    relevance = torch.randn(rows, *shape) * 1e-7
    relevance[0, 0, 0, :3] = NAN
    names = METHODS[-methods:]
    found = {name: make(relevance, name, [(i + (name in names[::2])) % 10 for i in range(rows)]) for name in names}
    figure = grid(torch.rand(rows, *shape), found, scale=scale, **options)
    assert_nothing_overlaps(figure)
    if "figsize" in options:
        assert tuple(figure.get_size_inches()) == pytest.approx(options["figsize"])


def test_colour_bars_of_rows_that_follow_closely_keep_their_numbers_apart(make: Make) -> None:
    found = {name: make(torch.randn(6, 1, 8, 8), name) for name in METHODS[:8]}
    assert_nothing_overlaps(grid(torch.rand(6, 1, 8, 8), found, scale="row"))


def test_cells_of_a_row_and_of_a_column_are_aligned_and_square(make: Make) -> None:
    figure = grid(torch.rand(2, 1, 8, 8), {name: make(torch.randn(2, 1, 8, 8), name) for name in METHODS[:3]})
    boxes = [ax.get_position() for ax in pictures(figure)]
    wide, tall = figure.get_size_inches()
    assert len({round(box.x0, 6) for box in boxes}) == 4 and len({round(box.y0, 6) for box in boxes}) == 2
    for box in boxes:
        assert box.width * wide == pytest.approx(box.height * tall)


def test_the_figure_is_as_wide_as_a_page_where_it_can_be(make: Make) -> None:
    figure = grid(torch.rand(2, 1, 8, 8), {name: make(torch.randn(2, 1, 8, 8), name) for name in METHODS[:6]})
    assert figure.get_size_inches()[0] == pytest.approx(7.1)


@pytest.mark.parametrize(
    ("scale", "limits"), [("map", [1, 10, 2, 20]), ("row", [10, 10, 20, 20]), ("figure", [20, 20, 20, 20])]
)
def test_scales_are_shared_as_asked_and_the_bar_says_so(make: Make, scale: str, limits: list[float]) -> None:
    first = torch.tensor([1.0, -2.0])[:, None, None, None].expand(2, 1, 4, 4)
    figure = grid(torch.rand(2, 1, 4, 4), [make(first, "a.b"), make(first * 10, "a.c")], scale=scale)
    assert sorted(image.get_clim()[1] for image in maps(figure)) == sorted(limits)
    assert all(image.get_clim()[0] == -image.get_clim()[1] for image in maps(figure))
    said = "\n".join(texts(figure))
    if scale == "map":
        assert "each map on its own" in said.replace("\n", " ") and "−max" in said
    else:
        assert "−20" in said and "own scale" not in said
    assert said.count("0\n") >= (2 if scale == "row" else 1)


def test_a_percentile_is_named_at_the_bar(make: Make) -> None:
    relevance = torch.arange(100.0).reshape(1, 1, 10, 10)
    figure = grid(None, make(relevance), percentile=50, scale="figure")
    assert maps(figure)[0].get_clim()[1] == pytest.approx(49.5)
    assert "percentile 50" in " ".join(texts(figure)).replace("\n", " ")


def test_targets_are_said_in_rows_or_columns_or_cells_as_they_vary(make: Make) -> None:
    relevance = torch.randn(2, 1, 4, 4)
    labels = ["cat", "dog", "owl"]
    by_row = texts(
        grid(None, {"x": make(relevance, "a.b", [0, 1]), "y": make(relevance, "a.c", [0, 1])}, labels=labels)
    )
    assert [text for text in by_row if "explained" in text] == [
        "predicted: cat (5.00)\nexplained: cat",
        "predicted: dog (5.00)\nexplained: dog",
    ]
    by_column = texts(
        grid(None, {"x": make(relevance, "a.b", [0, 0]), "y": make(relevance, "a.c", [2, 2])}, labels=labels)
    )
    assert "x\nfor cat" in by_column and "y\nfor owl" in by_column
    by_cell = texts(
        grid(None, {"x": make(relevance, "a.b", [0, 1]), "y": make(relevance, "a.c", [1, 2])}, labels=labels)
    )
    assert [text for text in by_cell if text.startswith("for")] == ["for cat", "for dog", "for dog", "for owl"]


def test_other_targets_are_named_by_their_label(make: Make) -> None:
    target = {"kind": "contrast", "labels": ["3 - 8"], "index": [None], "values": torch.ones(1)}
    assert any("explained: 3 - 8" in text for text in texts(grid(None, make(torch.ones(1, 4, 4), target=target))))
    output = {"kind": "output", "labels": ["output"], "index": [None], "values": torch.ones(1)}
    figure = grid(None, make(torch.ones(1, 4, 4), target=output, prediction=torch.tensor([2.5])))
    assert "predicted: 2.5" in texts(figure)


@pytest.mark.parametrize(
    ("score", "line"), [("output", "predicted: 1 (2.00)"), ("softmax", "predicted: 1 (88 %)"), (None, "predicted: 1")]
)
def test_the_number_behind_the_predicted_class(make: Make, score: str | None, line: str) -> None:
    explanation = make(torch.ones(1, 4, 4), index=[0], prediction=torch.tensor([[0.0, 2.0]]))
    assert f"{line}\nexplained: 0" in texts(grid(None, explanation, score=score))


def test_true_classes_may_be_numbers_or_names(make: Make) -> None:
    relevance = torch.ones(2, 4, 4)
    said = "\n".join(texts(grid(None, make(relevance), labels=["cat", "dog"], true=torch.tensor([1, 0]))))
    assert "true: dog" in said and "true: cat" in said
    assert "true: bird" in "\n".join(texts(grid(None, make(relevance), true=["bird", "fish"])))


def test_columns_of_one_method_are_told_apart_by_parameters(make: Make) -> None:
    relevance = torch.ones(1, 4, 4)
    columns = [make(relevance), make(relevance, parameters={"epsilon": 1})]
    said = " ".join(texts(grid(None, columns))).replace("\n", " ").replace("epsilon epsilon", "epsilon  epsilon")
    assert "epsilon=0.25" in said and "epsilon=1" in said


def test_inputs_kept_in_the_explanation_are_shown(make: Make) -> None:
    relevance = torch.randn(2, 1, 4, 4)
    assert len(pictures(grid(None, make(relevance)))) == 2
    assert len(pictures(grid(None, make(relevance, inputs=torch.rand(2, 1, 4, 4))))) == 4


def test_one_of_several_inputs_is_chosen_by_name(make: Make) -> None:
    explanation = make({"image": torch.randn(1, 1, 4, 4), "mask": torch.randn(1, 1, 4, 6)})
    assert maps(grid(None, explanation, name="mask"))[0].get_array().shape == (4, 6)
    with pytest.raises(InputError, match=r"choose one with name=.*\['image', 'mask'\]"):
        grid(None, explanation)


def test_overlaid_maps_lie_on_the_image(make: Make) -> None:
    figure = grid(torch.rand(1, 3, 8, 8), make(torch.randn(1, 3, 2, 2)), overlaid=True)
    assert [len(ax.images) for ax in pictures(figure)] == [2, 1]
    with pytest.raises(InputError, match="needs the images"):
        grid(None, make(torch.randn(1, 3, 8, 8)), overlaid=True)


def test_what_is_no_number_is_counted_below_its_cell(make: Make) -> None:
    relevance = torch.randn(1, 1, 4, 4)
    relevance[0, 0, 1, 1] = NAN
    figure = grid(None, {"good": make(torch.randn(1, 1, 4, 4)), "bad": make(relevance)})
    assert texts(figure).count("1 NaN") == 1


@pytest.mark.parametrize("scale", ["map", "row", "figure"])
def test_axes_given_are_drawn_on(make: Make, scale: str) -> None:
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots(2, 3)
    found = {"g": {"a": make(torch.randn(2, 1, 4, 4)), "b": make(torch.randn(2, 1, 4, 4))}}
    assert grid(torch.rand(2, 1, 4, 4), found, axes=axes, scale=scale) is figure
    assert all(ax.images for ax in axes.flat)
    assert axes[0, 1].get_title() == "g\na" and "predicted" in axes[1, 0].get_ylabel()
    assert len(figure.axes) == 6 + (2 if scale == "row" else 1)
    FigureCanvasAgg(figure).draw()
    with pytest.raises(InputError, match=r"axes of shape \(3,\): this grid needs \(2, 3\)"):
        grid(torch.rand(2, 1, 4, 4), found, axes=axes[0])


def test_relevance_that_requires_grad_is_drawn(make: Make) -> None:
    relevance = torch.randn(1, 1, 4, 4, requires_grad=True)
    values = torch.ones(1, requires_grad=True)
    explanation = make(relevance * 2, prediction=torch.ones(1, 3, requires_grad=True) * values)
    assert maps(grid(relevance, explanation))


@pytest.mark.parametrize(
    ("arguments", "options", "error"),
    [
        ("one", {"scale": "all"}, ParameterError),
        ("one", {"score": "logit"}, ParameterError),
        ("one", {"wrap": 0}, ParameterError),
        ("one", {"figsize": (1, 1)}, ParameterError),
        ("one", {"true": [1]}, InputError),
        ("one", {"inputs": torch.rand(3, 4, 4)}, InputError),
        ("none", {}, InputError),
        ("tensor", {}, InputError),
        ("unequal", {}, InputError),
        ("flat", {}, InputError),
    ],
)
def test_what_makes_no_grid_is_refused(make: Make, arguments: str, options: dict[str, Any], error: type) -> None:
    good = make(torch.randn(2, 4, 4))
    contents: Any = {
        "one": good,
        "none": [],
        "tensor": [torch.ones(2)],
        "unequal": {"a": good, "b": good[:1]},
        "flat": make(torch.randn(2, 5)),
    }[arguments]
    with pytest.raises(error):
        grid(options.pop("inputs", None), contents, **options)


def test_the_colours_of_two_cells_agree_exactly_where_their_scale_is_shared(make: Make) -> None:
    relevance = torch.tensor([[[[1.0, 0.5]]], [[[0.5, 0.0]]]])
    one, two = maps(grid(None, make(relevance), scale="figure"))
    np.testing.assert_array_equal(one.to_rgba(one.get_array())[0, 1], two.to_rgba(two.get_array())[0, 0])
