"""Blend and contours: smoothed relevance against a Gaussian written out, and lines where the levels are crossed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.contour import QuadContourSet
from matplotlib.patches import PathPatch

from xaicore.errors import ParameterError
from xaicore.visualization import blend, contours
from xaicore.visualization.scales import RELEVANCE_COLOURS
from xaicore.visualization.smooth_forms import interpolated, smoothed

NAN = float("nan")


def gaussian_mean(values: Any, sigma: float) -> Any:
    """The weighted mean around each position, the nearest value going on beyond the border; NaN has no weight."""
    reach = int(np.ceil(3 * sigma))
    padded = np.pad(values, reach, mode="edge")
    steps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (steps[:, None] ** 2 + steps**2) / sigma**2)
    found = np.full(values.shape, NAN)
    for row, column in np.argwhere(np.isfinite(values)):
        window = padded[row : row + 2 * reach + 1, column : column + 2 * reach + 1]
        seen = np.isfinite(window)
        found[row, column] = (window * weights)[seen].sum() / weights[seen].sum()
    return found


@pytest.mark.parametrize("missing", [False, True])
def test_smoothing_is_a_gaussian_mean_of_what_is_a_number(missing: bool) -> None:
    values = np.random.default_rng(0).normal(size=(9, 7))
    if missing:
        values[2, 3] = NAN
        values[8, 6] = np.inf
    expected = gaussian_mean(np.where(np.isfinite(values), values, NAN), 1.3)
    np.testing.assert_allclose(smoothed(values, blur=1.3), expected, atol=1e-6)
    np.testing.assert_array_equal(smoothed(values, blur=0.0), np.where(np.isfinite(values), values, NAN))


def test_constant_relevance_stays_constant() -> None:
    np.testing.assert_allclose(smoothed(torch.full((3, 8, 8), 0.5), blur=2.0), 1.5)


def test_a_blend_is_the_mixture_of_grey_image_and_colour() -> None:
    relevance, image = torch.tensor([[1.0, -1.0], [0.0, 0.5]]), torch.tensor([[0.0, 1.0], [0.5, 0.25]])
    ax = blend(relevance, image=image, alpha=0.25, blur=0.0)
    colour = RELEVANCE_COLOURS(0.5 + 0.5 * relevance.numpy())[..., :3]
    expected = 0.25 * colour + 0.75 * image.numpy()[..., None]
    np.testing.assert_allclose(ax.images[0].get_array(), expected, atol=1e-6)
    white = blend(torch.zeros(2, 2), image=image, alpha=1.0)
    np.testing.assert_allclose(white.images[0].get_array(), 1.0)


def test_the_scale_of_a_blend_is_that_of_what_is_drawn() -> None:
    relevance = torch.zeros(9, 9)
    relevance[4, 4] = 1.0
    peak = smoothed(relevance, blur=1.0).max()
    bar = blend(relevance, image=torch.rand(9, 9), blur=1.0, colorbar=True).figure.axes[1]
    assert bar.get_ylim() == pytest.approx((-peak, peak))


def test_what_is_no_number_is_grey_in_a_blend() -> None:
    relevance = torch.ones(2, 2)
    relevance[0, 1] = NAN
    ax = blend(relevance, image=torch.zeros(4, 4), alpha=1.0, blur=0.0)
    shown = np.asarray(ax.images[0].get_array())
    assert (shown[:2, 2:] == shown[0, 2, 0]).all() and 0.5 < shown[0, 2, 0] < 0.9
    (patch,) = [patch for patch in ax.patches if isinstance(patch, PathPatch)]
    assert patch.get_path().vertices.min(0).tolist() == [1.5, -0.5]


def test_coarse_relevance_is_interpolated() -> None:
    fine = interpolated(np.array([[0.0, 4.0]]), (1, 4))
    np.testing.assert_allclose(fine, [[0, 1, 3, 4]])
    assert blend(torch.rand(2, 2), image=torch.rand(3, 8, 6)).images[0].get_array().shape == (8, 6, 3)


def test_what_is_no_number_colours_nothing_around_it() -> None:
    relevance = torch.ones(4, 4)
    relevance[1, 2] = NAN
    fine = interpolated(smoothed(relevance, blur=0.0), (16, 16))
    missing = np.zeros((16, 16), bool)
    missing[4:8, 8:12] = True
    np.testing.assert_array_equal(np.isnan(fine), missing)
    np.testing.assert_allclose(fine[~missing], 1.0)
    shown = np.asarray(blend(relevance, image=torch.zeros(16, 16), blur=0.0, alpha=1.0).images[0].get_array())
    np.testing.assert_allclose(shown[~missing], np.broadcast_to(RELEVANCE_COLOURS(1.0)[:3], (240, 3)), atol=1e-6)
    ax = contours(relevance, image=torch.zeros(16, 16), blur=0.0)
    assert not [each for each in ax.collections if isinstance(each, QuadContourSet)]


def lines(ax: Any) -> QuadContourSet:
    (found,) = [each for each in ax.collections if isinstance(each, QuadContourSet)]
    return found


def test_contours_lie_where_relevance_crosses_the_levels() -> None:
    ramp = torch.linspace(-1, 1, 21).expand(21, 21)
    found = lines(contours(ramp, image=torch.rand(21, 21), blur=0.0, levels=3))
    np.testing.assert_allclose(found.levels, [-0.75, -0.5, -0.25, 0.25, 0.5, 0.75])
    for level, path in zip(found.levels, found.get_paths(), strict=True):
        np.testing.assert_allclose(path.vertices[:, 0], 10 + 10 * level, atol=1e-5)


def test_contours_are_red_where_relevance_is_positive_and_blue_where_it_is_negative() -> None:
    ramp = torch.linspace(-1, 1, 21).expand(21, 21)
    found = lines(contours(ramp, image=torch.rand(21, 21), levels=2))
    for level, (red, _, blue, _) in zip(found.levels, found.get_edgecolors(), strict=True):
        assert (red > blue) == (level > 0)


def test_levels_that_nothing_crosses_have_no_line() -> None:
    positive = torch.linspace(0, 1, 21).expand(21, 21)
    assert (lines(contours(positive, image=torch.rand(21, 21))).levels > 0).all()
    flat = contours(torch.ones(5, 5), image=torch.rand(5, 5))
    assert not [each for each in flat.collections if isinstance(each, QuadContourSet)]


@pytest.mark.parametrize(
    ("form", "options"), [(blend, {"alpha": 1.5}), (contours, {"levels": 0}), (blend, {"blur": -1})]
)
def test_options_out_of_range_are_refused(form: Any, options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=next(iter(options))):
        form(torch.rand(4, 4), image=torch.rand(4, 4), **options)
