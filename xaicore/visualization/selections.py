"""Forms of pictures that show a part of the image: its most relevant segments, or its most relevant pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from numpy.typing import NDArray

from xaicore.errors import InputError, ParameterError
from xaicore.explanation.patterns import blurred, kept_positions
from xaicore.explanation.pooling import pool as pooled
from xaicore.visualization.canvas import finish, note, own_axes
from xaicore.visualization.pictures import Channels, draw_image, fitted_to, hatch, picture_for
from xaicore.visualization.scales import Array, as_map

Mask = NDArray[np.bool_]


def segments(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    regions: Any = None,
    count: int = 60,
    keep: float = 0.5,
    most: int | None = None,
    fill: float = 0.5,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    title: str | None = None,
) -> Axes:
    """Draw the image with only its most relevant segments; below it, what share of relevance they carry.

    Relevance is summed within each segment. Segments without positive relevance never stay.

    Parameters
    ----------
    relevance : tensor or array, (h, w) or (C, h, w)
        NaN and infinity count for nothing in their segment, are hatched and counted.
    image : tensor or array, (H, W) or (C, H, W)
        As in `show_image`, with `mean` and `std`.
    regions : integer tensor or array (H, W), optional
        A label for each pixel, from 0 on; -1 for no segment. By default about `count` superpixels of similar colour
        (SLIC of scikit-image; Achanta et al. 2012).
    keep : float
        The fewest segments stay that carry this share of the positive relevance of all segments.
    most : int, optional
        Instead of `keep`: this many segments stay.
    fill : float
        What is drawn elsewhere: a grey from 0 (black) to 1 (white).

    The other parameters are those of `heatmap`.
    """
    picture = picture_for("segments", image, mean, std)
    values = fitted_to(as_map(relevance, pool), picture.shape[:2], conserve=True)
    labels = superpixels(picture, count) if regions is None else _labels(regions, picture.shape[:2])
    summed = _summed(values, labels)
    chosen, share = most_relevant(summed, keep, most)
    kept = np.isin(labels, chosen)
    ax = own_axes(ax)
    _draw_part(ax, picture, kept, fill, values)
    finish(ax, as_map(relevance, pool), title)
    note(ax, f"{len(chosen)} of {len(summed)} segments\n{_said(share)}")
    return ax


def pattern(
    relevance: Any,
    ax: Axes | None = None,
    *,
    image: Any = None,
    keep: float = 0.8,
    quantile: float | None = None,
    blur: float = 0.0,
    fill: float = 0.5,
    pool: str = "sum",
    mean: Channels = None,
    std: Channels = None,
    title: str | None = None,
) -> Axes:
    """Draw the image with only its most relevant pixels; below it, how many and what share of relevance they carry.

    `xaicore.Explanation.relevant_pattern` returns such an image as a tensor, and explains `keep`, `quantile` and
    `blur`.

    Parameters
    ----------
    relevance : tensor or array, (h, w) or (C, h, w)
        What is no number is never kept; it is hatched and counted.
    image : tensor or array, (H, W) or (C, H, W)
        As in `show_image`, with `mean` and `std`.
    fill : float
        What is drawn elsewhere: a grey from 0 (black) to 1 (white).

    The other parameters are those of `heatmap`.
    """
    picture = picture_for("pattern", image, mean, std)
    values = as_map(relevance, pool)
    smooth = blurred(torch.from_numpy(np.where(np.isfinite(values), values, 0.0))[None, None], blur)
    kept: Mask = kept_positions({"": smooth}, keep, quantile)[""][0, 0].numpy() & np.isfinite(values)
    positive = smooth[0, 0].clamp_min(0).numpy()
    total = positive.sum()
    ax = own_axes(ax)
    _draw_part(ax, picture, fitted_to(kept, picture.shape[:2]), fill, values)
    finish(ax, values, title)
    note(ax, f"{100 * kept.mean():.2g} % of positions\n{_said(positive[kept].sum() / total if total else None)}")
    return ax


def superpixels(picture: Array, count: int) -> NDArray[np.int_]:
    """Cut a picture (H, W) or (H, W, 3) into about `count` segments of similar colour; labels from 0 on."""
    if count < 1:
        raise ParameterError(f"count={count}: cut the image into at least one segment.")
    try:
        from skimage.segmentation import slic
    except ImportError as error:
        raise ParameterError(
            "Segments are found by scikit-image: pip install scikit-image, or give a label map as regions=."
        ) from error
    colour = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    found = slic(np.nan_to_num(colour, nan=0.5), n_segments=count, start_label=0, channel_axis=-1)
    labels: NDArray[np.int_] = np.unique(found, return_inverse=True)[1].reshape(found.shape)
    return labels


def most_relevant(summed: Array, keep: float, most: int | None) -> tuple[NDArray[np.int_], float | None]:
    """Return the segments that stay, the most relevant first, and their share of all positive relevance."""
    if most is not None and most < 1:
        raise ParameterError(f"most={most}: at least one segment stays.")
    if not 0 < keep <= 1:
        raise ParameterError(f"keep={keep!r}: a share of the positive relevance lies above 0 and up to 1.")
    order = np.argsort(-summed, kind="stable")
    order = order[summed[order] > 0]
    if not len(order):
        return order, None
    carried = np.cumsum(summed[order])
    # As many as lack the share before they are counted; rounding must not ask for one more.
    needed = int((carried < (keep - 1e-9) * carried[-1]).sum()) + 1 if most is None else most
    chosen = order[:needed]
    return chosen, float(carried[len(chosen) - 1] / carried[-1])


def _labels(regions: Any, shape: tuple[int, ...]) -> NDArray[np.int_]:
    labels = np.asarray(torch.as_tensor(regions).cpu())
    if labels.shape != tuple(shape) or not np.issubdtype(labels.dtype, np.integer):
        raise InputError(f"regions= is one integer a pixel, {tuple(shape)}; got {labels.dtype} {labels.shape}.")
    if labels.min() < -1 or labels.max() < 0:
        raise InputError("regions=: labels count from 0; -1 leaves a pixel out.")
    return labels


def _summed(values: Array, labels: NDArray[np.int_]) -> Array:
    """The relevance of each segment."""
    finite = torch.from_numpy(np.where(np.isfinite(values), values, 0.0))
    found: Array = pooled(finite[None, None], "space", "sum", torch.from_numpy(labels))[0, 0].numpy()
    return found


def _draw_part(ax: Axes, picture: Array, kept: Mask, fill: float, values: Array) -> None:
    if not 0 <= fill <= 1:
        raise ParameterError(f"fill={fill}: a grey from 0 (black) to 1 (white).")
    draw_image(ax, np.where(kept if picture.ndim == 2 else kept[..., None], picture, fill))
    hatch(ax, ~np.isfinite(values), picture.shape[:2])


def _said(share: float | None) -> str:
    return "no positive relevance" if share is None else f"{100 * share:.3g} % of positive relevance"
