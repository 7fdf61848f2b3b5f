"""From relevance to colour: arrays, symmetric limits, and the diverging colour map."""

from __future__ import annotations

from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from numpy.typing import NDArray

from xaicore.errors import InputError, ParameterError
from xaicore.explanation.pooling import pool as pooled

Array = NDArray[np.float64]

NO_NUMBER = "#bdbdbd"  # what NaN and infinity are painted with, under a hatch


def _relevance_colours() -> Colormap:
    """The blue-white-red of ColorBrewer (Harrower and Brewer, 2003), with a centre that is exactly white.

    An odd number of colours gives zero a colour of its own.
    """
    anchors = matplotlib.colormaps["RdBu_r"](np.linspace(0, 1, 11))
    anchors[5] = 1.0
    return LinearSegmentedColormap.from_list("relevance", list(anchors), N=257).with_extremes(bad=NO_NUMBER)


RELEVANCE_COLOURS = _relevance_colours()


def colours(cmap: str | Colormap | None) -> Colormap:
    """Return the colour map of this name (None: the diverging default), with a colour for what is no number."""
    if cmap is None:
        return RELEVANCE_COLOURS
    try:
        chosen = matplotlib.colormaps[cmap] if isinstance(cmap, str) else cmap
    except KeyError as error:
        raise ParameterError(f"There is no colour map {cmap!r}; see matplotlib.colormaps.") from error
    return chosen.with_extremes(bad=NO_NUMBER)


def as_array(values: Any, what: str = "relevance") -> Array:
    """Return a tensor of any float type, or an array, as float64 in main memory."""
    tensor = _as_tensor(values, what)
    array: Array = tensor.cpu().to(torch.float64).numpy()
    return array


def as_map(relevance: Any, pool: str = "sum") -> Array:
    """Return one sample's relevance, (H, W), (C, H, W) or (1, C, H, W), as (H, W).

    `pool` says how channels become one value: "sum", "norm" (Euclidean), "abs" (sum of magnitudes), "max", "max_abs"
    (the signed value of largest magnitude) or "mean", as in `xaicore.Explanation.pool`.
    """
    values = single(relevance).cpu().to(torch.float64)
    if values.ndim == 2:
        values = values[None]  # one channel: its norm is a magnitude too
    return as_array(pooled(values[None], "channels", pool)[0])


def single(relevance: Any) -> torch.Tensor:
    """Return one sample's relevance as a tensor (H, W) or (C, H, W); refuse anything else."""
    tensor = _as_tensor(relevance, "relevance")
    if tensor.ndim == 4 and len(tensor) == 1:
        tensor = tensor[0]
    if tensor.ndim not in (2, 3) or not tensor.numel():
        raise InputError(
            f"A heatmap shows one sample, (H, W) or (C, H, W); got shape {tuple(tensor.shape)}. "
            "Choose a sample of a batch: relevance[0]."
        )
    return tensor


def _as_tensor(values: Any, what: str) -> torch.Tensor:
    """Refuse what holds no real numbers."""
    try:
        tensor = torch.as_tensor(values).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"The {what} is a {type(values).__name__} that holds no numbers ({error}); give a tensor or an array."
        ) from error
    if tensor.is_complex():
        raise InputError(f"The {what} is complex; draw its real part or its magnitude.")
    return tensor


def symmetric_limit(values: Any, scale: float | None = None, percentile: float | None = None) -> float:
    """Return the limit of a colour scale that is symmetric around zero.

    Parameters
    ----------
    values : tensor or array
        Relevance of any shape. What is not finite does not count.
    scale : float, optional
        The limit itself.
    percentile : float, optional
        Take this percentile of the magnitudes (0 to 100) instead of the largest. Where it is zero though some
        relevance is not, the largest magnitude is taken.

    Raises
    ------
    ParameterError
        If `scale` is no positive number, `percentile` is not in (0, 100], or both are given.
    """
    if scale is not None and percentile is not None:
        raise ParameterError("Give scale= or percentile=, not both.")
    if scale is not None:
        if not (np.isfinite(scale) and scale > 0):
            raise ParameterError(f"scale={scale}: the limit of a colour scale is a positive number.")
        return float(scale)
    if percentile is not None and not 0 < percentile <= 100:
        raise ParameterError(f"percentile={percentile}: a percentile lies above 0 and up to 100.")
    array = as_array(values)
    magnitudes = np.abs(array[np.isfinite(array)])
    if not magnitudes.size or magnitudes.max() == 0:
        return 1.0
    limit = float(np.percentile(magnitudes, percentile)) if percentile is not None else 0.0
    return limit if limit > 0 else float(magnitudes.max())


def symmetric_norm(limit: float) -> Normalize:
    """Return the norm from -limit to limit."""
    return Normalize(-limit, limit)


def magnitude_norm(limit: float) -> Normalize:
    """Return the norm from 0 to limit."""
    return Normalize(0, limit)


def percentile_note(percentile: float | None) -> str:
    """Say that a scale was cut off; "" where it was not."""
    return "" if percentile is None or percentile == 100 else f"scale cut at percentile {percentile:g} of |R|"


def non_finite_note(array: Array) -> str:
    """Count what is no number: "3 NaN, 1 inf"; "" where everything is finite."""
    counts = {"NaN": int(np.isnan(array).sum()), "inf": int(np.isinf(array).sum())}
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)


def number(value: float, digits: int = 2) -> str:
    """Write a number briefly, with a true minus sign."""
    return f"{value:.{digits}g}".replace("-", "\N{MINUS SIGN}")


def signed(value: float, digits: int = 2) -> str:
    """Write a number briefly, with its sign; zero has none."""
    return "0" if value == 0 else f"{value:+.{digits}g}".replace("-", "\N{MINUS SIGN}")
