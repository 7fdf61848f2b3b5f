"""Pictures and maps small enough for a page: each pixel becomes the mean of the area that it stands for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xaicore.errors import ParameterError
from xaicore.reports.content import MapView, SampleView

THUMBNAIL = 128  # pixels a side


def shrunk(sample: SampleView, *, side: int = THUMBNAIL) -> SampleView:
    """Return the sample with its picture and maps at most `side` pixels a side, in little memory.

    Whoever collects many samples for a report shrinks each as it comes. Pictures are kept as bytes, maps in single
    precision; what was made smaller keeps its shape in `full_shape`, and the page says so. Maps (T,) stay whole.

    Parameters
    ----------
    sample : SampleView
    side : int
        At least 8.
    """
    if side < 8:
        raise ParameterError(f"side={side}: thumbnails need at least 8 pixels a side.")
    maps = {name: _small_map(each, side) for name, each in sample.maps.items()}
    if sample.picture is None:
        return replace(sample, maps=maps)
    small: Any = as_bytes(small_picture(sample.picture, side))
    changed = small.shape != sample.picture.shape
    full_shape = sample.full_shape or (sample.picture.shape if changed else None)
    return replace(sample, maps=maps, picture=small, full_shape=full_shape)


def small_picture(picture: NDArray[Any], side: int) -> NDArray[Any]:
    """Return a picture (H, W) or (H, W, 3) at most `side` pixels a side, as it is where it fits."""
    if max(picture.shape[:2]) <= side:
        return picture
    if picture.ndim == 2:
        return _averaged(picture, side)
    return np.stack([_averaged(picture[..., channel], side) for channel in range(picture.shape[2])], axis=2)


def small_map(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Return relevance (H, W) at most `side` pixels a side; a pixel that covers what is no number is none either."""
    return values if max(values.shape) <= side else _averaged(values, side)


def as_bytes(picture: NDArray[Any]) -> NDArray[np.uint8]:
    """Return values between 0 and 1 as bytes, and bytes as they are; what is no number becomes grey."""
    if picture.dtype == np.uint8:
        return picture
    finite = np.where(np.isfinite(picture), picture, 0.5)
    shown: NDArray[np.uint8] = np.rint(np.clip(finite, 0, 1) * 255).astype(np.uint8)
    return shown


def _small_map(view: MapView, side: int) -> MapView:
    if view.relevance is None or view.relevance.ndim != 2:
        return view
    small: Any = small_map(view.relevance, side).astype(np.float32)
    changed = small.shape != view.relevance.shape
    return replace(view, relevance=small, full_shape=view.full_shape or (view.relevance.shape if changed else None))


def _averaged(values: NDArray[Any], side: int) -> NDArray[Any]:
    """Mean over areas, whose edges may cut through pixels: two matrix products."""
    height, width = values.shape
    factor = max(height, width) / side
    rows = _areas(height, max(1, round(height / factor)))
    columns = _areas(width, max(1, round(width / factor)))
    numbers = values / 255 if values.dtype == np.uint8 else values.astype(np.float64)
    bad = ~np.isfinite(numbers)
    small = rows @ np.where(bad, 0, numbers) @ columns.T
    if bad.any():
        small[rows @ bad @ columns.T > 0] = np.nan
    return small


def _areas(large: int, small: int) -> NDArray[np.float64]:
    """Weights (small, large): which share of the area of each small pixel each large one takes."""
    edges = np.linspace(0, large, small + 1)
    starts, stops = edges[:-1, None], edges[1:, None]
    pixels = np.arange(large)
    overlap = np.clip(np.minimum(stops, pixels + 1) - np.maximum(starts, pixels), 0, None)
    weights: NDArray[np.float64] = overlap / overlap.sum(1, keepdims=True)
    return weights
