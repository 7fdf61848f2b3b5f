"""Forms of pictures that show relevance smoothed: blend with the image, contour lines over it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, to_rgb
from torch.nn import functional as F

from xaicore.errors import ParameterError
from xaicore.explanation.patterns import blurred
from xaicore.visualization.canvas import finish, own_axes
from xaicore.visualization.pictures import Channels, as_grey, draw_image, fitted_to, hatch, picture_for
from xaicore.visualization.scales import NO_NUMBER, Array, as_map, colours, symmetric_limit, symmetric_norm

_BLUR = 1 / 40  # of the longer side


def blend(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    alpha: float = 0.6,
    blur: float | None = None,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw the image in grey, mixed with the heatmap of blurred relevance.

    Parameters
    ----------
    relevance : tensor or array, (h, w) or (C, h, w)
        May be coarser than the image: it is interpolated.
    image : tensor or array, (H, W) or (C, H, W)
        As in `show_image`, with `mean` and `std`.
    alpha : float
        Share of the heatmap in the mixture, 0 to 1.
    blur : float, optional
        Standard deviation of the Gaussian, in positions of the relevance; by default a fortieth of the longer side.
        What is no number is left out of the averages.
    scale, percentile : float, optional
        As in `heatmap`, of the blurred relevance.

    The other parameters are those of `heatmap`.
    """
    if not 0 <= alpha <= 1:
        raise ParameterError(f"alpha={alpha}: the share of the heatmap lies between 0 and 1.")
    grey = as_grey(picture_for("blend", image, mean, std))
    values = smoothed(relevance, pool=pool, blur=blur)
    limit = symmetric_limit(values, scale, percentile)
    ax, paint = own_axes(ax), colours(cmap)
    fine = interpolated(values, grey.shape)
    bad = ~np.isfinite(fitted_to(values, grey.shape))
    painted = paint(symmetric_norm(limit)(np.ma.array(np.where(bad, 0, fine), mask=bad)))[..., :3]
    shown = np.where(np.isfinite(grey), grey, 0.5)[..., None]
    mixed = np.where(bad[..., None], to_rgb(NO_NUMBER), (1 - alpha) * shown + alpha * painted)
    draw_image(ax, mixed)
    hatch(ax, bad | ~np.isfinite(grey), grey.shape)
    finish(ax, as_map(relevance, pool), title, paint, limit, percentile, colorbar)
    return ax


def contours(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    levels: int = 4,
    blur: float | None = None,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw contour lines of smoothed relevance over the image in grey: equally spaced levels, none at zero.

    Parameters
    ----------
    levels : int
        How many lines on each side of zero: at 1, 2, ... parts in ``levels + 1`` of the limit of the scale.

    The other parameters are those of `blend`.
    """
    if levels < 1:
        raise ParameterError(f"levels={levels}: at least one line on each side of zero.")
    grey = as_grey(picture_for("contours", image, mean, std))
    values = smoothed(relevance, pool=pool, blur=blur)
    limit = symmetric_limit(values, scale, percentile)
    ax, paint = own_axes(ax), colours(cmap)
    draw_image(ax, 0.35 + 0.65 * grey)
    fine = interpolated(values, grey.shape)
    steps = np.arange(1, levels + 1) / (levels + 1)
    heights = limit * np.concatenate([-steps[::-1], steps])
    finite = fine[np.isfinite(fine)]
    if finite.size:
        heights = heights[(heights > finite.min()) & (heights < finite.max())]  # the others have no line
    if finite.size and len(heights) and min(fine.shape) > 1:
        shade = 0.5 + np.sign(heights) * (0.25 + 0.25 * np.abs(heights) / limit)  # pale lines would not be seen
        lines = ax.contour(np.ma.masked_invalid(fine), levels=heights, colors=paint(shade), linewidths=0.9)
        lines.set_path_effects([patheffects.Stroke(linewidth=1.9, foreground="white", alpha=0.7), patheffects.Normal()])
    hatch(ax, ~np.isfinite(values), grey.shape)
    finish(ax, as_map(relevance, pool), title, paint, limit, percentile, colorbar)
    return ax


def smoothed(relevance: Any, *, pool: str = "sum", blur: float | None = None) -> Array:
    """Return pooled relevance (H, W), blurred; what is no number stays NaN and lends nothing to its neighbours."""
    values = as_map(relevance, pool)
    sigma = max(values.shape) * _BLUR if blur is None else blur
    finite = np.isfinite(values)
    both = torch.from_numpy(np.stack([np.where(finite, values, 0.0), finite.astype(np.float64)]))
    total, weight = blurred(both[:, None], sigma)[:, 0].numpy()
    return np.where(finite, total / np.where(finite, weight, 1), np.nan)


def interpolated(values: Array, shape: tuple[int, ...]) -> Array:
    """Return values (h, w) on a grid (H, W), linear between those that are numbers; NaN in the positions of others."""
    if values.shape == tuple(shape):
        return values
    finite = np.isfinite(values)
    both = torch.from_numpy(np.stack([np.where(finite, values, 0.0), finite.astype(np.float64)]))
    total, weight = F.interpolate(both[None], tuple(shape), mode="bilinear")[0].numpy()
    return np.where(fitted_to(finite, shape), total / np.where(weight > 0, weight, 1), np.nan)
