"""Heatmaps, overlays and images, read back from the artists and from the rendered pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import displayable, heatmap, overlay, show_image
from xaicore.visualization.scales import NO_NUMBER

NAN, INF = float("nan"), float("inf")


def rendered(ax: Axes) -> Any:
    """The pixels of a figure as (H, W, 4), top row first."""
    figure: Any = ax.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def pixel(ax: Axes, column: float, row: float) -> tuple[int, int, int]:
    """The rendered colour at a point in data coordinates."""
    pixels = rendered(ax)
    x, y = ax.transData.transform((column, row))
    return tuple(int(v) for v in pixels[pixels.shape[0] - 1 - round(y), round(x)][:3])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_scale_is_symmetric_around_zero_for_every_type(dtype: torch.dtype) -> None:
    relevance = torch.tensor([[1.0, 2.0], [0.5, -0.25]], dtype=dtype, requires_grad=True)
    image = heatmap(relevance * 2).images[0]
    assert image.get_clim() == (-4, 4)
    assert image.get_array().tolist() == [[2, 4], [1, -0.5]]


def test_a_given_axes_is_used_and_a_new_one_is_unknown_to_pyplot() -> None:
    ax = Figure().add_subplot()
    assert heatmap(torch.ones(2, 2), ax) is ax
    assert isinstance(heatmap(torch.ones(2, 2)).figure, Figure)


def test_all_zero_relevance_is_white_on_a_scale_of_one() -> None:
    ax = heatmap(torch.zeros(3, 3))
    assert ax.images[0].get_clim() == (-1, 1)
    assert pixel(ax, 1, 1) == (255, 255, 255)


def test_channels_are_summed_before_drawing() -> None:
    assert heatmap(torch.tensor([[[1.0]], [[-3.0]]])).images[0].get_array().item() == -2


def test_what_is_no_number_is_grey_hatched_and_counted_never_red() -> None:
    values = torch.tensor([[NAN, INF, -INF], [1.0, 0.0, -1.0]])
    ax = heatmap(values)
    image = ax.images[0]
    rgba = image.to_rgba(image.get_array())
    for column in range(3):
        np.testing.assert_allclose(rgba[0, column], to_rgba(NO_NUMBER), atol=1e-6)
        red, green, blue = pixel(ax, column + 0.3, 0.3)
        assert max(red, green, blue) - min(red, green, blue) <= 1, "grey has equal parts"
        assert red < 220
    assert image.get_clim() == (-1, 1)
    (patch,) = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    assert patch.get_hatch()
    corners = patch.get_path().vertices
    assert corners[:, 0].min() == -0.5 and corners[:, 0].max() == 2.5 and corners[:, 1].max() == 0.5
    assert ax.get_xlabel() == "1 NaN, 2 inf"


def test_finite_relevance_has_no_hatch_and_no_note() -> None:
    ax = heatmap(torch.ones(2, 2))
    assert not ax.patches and ax.get_xlabel() == ""


def test_relevance_of_nothing_but_nan_is_drawn() -> None:
    ax = heatmap(torch.full((2, 2), NAN))
    assert ax.images[0].get_clim() == (-1, 1) and ax.get_xlabel() == "4 NaN"


def test_a_percentile_is_named_in_the_colour_bar_or_below() -> None:
    values = torch.arange(16.0).reshape(4, 4)
    with_bar = heatmap(values, percentile=90, colorbar=True)
    bar = with_bar.figure.axes[1]
    assert bar.get_ylabel() == "relevance (scale cut at percentile 90 of |R|)"
    assert "percentile 90" in heatmap(values, percentile=90).get_xlabel()
    assert with_bar.images[0].get_clim()[1] == pytest.approx(13.5)


def test_the_colour_bar_shows_limits_and_zero() -> None:
    bar = heatmap(torch.tensor([[3.0]]), colorbar=True).figure.axes[1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["−3", "0", "3"]


def test_titles_of_users_are_not_read_as_mathematics() -> None:
    ax = heatmap(torch.ones(1, 1), title="$1 or x_2$")
    rendered(ax)
    assert ax.get_title() == "$1 or x_2$" and not ax.title.get_parse_math()


def test_a_fixed_scale_and_colour_map_are_kept() -> None:
    image = heatmap(torch.ones(1, 1), scale=5, cmap="seismic").images[0]
    assert image.get_clim() == (-5, 5) and image.get_cmap().name == "seismic"


def test_opacity_of_an_overlay_is_proportional_to_magnitude() -> None:
    relevance = torch.tensor([[0.0, 1.0], [-2.0, 4.0]])
    ax = overlay(torch.rand(3, 2, 2), relevance, alpha=0.8)
    _, painted = ax.images
    rgba = painted.get_array()
    np.testing.assert_allclose(rgba[..., 3], 0.8 * np.array([[0, 0.25], [0.5, 1]]), atol=1e-6)
    assert rgba[1, 1, 0] > rgba[1, 1, 2] and rgba[1, 0, 2] > rgba[1, 0, 0]


def test_an_overlay_stretches_coarse_relevance_over_the_image_and_marks_nan_there() -> None:
    ax = overlay(torch.rand(8, 8), torch.tensor([[1.0, NAN], [0.0, -1.0]]))
    assert ax.images[1].get_extent() == [-0.5, 7.5, 7.5, -0.5]
    corners = ax.patches[0].get_path().vertices
    assert corners[:, 0].min() == 3.5 and corners[:, 1].max() == 3.5
    assert ax.get_xlabel() == "1 NaN"
    red, green, blue = pixel(ax, 5.7, 1.7)
    assert max(red, green, blue) - min(red, green, blue) <= 1


def test_the_image_below_an_overlay_is_grey() -> None:
    ax = overlay(torch.rand(3, 4, 4), torch.zeros(4, 4))
    red, green, blue = pixel(ax, 2, 2)
    assert red == green == blue
    with pytest.raises(ParameterError, match="alpha"):
        overlay(torch.rand(2, 2), torch.rand(2, 2), alpha=2)


def test_images_are_shown_as_they_are_unnormalised_or_stretched() -> None:
    assert displayable(torch.tensor([[0.25, 0.5]])).tolist() == [[0.25, 0.5]]
    assert displayable(torch.tensor([[0, 255]], dtype=torch.uint8)).tolist() == [[0, 1]]
    assert displayable(torch.tensor([[0.0, 4.0, 16.0]])).tolist() == [[0, 0.25, 1]]
    assert displayable(torch.tensor([[-1.0, 1.0, 3.0]]), mean=0.5, std=0.5).tolist() == [[0, 1, 1]]
    colour = displayable(torch.zeros(3, 1, 1), mean=[0.1, 0.2, 0.3], std=torch.ones(3))
    np.testing.assert_allclose(colour, [[[0.1, 0.2, 0.3]]])
    assert displayable(torch.full((2, 2), 7.0)).tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert displayable(torch.rand(5, 4, 6)).shape == (4, 6)
    assert displayable(torch.rand(1, 3, 4, 6)).shape == (4, 6, 3)


def test_missing_pixels_of_an_image_are_hatched() -> None:
    image = torch.rand(3, 4, 4)
    image[1, 2, 3] = NAN
    ax = show_image(image, title="photo")
    assert ax.get_title() == "photo"
    corners = ax.patches[0].get_path().vertices
    assert (corners.min(0) == [2.5, 1.5]).all() and (corners.max(0) == [3.5, 2.5]).all()


@pytest.mark.parametrize(
    ("image", "options"),
    [
        (torch.rand(3), {}),
        (torch.rand(2, 3, 4, 4), {}),
        (torch.rand(3, 4, 4), {"mean": [0.1, 0.2]}),
        (torch.rand(0, 4), {}),
    ],
)
def test_what_is_no_image_is_refused(image: torch.Tensor, options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        show_image(image, **options)
