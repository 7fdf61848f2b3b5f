"""Relevance of the features of a table over many samples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Colormap, Normalize, to_rgba
from numpy.typing import NDArray

from xaicore.errors import InputError, ParameterError, nearest
from xaicore.visualization.canvas import FRAME, SMALL, note, own_axes, title
from xaicore.visualization.named_lines import names_of, split_at
from xaicore.visualization.scales import NO_NUMBER, Array, as_array, colours, non_finite_note, symmetric_limit
from xaicore.visualization.tables import label_rows

_titled = title
STYLES = ("dots", "bars")
SUMMARY_ROW = 0.26  # inches from one feature to the next
_VALUES = "viridis"  # no blue and red: those are for the sign of relevance
_BINS = 60
_HALF = 0.38  # of a row, that dots may move up and down
_PLAIN = "#607d8b"


def summary(
    relevance: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    values: Any = None,
    style: str = "dots",
    top: int = 15,
    scale: float | None = None,
    cmap: str | Colormap = _VALUES,
    colorbar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw the relevance of features over many samples, the features of largest mean magnitude at the top.

    Parameters
    ----------
    relevance : tensor or array, (B, F)
        NaN and infinity are left out, and counted below.
    names : sequence of str, optional
        Names of the features; numbers without them.
    values : tensor or array, (B, F), optional
        What the model saw: the colours of the dots, each feature from its 5th to its 95th percentile.
    style : {"dots", "bars"}
        "dots": one a sample; where they are dense they move up and down, always in the same way. "bars": the mean of
        |R| with the 95 % interval of a mean of independent samples (Student's t).
    top : int
        How many features to draw; how many there are is said below.
    scale : float, optional
        Let the axis reach from -scale to scale (0 to scale for bars); dots beyond are at its ends.
    cmap : str or Colormap
        Colours of the values; not blue to red, which is for the sign of relevance.
    colorbar : bool
        Whether to draw a colour bar for the values.
    """
    if style not in STYLES:
        raise ParameterError(f"style={style!r}: one of {STYLES}.{nearest(str(style), STYLES)}")
    table = _table(relevance, "relevance")
    texts = names_of(names, table.shape[1], "feature")
    seen = None if values is None else _table(values, "values")
    if seen is not None and seen.shape != table.shape:
        raise InputError(f"Values of shape {seen.shape} for relevance of shape {table.shape}: they must be alike.")
    sizes = np.abs(np.where(np.isfinite(table), table, np.nan))
    means = np.array([np.nanmean(own) if np.isfinite(own).any() else 0.0 for own in sizes.T])
    order = split_at(means, top)[0]
    ax = own_axes(ax, (4.2, 0.6 + SUMMARY_ROW * len(order)))
    measure = "relevance" if style == "dots" else "mean |relevance|"
    if style == "bars":
        if np.isfinite(sizes[:, order]).sum(0).max() > 1:  # of one sample there is no interval
            measure += ", 95 % interval"
        _draw_bars(ax, sizes[:, order], means[order], scale)
    else:
        _draw_dots(ax, table[:, order], None if seen is None else seen[:, order], scale, colours(cmap), colorbar)
    label_rows(ax, [texts[place] for place in order])
    note(ax, measure)
    note(ax, f"{len(order)} of {table.shape[1]} features" if len(order) < table.shape[1] else "")
    note(ax, non_finite_note(table))
    _titled(ax, title)
    return ax


def _table(values: Any, what: str) -> Array:
    array = as_array(values, what)
    if array.ndim != 2 or not array.size:
        raise InputError(f"A summary draws {what} of many samples, (B, F); got shape {array.shape}.")
    return array


def _draw_dots(ax: Axes, table: Array, seen: Array | None, scale: float | None, paint: Colormap, bar: bool) -> None:
    limit = symmetric_limit(table, scale)
    size = float(np.clip(4000 / len(table), 1.5, 12))
    for row, line in enumerate(table.T):
        there = np.isfinite(line)
        places = np.clip(line[there], -limit, limit)
        shades: Any = _PLAIN
        if seen is not None:
            shades = paint(_share(seen[:, row])[there])
            shades[~np.isfinite(seen[there, row])] = to_rgba(NO_NUMBER)
        ax.scatter(places, row + _spread(places, limit), s=size, c=shades, linewidths=0, rasterized=len(table) > 1000)
    ax.axvline(0, color="black", linewidth=0.5, zorder=0)
    if scale is not None:
        ax.set_xlim(-1.04 * limit, 1.04 * limit)
    if seen is not None and bar:
        _value_bar(ax, paint)


def _value_bar(ax: Axes, paint: Colormap) -> None:
    figure: Any = ax.figure
    bar = figure.colorbar(ScalarMappable(Normalize(0, 1), paint), ax=ax, fraction=0.04, pad=0.03, ticks=[0, 1])
    bar.ax.set_yticklabels(["low", "high"], fontsize=SMALL)
    bar.ax.tick_params(width=0, length=0)
    bar.outline.set(**FRAME)
    bar.set_label("value of the feature", fontsize=SMALL, labelpad=-8)


def _draw_bars(ax: Axes, sizes: Array, means: Array, scale: float | None) -> None:
    from scipy.stats import t

    counts = np.isfinite(sizes).sum(0)
    spread = np.array([
        np.nanstd(own, ddof=1) / np.sqrt(count) * t.ppf(0.975, count - 1) if count > 1 else np.nan
        for own, count in zip(sizes.T, counts, strict=True)
    ])  # fmt: skip
    whiskers = {"elinewidth": 0.7, "capsize": 2, "capthick": 0.7, "ecolor": "black"}
    low = np.minimum(spread, means)  # a mean of magnitudes is never below zero
    ax.barh(range(len(means)), means, xerr=[low, spread], color=_PLAIN, height=0.7, error_kw=whiskers)
    if scale is not None:
        ax.set_xlim(0, 1.04 * max(symmetric_limit(means, scale), float((means + np.nan_to_num(spread)).max())))


def _spread(places: Array, limit: float) -> Array:
    """How far each dot moves from the middle of its row: the more share its place, the further, at most half a row.

    Dots at one place are laid around the middle in their order: 0, +1, -1, +2, -2, ...
    """
    bins = np.floor((places / limit + 1) / 2 * _BINS).astype(int)
    ranks = _ranks(bins)
    signed = np.where(ranks % 2 == 1, (ranks + 1) // 2, -(ranks // 2)).astype(np.float64)
    furthest = float(np.abs(signed).max(initial=0))
    return signed * min(0.08, _HALF / furthest) if furthest else signed


def _ranks(bins: NDArray[np.int64]) -> NDArray[np.int64]:
    """The number of each among those of the same bin, in their order."""
    order = np.argsort(bins, kind="stable")
    sorted_bins = bins[order]
    first = np.searchsorted(sorted_bins, sorted_bins, side="left")
    ranks = np.empty(len(bins), dtype=np.int64)
    ranks[order] = np.arange(len(bins)) - first
    return ranks


def _share(values: Array) -> Array:
    """Where values lie between their 5th and 95th percentile, 0 to 1; half of the way where all are alike."""
    finite = values[np.isfinite(values)]
    low, high = np.percentile(finite, (5, 95)) if finite.size else (0.0, 0.0)
    if high <= low:  # rare values, such as a flag that is hardly ever set
        low, high = (finite.min(), finite.max()) if finite.size else (0.0, 0.0)
    if high <= low:
        return np.full(len(values), 0.5)
    return np.clip((np.where(np.isfinite(values), values, low) - low) / (high - low), 0, 1)
