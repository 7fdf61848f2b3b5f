"""Images as arrays that can be shown, and what is drawn of them: the picture, a map, a map over the picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, Normalize
from matplotlib.patches import PathPatch
from matplotlib.path import Path
from numpy.typing import NDArray

from xaicore.errors import InputError
from xaicore.visualization.canvas import as_picture
from xaicore.visualization.scales import NO_NUMBER, Array, as_array, symmetric_norm

Channels = float | Sequence[float] | torch.Tensor | None


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


def picture_for(form: str, image: Any, mean: Channels, std: Channels) -> Array:
    """Return the picture that a form draws on; refuse to draw it without an image."""
    if image is None:
        raise InputError(f"{form} is drawn on the image: give it as image=.")
    return displayable(image, mean, std)


def fitted_to(values: NDArray[Any], shape: tuple[int, ...], conserve: bool = False) -> NDArray[Any]:
    """Return values (h, w) on the grid of a picture (H, W), each pixel that of the position it lies in.

    `conserve` shares each value out among its pixels, so that the sum stays.
    """
    if values.shape == tuple(shape):
        return values
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape, values.shape, strict=True))
    found = values[np.ix_(rows, columns)]
    if conserve:
        found = found / np.outer(np.bincount(rows)[rows], np.bincount(columns)[columns])
    return found


def as_grey(picture: Array) -> Array:
    """Return what `displayable` returned in grey, (H, W): the luma of its colours (ITU-R BT.601)."""
    return picture @ np.array([0.299, 0.587, 0.114]) if picture.ndim == 3 else picture


def draw_image(ax: Axes, values: Array) -> None:
    """Draw what `displayable` returned."""
    bad = ~np.isfinite(values if values.ndim == 2 else values.sum(2))
    ax.imshow(np.where(np.isfinite(values), values, 0.5), cmap="gray", vmin=0, vmax=1, interpolation="antialiased")
    as_picture(ax)
    hatch(ax, bad, values.shape[:2])


def draw_map(ax: Axes, values: Array, limit: float, cmap: Colormap, norm: Normalize | None = None) -> None:
    """Draw relevance (H, W) with a scale that is symmetric unless a norm is given; mark what is no number."""
    bad = ~np.isfinite(values)
    norm = symmetric_norm(limit) if norm is None else norm
    ax.imshow(np.ma.array(values, mask=bad), cmap=cmap, norm=norm, interpolation="antialiased")
    as_picture(ax)
    hatch(ax, bad, values.shape)


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
    hatch(ax, bad, grey.shape)


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


def hatch(ax: Axes, bad: NDArray[np.bool_], shape: tuple[int, ...]) -> None:
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
