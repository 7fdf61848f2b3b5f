"""How a value comes about, feature by feature."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from xaicore.errors import InputError
from xaicore.visualization.canvas import SMALL, note, own_axes, title
from xaicore.visualization.named_lines import line_of, names_of, ranked
from xaicore.visualization.scales import Array, non_finite_note, signed
from xaicore.visualization.tables import BAR, bar_colours, hatch_rows, label_rows

_titled = title
_ABSORBED = "#757575"
_ROUNDING = 1e-5  # of the magnitudes at hand: what single precision leaves over is no gap


def waterfall(
    relevance: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    values: Any = None,
    base: float = 0.0,
    explained: float | None = None,
    others: float = 0.0,
    top: int = 10,
    cmap: str | Colormap | None = None,
    title: str | None = None,
) -> Axes:
    """Draw the way from a base value to the explained one: each bar begins where the one above it ends.

    Parameters
    ----------
    relevance : tensor or array, (F,)
        One sample's relevance. NaN and infinity come first, hatched, and take the way nowhere.
    names : sequence of str, optional
        Names of the features; numbers without them.
    values : tensor or array, (F,), optional
        What the model saw; written behind the names.
    base : float
        Where the way begins: the explained value at the baseline (``diagnostics.reference``), for methods that have
        one.
    explained : float, optional
        Where it should end (``diagnostics.explained``). What the features leave open is a grey bar, "not in the
        features": the conservation gap, such as what biases absorbed. Without it the way ends at base + sum.
    others : float
        What other inputs of the model add up to; a bar of its own unless it is zero.
    top : int
        How many features to draw; what the others add up to is one bar more.
    """
    line = line_of(relevance, "relevance")
    for name, given in {"base": base, "explained": explained, "others": others}.items():
        if given is not None and not np.isfinite(given):
            raise InputError(f"waterfall({name}={given}): it must be a finite number.")
    shown = ranked(line, names_of(names, len(line), "feature", values), top)
    lengths, labels, paint = _bars(line, shown.lengths, shown.labels, base, explained, others, cmap)
    finite = np.where(np.isfinite(lengths), lengths, 0.0)
    ends = base + np.cumsum(finite)
    starts = np.concatenate([[base], ends[:-1]])
    rows = np.arange(1, len(lengths) + 1)
    ax = own_axes(ax, (3.8, 0.55 + BAR * (len(lengths) + 2)))
    drawn = ax.barh(rows, finite, left=starts, color=paint, height=0.75)
    if shown.rest:
        drawn[len(shown.lengths) - 1].set(alpha=0.5)
    hatch_rows(ax, np.concatenate([[0.0], lengths, [0.0]]))
    goal = f"explained {_brief(ends[-1])}" if explained is not None else f"base + sum {_brief(ends[-1])}"
    label_rows(ax, [f"base {_brief(base)}", *labels, goal])
    points = [base, *ends]
    for row, place in enumerate(points):  # from each end down to where the next bar begins
        ax.plot([place, place], [row - 0.375, row + 1.375], color="#616161", linewidth=0.5, zorder=0)
    ax.plot([base, ends[-1]], [0, len(points)], "D", color="black", markersize=3.5)
    _write_lengths(ax, lengths, starts, ends)
    note(ax, "explained value")
    note(ax, non_finite_note(line))
    _titled(ax, title)
    return ax


def _bars(
    line: Array,
    lengths: Array,
    labels: list[str],
    base: float,
    explained: float | None,
    others: float,
    cmap: str | Colormap | None,
) -> tuple[Array, list[str], Any]:
    """The features, what other inputs add, and what is missing then."""
    lengths, labels = np.append(lengths, others) if others else lengths, labels + ["other inputs"] * bool(others)
    paint = list(bar_colours(np.where(np.isfinite(lengths), lengths, 0.0), cmap))
    if explained is not None:
        finite = lengths[np.isfinite(lengths)]
        gap = float(explained) - float(base) - float(finite.sum())
        size = max(abs(explained), abs(base), float(np.abs(line[np.isfinite(line)]).sum()))
        if abs(gap) > _ROUNDING * size or len(finite) < len(lengths):
            lengths, labels = np.append(lengths, gap), [*labels, "not in the features"]
            paint.append(_ABSORBED)
    return lengths, labels, paint


def _write_lengths(ax: Axes, lengths: Array, starts: Array, ends: Array) -> None:
    """Write each length beside its bar, on the side where the bar points to."""
    low, high = min(starts.min(), ends.min()), max(starts.max(), ends.max())
    room = 0.22 * ((high - low) or 1.0)
    ax.set_xlim(low - room, high + room)
    for row, (length, end) in enumerate(zip(lengths, ends, strict=True), start=1):
        if np.isfinite(length):
            ahead = length >= 0
            ax.annotate(
                signed(length), (end, row), xytext=(2 if ahead else -2, 0),
                textcoords="offset points", ha="left" if ahead else "right", va="center", fontsize=SMALL - 1,
            )  # fmt: skip


def _brief(value: float) -> str:
    return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
