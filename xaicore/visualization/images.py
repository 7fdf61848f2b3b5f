"""Images: relevance as a heatmap, relevance on top of the image, and the image itself."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from xaicore.errors import ParameterError
from xaicore.visualization.canvas import finish, own_axes, title
from xaicore.visualization.pictures import Channels, as_grey, displayable, draw_image, draw_map, draw_overlay
from xaicore.visualization.scales import as_map, colours, symmetric_limit

_titled = title  # `title` is also what the functions below call their parameter


def heatmap(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
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
        NaN and infinity are hatched grey and counted below the picture.
    ax : Axes, optional
        Where to draw; a new figure without it.
    image, mean, std : optional
        Not drawn, and taken so that all forms of pictures can be called alike.
    pool : {"sum", "norm", "abs", "max", "max_abs", "mean"}
        How channels become one value; see `xaicore.Explanation.pool`. Only the sum conserves relevance.
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
    values = as_map(relevance, pool)
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    draw_map(ax, values, limit, colours(cmap))
    finish(ax, values, title, colours(cmap), limit, percentile, colorbar)
    return ax


def overlay(
    image: Any,
    relevance: Any,
    ax: Axes | None = None,
    *,
    alpha: float = 0.9,
    pool: str = "sum",
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
    values = as_map(relevance, pool)
    limit = symmetric_limit(values, scale, percentile)
    ax = own_axes(ax)
    draw_overlay(ax, as_grey(displayable(image, mean, std)), values, limit, colours(cmap), alpha)
    finish(ax, values, title, colours(cmap), limit, percentile, colorbar)
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
