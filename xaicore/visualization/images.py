"""Images: relevance as a heatmap, relevance on top of the image, and the image itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from xaicore.errors import InputError, ParameterError
from xaicore.visualization.canvas import as_picture, colour_bar, note, own_axes, title
from xaicore.visualization.scales import (
    NO_NUMBER,
    Array,
    as_array,
    as_map,
    colours,
    non_finite_note,
    percentile_note,
    symmetric_limit,
    symmetric_norm,
)

Channels = float | Sequence[float] | torch.Tensor | None


def heatmap(
    relevance: Any,
    ax: Axes | None = None,
    *,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw one sample's relevance: red speaks for the target, blue against it, white is zero.

    Parameters
    ----------
    relevance : tensor or array, (H, W) or (C, H, W)
        Channels are summed. NaN and infinity are hatched grey and counted below the picture.
    ax : Axes, optional
        Where to draw; a new figure without it.
    cmap : str or Colormap, optional
        Diverging; by default blue-white-red with a white centre.
    scale, percentile : float, optional
        Limit of the scale, or the percentile of the magnitudes that sets it; by default the largest magnitude.
        The scale is always symmetric around zero. A percentile is named in the colour bar or below the picture.
    colorbar : bool
        Whether to draw a colour bar beside the picture.
    title : str, optional
        Title of the axes.

    Returns
    -------
    Axes
        With the picture in ``ax.images[0]``; its figure is ``ax.figure``.
    """
    values = as_map(relevance)
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    draw_map(ax, values, limit, colours(cmap))
    _finish(ax, values, title, cmap, limit, percentile, colorbar)
    return ax


def overlay(
    image: Any,
    relevance: Any,
    ax: Axes | None = None,
    *,
    alpha: float = 0.9,
    mean: Channels = None,
    std: Channels = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw relevance on top of the image in grey; the larger its magnitude, the more opaque it is.

    Parameters
    ----------
    image : tensor or array, (H, W) or (C, H, W)
        As in `show_image`, with `mean` and `std`.
    relevance : tensor or array, (h, w) or (C, h, w)
        May be coarser than the image, as at an inner layer: it is stretched over it.
    alpha : float
        Opacity where relevance reaches the limit of the scale, 0 to 1.

    The other parameters are those of `heatmap`.
    """
    if not 0 <= alpha <= 1:
        raise ParameterError(f"alpha={alpha}: opacity lies between 0 and 1.")
    values = as_map(relevance)
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    draw_overlay(ax, as_grey(displayable(image, mean, std)), values, limit, colours(cmap), alpha)
    _finish(ax, values, title, cmap, limit, percentile, colorbar)
    return ax


def show_image(
    image: Any, ax: Axes | None = None, mean: Channels = None, std: Channels = None, *, title: str | None = None
) -> Axes:
    """Draw an image: one channel in grey, three in colour, any other number as the mean over channels in grey.

    Parameters
    ----------
    image : tensor or array, (H, W) or (C, H, W)
        Values in [0, 1], or bytes, are shown as they are. Others are stretched: smallest to 0, largest to 1.
    mean, std : float or one a channel, optional
        What the image was normalised with: ``image * std + mean`` is shown, cut to [0, 1].
    """
    ax = own_axes(ax)
    draw_image(ax, displayable(image, mean, std))
    _titled(ax, title)
    return ax


def displayable(image: Any, mean: Channels = None, std: Channels = None) -> Array:
    """Return an image as (H, W) or (H, W, 3) with values in [0, 1] (NaN where it has none)."""
    tensor = torch.as_tensor(image)
    if tensor.ndim == 4 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim not in (2, 3) or not tensor.numel():
        raise InputError(f"An image has shape (H, W) or (C, H, W); got {tuple(tensor.shape)}.")
    values = as_array(tensor if tensor.ndim == 3 else tensor[None], "image")
    if mean is not None or std is not None:
        values = np.clip(values * _by_channel(std, 1.0, values) + _by_channel(mean, 0.0, values), 0, 1)
    elif tensor.dtype is torch.uint8:
        values = values / 255
    if len(values) != 3:
        values = values.mean(0, keepdims=True)
    return _stretched(values.transpose(1, 2, 0) if len(values) == 3 else values[0])


def as_grey(picture: Array) -> Array:
    """Return what `displayable` returned in grey, (H, W): the luma of its colours (ITU-R BT.601)."""
    return picture @ np.array([0.299, 0.587, 0.114]) if picture.ndim == 3 else picture


def draw_image(ax: Axes, values: Array) -> None:
    """Draw what `displayable` returned."""
    bad = ~np.isfinite(values if values.ndim == 2 else values.sum(2))
    ax.imshow(np.where(np.isfinite(values), values, 0.5), cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
    as_picture(ax)
    _hatch(ax, bad, values.shape[:2])


def draw_map(ax: Axes, values: Array, limit: float, cmap: Colormap) -> None:
    """Draw relevance (H, W) with a symmetric scale, and mark what is no number."""
    bad = ~np.isfinite(values)
    ax.imshow(np.ma.array(values, mask=bad), cmap=cmap, norm=symmetric_norm(limit), interpolation="antialiased")
    as_picture(ax)
    _hatch(ax, bad, values.shape)


def draw_overlay(ax: Axes, grey: Array, values: Array, limit: float, cmap: Colormap, alpha: float) -> None:
    """Draw relevance (h, w) over an image (H, W) in grey, which is paled: strong blue and red are dark."""
    draw_image(ax, 0.35 + 0.65 * grey)
    bad = ~np.isfinite(values)
    strength = np.clip(np.where(bad, 0, values) / limit, -1, 1)
    # Colour tells the sign, opacity the magnitude: pale colours would only veil the image.
    painted = cmap(0.5 + 0.5 * np.sign(strength) * (0.5 + 0.35 * np.abs(strength)))
    painted[..., 3] = alpha * np.abs(strength)
    height, width = grey.shape
    ax.imshow(painted, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="antialiased")
    _hatch(ax, bad, grey.shape)


def _finish(
    ax: Axes,
    values: Array,
    text: str | None,
    cmap: str | Colormap | None,
    limit: float,
    percentile: float | None,
    colorbar: bool,
) -> None:
    _titled(ax, text)
    note(ax, non_finite_note(values))
    cut = percentile_note(percentile)
    if colorbar:
        colour_bar(ax.figure, colours(cmap), limit, f"relevance ({cut})" if cut else "relevance", ax=ax)
    else:
        note(ax, cut)


_titled = title  # `title` is also what the functions above call their parameter


def _by_channel(value: Channels, default: float, values: Array) -> Array:
    numbers = np.atleast_1d(as_array(default if value is None else value, "mean or std"))
    if numbers.ndim != 1 or len(numbers) not in (1, len(values)):
        raise InputError(f"mean and std need one number, or one a channel ({len(values)}); got {numbers.tolist()}.")
    return numbers[:, None, None]


def _stretched(values: Array) -> Array:
    finite = values[np.isfinite(values)]
    if not finite.size or (finite.min() >= 0 and finite.max() <= 1):
        return np.where(np.isfinite(values), values, np.nan)
    low, high = finite.min(), finite.max()
    stretched = (values - low) / (high - low) if high > low else np.full_like(values, 0.5)
    return np.where(np.isfinite(values), stretched, np.nan)


def _hatch(ax: Axes, bad: NDArray[np.bool_], shape: tuple[int, ...]) -> None:
    """Hatch the pixels that are no numbers, on axes that show a picture of this (H, W)."""
    if not bad.any():
        return
    tall, wide = shape[0] / bad.shape[0], shape[1] / bad.shape[1]
    boxes = []
    for row, line in enumerate(bad):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
        for start, stop in edges.reshape(-1, 2):
            left, right = start * wide - 0.5, stop * wide - 0.5
            top, bottom = row * tall - 0.5, (row + 1) * tall - 0.5
            boxes.append(Path([(left, top), (right, top), (right, bottom), (left, bottom), (left, top)], closed=True))
    path = Path.make_compound_path(*boxes)
    ax.add_patch(
        PathPatch(path, facecolor=NO_NUMBER, edgecolor="#616161", hatch="//////", linewidth=0, label="no number")
    )
