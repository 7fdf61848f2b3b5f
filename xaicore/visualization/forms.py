"""Forms of pictures that show each pixel by itself: graymap, gated image, projection."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes

from xaicore.visualization.canvas import finish, own_axes
from xaicore.visualization.pictures import Channels, draw_image, draw_map, fitted_to, hatch, picture_for
from xaicore.visualization.scales import NO_NUMBER, Array, as_array, as_map, magnitude_norm, single, symmetric_limit

GREY = colormaps["gray"].with_extremes(bad=NO_NUMBER)


def graymap(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw magnitudes of relevance from black (none) to white (the most); signs are not told apart.

    Parameters
    ----------
    relevance : tensor or array, (H, W) or (C, H, W)
    scale, percentile : float, optional
        The magnitude that is white, or the percentile of the magnitudes that sets it.

    The other parameters are those of `heatmap`.
    """
    values = np.abs(as_map(relevance, pool))
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    draw_map(ax, _without_infinity(values), limit, GREY, magnitude_norm(limit))
    finish(ax, values, title, GREY, limit, percentile, colorbar, signed=False)
    return ax


def gated(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw the image scaled by relevance: each pixel times its share of the largest magnitude; the rest is black.

    Parameters
    ----------
    relevance : tensor or array, (h, w) or (C, h, w)
        May be coarser than the image, as at an inner layer.
    image : tensor or array, (H, W) or (C, H, W)
        What was explained; `mean` and `std` as in `show_image`.
    scale, percentile : float, optional
        The magnitude at which the image is shown as it is, or the percentile of the magnitudes that sets it.

    The other parameters are those of `heatmap`.
    """
    picture = picture_for("gated", image, mean, std)
    values = as_map(relevance, pool)
    limit = symmetric_limit(values, scale, percentile)
    share = fitted_to(np.clip(np.abs(_without_infinity(values)) / limit, 0, 1), picture.shape[:2])
    ax = own_axes(ax)
    draw_image(ax, picture * (share if picture.ndim == 2 else share[..., None]))
    finish(ax, values, title, GREY, limit, percentile, colorbar, signed=False)
    return ax


def projection(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    pool: str | None = None,
    mean: Channels = None,
    std: Channels = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw relevance as an image: zero at mid-grey, positive brighter, negative darker, each channel in its colour.

    This is how signals and gradients are looked at, such as those of PatternNet (Kindermans et al. 2018, figure 6),
    which are patterns in the input.

    Parameters
    ----------
    relevance : tensor or array, (H, W) or (C, H, W)
        Three channels are drawn as red, green and blue.
    pool : optional
        By default the channels stay, where there are one or three, and are summed otherwise; or a way to pool them,
        as in `heatmap`, which gives a picture in grey.
    scale, percentile : float, optional
        The magnitude that is black or white, or the percentile of the magnitudes of all channels that sets it.

    The other parameters are those of `heatmap`.
    """
    values = by_channel(relevance, pool)
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    if values.ndim == 2:
        draw_map(ax, values, limit, GREY)
    else:
        finite = np.isfinite(values)
        draw_image(ax, 0.5 + 0.5 * np.clip(np.where(finite, values, 0) / limit, -1, 1).transpose(1, 2, 0))
        hatch(ax, ~np.logical_and.reduce(finite), values.shape[1:])
    finish(ax, values, title, GREY, limit, percentile, colorbar)
    return ax


def by_channel(relevance: Any, pool: str | None = None) -> Array:
    """Return relevance as (3, H, W) where it has three channels, else as (H, W); `pool` as in `projection`."""
    tensor = single(relevance)
    if pool is None and tensor.ndim == 3 and len(tensor) == 3:
        return as_array(tensor)
    return as_map(tensor, pool or "sum")


def _without_infinity(values: Array) -> Array:
    return np.where(np.isfinite(values), values, np.nan)
