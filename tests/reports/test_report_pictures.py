"""Maps and pictures in reports: how they are made smaller, and what is left of them in a PNG."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from xaicore.errors import ParameterError
from xaicore.reports import MapView, Report, SampleView, shrunk
from xaicore.reports.encoding import encoded_map, encoded_picture
from xaicore.reports.payload import payload, side_for
from xaicore.reports.shrinking import small_map


def opened(text: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(text)))


def decoded(text: str, reach: float) -> np.ndarray:
    """What the page makes of a map: by the alpha of a PNG, no number; else steps of a 127th."""
    pixels = np.asarray(opened(text).convert("LA")).astype(float)
    return np.where(pixels[..., 1] > 0, (pixels[..., 0] - 128) / 127 * reach, np.nan)


def test_a_map_comes_back_within_half_a_step_and_zero_exactly() -> None:
    values = np.random.default_rng(0).normal(size=(9, 7))
    values[0, 0], values[2, 3] = 0.0, np.nan
    reach = float(np.nanmax(np.abs(values)))
    found = decoded(encoded_map(values, reach), reach)
    assert np.isnan(found[2, 3]) and found[0, 0] == 0
    np.testing.assert_allclose(found, values, atol=0.5 * reach / 127 * 1.0001)
    assert np.nanmax(np.abs(found)) == pytest.approx(reach)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_map_without_any_number_or_of_zeros_alone_is_stored(bad: float) -> None:
    assert np.isnan(decoded(encoded_map(np.full((3, 3), bad), 0.0), 1.0)).all()
    assert (decoded(encoded_map(np.zeros((3, 3)), 0.0), 1.0) == 0).all()


def test_pictures_are_stored_as_they_look() -> None:
    grey = np.linspace(0, 1, 16).reshape(4, 4)
    np.testing.assert_array_equal(np.asarray(opened(encoded_picture(grey))), np.rint(255 * grey))
    colours = np.array([[[1.0, 0, 0], [0, 1, 0]], [[0, 0, 1], [0.2, 0.4, 0.6]]])
    np.testing.assert_array_equal(np.asarray(opened(encoded_picture(colours)).convert("RGB")), np.rint(255 * colours))
    assert np.asarray(opened(encoded_picture(np.full((2, 2), np.nan)))).tolist() == [[128, 128], [128, 128]]


def test_a_smaller_map_holds_the_mean_of_each_area() -> None:
    values = np.random.default_rng(1).normal(size=(12, 8))
    blocks = values.reshape(6, 2, 4, 2).mean((1, 3))
    np.testing.assert_allclose(small_map(values, 6), blocks)
    # Areas that cut through pixels: the mean stays what it was.
    odd = small_map(values, 5)
    assert odd.shape == (5, 3) and odd.mean() == pytest.approx(values.mean())
    assert small_map(values, 12) is values


def test_what_covers_no_number_is_none() -> None:
    values = np.ones((8, 8))
    values[5, 2] = np.inf
    small = small_map(values, 4)
    assert np.argwhere(~np.isfinite(small)).tolist() == [[2, 1]]
    assert np.isnan(small[2, 1])


def test_shrunk_samples_remember_their_shape_and_take_little_memory() -> None:
    view = MapView(relevance=np.ones((224, 448)))
    sample = SampleView(
        name="a", picture=np.ones((224, 448, 3)), maps={"m": view, "t": MapView(relevance=np.ones(500))}
    )
    small = shrunk(shrunk(sample), side=64)
    assert small.maps["m"].relevance.shape == (32, 64) and small.maps["m"].full_shape == (224, 448)
    assert small.picture.shape == (32, 64, 3) and small.picture.dtype == np.uint8
    assert small.full_shape == (224, 448, 3)
    assert small.maps["t"].relevance.shape == (500,) and small.maps["t"].full_shape is None
    with pytest.raises(ParameterError, match="at least 8"):
        shrunk(sample, side=4)


def test_small_samples_stay_as_they_are() -> None:
    sample = shrunk(SampleView(name="a", picture=np.ones((8, 8)), maps={"m": MapView(relevance=np.eye(8))}))
    assert sample.full_shape is None and sample.maps["m"].full_shape is None
    np.testing.assert_array_equal(sample.maps["m"].relevance, np.eye(8))


def test_thumbnails_of_many_samples_are_smaller() -> None:
    def of(count: int) -> Report:
        view = MapView(relevance=np.ones((8, 8)))
        return Report(title="", samples=[SampleView(name="", maps={"a": view, "b": view})] * count)

    assert side_for(Report(title="")) == side_for(of(10)) == 128
    assert 48 < side_for(of(400)) < 128
    assert side_for(of(10_000)) == 48


def test_the_page_says_what_was_made_smaller() -> None:
    from xaicore.reports.page import render

    sample = SampleView(name="a", maps={"m": MapView(relevance=np.ones((200, 100)))})
    page = render(Report(title="", samples=[sample]))
    assert "1 of 1 maps are shown smaller than they are, at most 128 pixels a side (the largest has 200)" in page
    assert "stored in 8 bits" in page
    found = payload(Report(title="", samples=[sample]), 128)["samples"][0]["maps"][0]
    assert found["shape"] == [128, 64] and found["full"] == [200, 100]
