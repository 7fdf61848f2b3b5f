"""The forms that show each pixel by itself, read back from what they draw."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import (
    blend,
    contours,
    gated,
    graymap,
    heatmap,
    overlay,
    pattern,
    projection,
    segments,
)

NAN, INF = float("nan"), float("inf")
FORMS = [heatmap, graymap, overlay, gated, segments, pattern, blend, contours, projection]
NEED_IMAGES = [overlay, gated, segments, pattern, blend, contours]
WITH_SCALE = [heatmap, graymap, overlay, gated, blend, contours, projection]
Form = Callable[..., Axes]


def picture(ax: Axes) -> Any:
    return np.asarray(ax.images[0].get_array())


def hatched(ax: Axes) -> list[PathPatch]:
    return [patch for patch in ax.patches if isinstance(patch, PathPatch) and patch.get_hatch()]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_takes_and_returns_axes_and_is_called_alike(form: Form) -> None:
    ax = Figure().add_subplot()
    image = torch.rand(3, 9, 7)
    assert form(relevance=torch.randn(3, 9, 7), ax=ax, image=image, mean=0.1, std=0.5, pool="sum", title="$x_1") is ax
    assert ax.get_title() == "$x_1" and ax.images
    own = form(relevance=torch.randn(3, 9, 7), image=image)
    assert isinstance(own.figure, Figure) and own.figure.axes == [own]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_every_form_draws_any_float_type_as_it_draws_float64(form: Form, dtype: torch.dtype) -> None:
    relevance = torch.tensor([[1.0, -2.0, 0.5], [0.25, 4.0, 0.0]], dtype=dtype, requires_grad=True)
    image = torch.tensor([[0.0, 0.5, 1.0], [1.0, 0.25, 0.75]], dtype=dtype)
    regions = torch.tensor([[0, 0, 1], [0, 1, 1]])
    extra: dict[str, Any] = {"regions": regions} if form is segments else {}
    one = form(relevance=relevance * 1, image=image, **extra)
    two = form(relevance=relevance.detach().double(), image=image.double(), **extra)
    np.testing.assert_array_equal(picture(one), picture(two))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_constant_relevance_is_drawn(form: Form, value: float) -> None:
    ax = form(relevance=torch.full((6, 6), value), image=torch.rand(6, 6))
    assert np.isfinite(np.ma.filled(picture(ax), 0)).all() and not hatched(ax)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_no_number_is_hatched_counted_and_changes_no_other_pixel(form: Form) -> None:
    torch.manual_seed(0)
    relevance, image = torch.rand(6, 6) - 0.3, torch.rand(3, 6, 6)
    relevance[0, 0] = 0.0
    broken = relevance.clone()
    broken[0, 0] = NAN
    extra: dict[str, Any] = {"regions": torch.arange(36).reshape(6, 6)} if form is segments else {}
    extra |= {"blur": 0.0} if form in (blend, contours) else {}
    whole, ax = (form(relevance=each, image=image, **extra) for each in (relevance, broken))
    assert ax.get_xlabel().splitlines()[0] == "1 NaN"
    (patch,) = hatched(ax)
    corners = patch.get_path().vertices
    assert corners.min(0).tolist() == [-0.5, -0.5] and corners.max(0).tolist() == [0.5, 0.5]
    drawn, expected = (np.asarray(np.ma.filled(picture(each), 0)).reshape(36, -1)[1:] for each in (ax, whole))
    np.testing.assert_array_equal(drawn, expected)


@pytest.mark.parametrize("form", FORMS)
def test_nothing_but_nan_is_drawn(form: Form) -> None:
    ax = form(relevance=torch.full((4, 4), NAN), image=torch.rand(4, 4))
    assert "16 NaN" in ax.get_xlabel() and hatched(ax)


@pytest.mark.parametrize("form", NEED_IMAGES)
def test_a_form_that_is_drawn_on_the_image_asks_for_it(form: Form) -> None:
    if form is overlay:
        return  # takes it first
    with pytest.raises(InputError, match="give it as image="):
        form(relevance=torch.rand(4, 4))


@pytest.mark.parametrize("form", FORMS)
def test_a_batch_is_refused_and_a_batch_of_one_is_drawn(form: Form) -> None:
    form(relevance=torch.rand(1, 3, 5, 5), image=torch.rand(1, 3, 5, 5))
    with pytest.raises(InputError, match=r"relevance\[0\]"):
        form(relevance=torch.rand(2, 3, 5, 5), image=torch.rand(3, 5, 5))


@pytest.mark.parametrize("form", WITH_SCALE)
def test_a_percentile_is_printed(form: Form) -> None:
    relevance, image = torch.arange(25.0).reshape(5, 5), torch.rand(5, 5)
    assert "scale cut at percentile 90 of |R|" in form(relevance=relevance, image=image, percentile=90).get_xlabel()
    bar = form(relevance=relevance, image=image, percentile=90, colorbar=True).figure.axes[1]
    assert "scale cut at percentile 90 of |R|" in bar.get_ylabel()
    assert form(relevance=relevance, image=image, percentile=100).get_xlabel() == ""


POOLED = {"sum": -1.0, "norm": 5.0, "abs": 7.0, "max": 3.0, "max_abs": -4.0, "mean": -1 / 3}


@pytest.mark.parametrize(("pool", "value"), POOLED.items())
def test_channels_are_pooled_as_asked(pool: str, value: float) -> None:
    relevance = torch.tensor([3.0, -4.0, 0.0])[:, None, None].expand(3, 2, 2).clone()
    relevance[2, 0, 0] = -1  # so that the map is not constant
    assert picture(heatmap(relevance, pool=pool))[1, 1] == pytest.approx(value)
    assert picture(graymap(relevance, pool=pool))[1, 1] == pytest.approx(abs(value))


def test_an_unknown_way_to_pool_suggests_the_nearest() -> None:
    with pytest.raises(ParameterError, match=r"Did you mean 'norm'\?"):
        heatmap(torch.rand(3, 2, 2), pool="nrom")


def test_a_graymap_shows_magnitudes_from_black_to_white() -> None:
    ax = graymap(torch.tensor([[-4.0, 1.0], [0.0, INF]]))
    image = ax.images[0]
    assert image.get_clim() == (0, 4)
    assert picture(ax)[0].tolist() == [4, 1]
    rgba = image.to_rgba(image.get_array())
    assert rgba[0, 0].tolist() == [1, 1, 1, 1] and rgba[1, 0].tolist() == [0, 0, 0, 1]
    assert ax.get_xlabel() == "1 inf" and hatched(ax)


def test_the_colour_bar_of_magnitudes_begins_at_zero() -> None:
    bar = graymap(torch.tensor([[-4.0]]), colorbar=True).figure.axes[1]
    assert [text.get_text() for text in bar.get_yticklabels()] == ["0", "4"] and bar.get_ylabel() == "|relevance|"


def test_a_gated_image_is_the_image_times_the_share_of_the_largest_magnitude() -> None:
    image = torch.tensor([[[1.0, 0.8]], [[0.5, 0.8]], [[0.0, 0.8]]])
    ax = gated(torch.tensor([[-4.0, 1.0]]), image=image)
    np.testing.assert_allclose(picture(ax), [[[1.0, 0.5, 0.0], [0.2, 0.2, 0.2]]], atol=1e-6)
    half = gated(torch.tensor([[-4.0, 1.0]]), image=image, scale=2.0)
    np.testing.assert_allclose(picture(half), [[[1.0, 0.5, 0.0], [0.4, 0.4, 0.4]]], atol=1e-6)


def test_the_normalisation_of_the_model_is_undone() -> None:
    pixels = torch.tensor([[[0.1, 0.9]], [[0.2, 0.8]], [[0.3, 0.7]]])
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.3, 0.4)
    normalised = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
    ax = gated(torch.ones(1, 2), image=normalised, mean=mean, std=std)
    np.testing.assert_allclose(picture(ax), pixels.permute(1, 2, 0), atol=1e-6)


def test_coarse_relevance_is_laid_over_the_image() -> None:
    ax = gated(torch.tensor([[4.0, 2.0]]), image=torch.ones(2, 4))
    assert picture(ax).tolist() == [[1, 1, 0.5, 0.5]] * 2


def test_a_projection_has_zero_at_mid_grey_and_each_channel_in_its_colour() -> None:
    relevance = torch.tensor([[[4.0, 0.0]], [[-2.0, 0.0]], [[-4.0, 0.0]]])
    assert picture(projection(relevance)).tolist() == [[[1.0, 0.25, 0.0], [0.5, 0.5, 0.5]]]
    one = projection(relevance[:1])
    assert one.images[0].get_clim() == (-4, 4) and picture(one).tolist() == [[4, 0]]
    rgba = one.images[0].to_rgba(np.array([[0.0]]))
    assert rgba[0, 0, :3] == pytest.approx(0.5, abs=0.01)


def test_a_projection_of_pooled_channels_is_grey() -> None:
    relevance = torch.tensor([[[3.0]], [[-4.0]], [[0.0]]])
    assert picture(projection(relevance, pool="sum")).tolist() == [[-1]]
    assert picture(projection(torch.cat([relevance, relevance]))).tolist() == [[-2]]


def test_a_missing_channel_is_hatched_in_a_projection() -> None:
    relevance = torch.ones(3, 2, 2)
    relevance[1, 0, 1] = NAN
    ax = projection(relevance)
    assert len(hatched(ax)) == 1 and ax.get_xlabel() == "1 NaN"
    assert picture(ax)[0, 1].tolist() == [1.0, 0.5, 1.0]


def test_forms_do_not_touch_pyplot(monkeypatch: pytest.MonkeyPatch) -> None:
    import matplotlib.pyplot

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("pyplot was used")

    monkeypatch.setattr(matplotlib.pyplot, "figure", refuse)
    monkeypatch.setattr(matplotlib.pyplot, "gcf", refuse)
    for form in FORMS:
        form(relevance=torch.randn(6, 6), image=torch.rand(6, 6)).figure.draw_without_rendering()
