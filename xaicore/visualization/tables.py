"""Relevance of the features of one sample as bars."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from xaicore.visualization.canvas import SMALL, as_chart, note, own_axes, title
from xaicore.visualization.named_lines import line_of, names_of, ranked
from xaicore.visualization.printable import printable
from xaicore.visualization.scales import (
    NO_NUMBER,
    Array,
    colours,
    non_finite_note,
    symmetric_limit,
    symmetric_norm,
)

_titled = title
BAR = 0.16  # inches from one bar to the next
_LONGEST = 32  # characters of a name: the bars need room too


def bars(
    relevance: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    values: Any = None,
    top: int = 20,
    scale: float | None = None,
    cmap: str | Colormap | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the features of largest relevance as horizontal bars, the most relevant at the top.

    Parameters
    ----------
    relevance : tensor or array, (F,)
        One sample's relevance. NaN and infinity come first, hatched, without a length.
    names : sequence of str, optional
        Names of the features; numbers without them.
    values : tensor or array, (F,), optional
        What the model saw; written behind the names.
    top : int
        How many to draw. What the others add up to is one bar more, so that the bars add up to the whole.
    scale : float, optional
        Let the axis reach from -scale to scale, so that several pictures compare. Longer bars make it longer.
    """
    line = line_of(relevance, "relevance")
    shown = ranked(line, names_of(names, len(line), "feature", values), top)
    ax = own_axes(ax, (3.4, 0.5 + BAR * len(shown.lengths)))
    finite = np.where(np.isfinite(shown.lengths), shown.lengths, 0.0)
    drawn = ax.barh(range(len(finite)), finite, color=bar_colours(finite, cmap), height=0.75)
    if shown.rest:
        drawn[-1].set(alpha=0.5)
    hatch_rows(ax, shown.lengths)
    ax.axvline(0, color="black", linewidth=0.5)
    label_rows(ax, shown.labels)
    if scale is not None:
        reach = max(symmetric_limit(line, scale), float(np.abs(finite).max()))
        ax.set_xlim(-1.04 * reach, 1.04 * reach)
    note(ax, "relevance")
    note(ax, non_finite_note(line))
    _titled(ax, title)
    return ax


def bar_colours(lengths: Array, cmap: str | Colormap | None) -> Any:
    """The colours of bars: only the sign counts, since the length tells the magnitude."""
    return colours(cmap)(symmetric_norm(1.0)(0.75 * np.sign(lengths)))


def hatch_rows(ax: Axes, lengths: Array) -> None:
    """Mark the rows whose value is no number."""
    for row in np.flatnonzero(~np.isfinite(lengths)):
        ax.axhspan(row - 0.4, row + 0.4, facecolor=NO_NUMBER, edgecolor="#616161", hatch="//////", linewidth=0)


def label_rows(ax: Axes, labels: Sequence[str]) -> None:
    """Name the rows from the top down."""
    ax.set_yticks(range(len(labels)), [_short(label) for label in labels], fontsize=SMALL, parse_math=False)
    ax.set_ylim(len(labels) - 0.4, -0.6)
    as_chart(ax)
    ax.locator_params(axis="x", nbins=5)


def _short(label: str) -> str:
    """A name that leaves room for the bars: of a long one, beginning and end."""
    label = printable(label)
    half = _LONGEST // 2
    return label if len(label) <= _LONGEST else f"{label[: half - 1]}…{label[-half:]}"
