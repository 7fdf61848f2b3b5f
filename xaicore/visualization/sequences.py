"""Relevance that is no image: series, tables and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from xaicore.errors import InputError, ParameterError
from xaicore.visualization.canvas import FRAME, SMALL, as_chart, note, own_axes, title
from xaicore.visualization.scales import (
    NO_NUMBER,
    Array,
    as_array,
    colours,
    non_finite_note,
    symmetric_limit,
    symmetric_norm,
)

_titled = title
_LINE = 1.9 * SMALL
"""From one line of a text to the next, in points."""


def _line(values: Any, what: str) -> Array:
    array = as_array(values, what)
    if array.ndim != 1 or not array.size:
        raise InputError(f"One sample's {what} is a line of numbers, (T,); got shape {array.shape}.")
    return array


def bars(
    relevance: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    top: int = 20,
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
    top : int
        How many to draw. What the others add up to is one bar more, so that the bars add up to the whole.
    """
    values = _line(relevance, "relevance")
    names = [str(index) for index in range(len(values))] if names is None else list(names)
    if len(names) != len(values):
        raise InputError(f"{len(names)} names for {len(values)} features: give one name a feature.")
    if top < 1:
        raise ParameterError(f"top={top}: draw at least one bar.")
    order = np.argsort(-np.where(np.isfinite(values), np.abs(values), np.inf), kind="stable")
    shown, rest = (order, order[:0]) if len(values) <= top + 1 else (order[:top], order[top:])
    lengths = [*values[shown], *([values[rest].sum()] if len(rest) else [])]
    labels = [names[index] for index in shown] + ([f"sum of {len(rest)} others"] if len(rest) else [])
    ax = own_axes(ax, (3.4, 0.5 + 0.16 * len(lengths)))
    finite = np.where(np.isfinite(lengths), lengths, 0.0)
    limit = symmetric_limit(finite)
    paint = colours(cmap)(symmetric_norm(limit)(np.sign(finite) * limit * 0.75))
    drawn = ax.barh(range(len(lengths)), finite, color=paint, height=0.75)
    if len(rest):
        drawn[-1].set(alpha=0.5)
    for row in np.flatnonzero(~np.isfinite(lengths)):
        ax.axhspan(row - 0.4, row + 0.4, facecolor=NO_NUMBER, edgecolor="#616161", hatch="//////", linewidth=0)
    ax.axvline(0, color="black", linewidth=0.5)
    ax.set_yticks(range(len(lengths)), labels, fontsize=SMALL, parse_math=False)
    ax.invert_yaxis()
    as_chart(ax)
    ax.locator_params(axis="x", nbins=5)
    note(ax, "relevance")
    note(ax, non_finite_note(values))
    _titled(ax, title)
    return ax


def series(
    relevance: Any,
    values: Any = None,
    ax: Axes | None = None,
    *,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    title: str | None = None,
) -> Axes:
    """Draw relevance along time: a coloured band behind the values, or without them a shaded line of relevance.

    Parameters
    ----------
    relevance : tensor or array, (T,)
        One sample's relevance at each step. NaN and infinity are hatched grey.
    values : tensor or array, (T,), optional
        What the model saw; drawn as a line over the band.
    scale : float, optional
        Limit of the symmetric scale; by default the largest magnitude.
    """
    line = _line(relevance, "relevance")
    limit = symmetric_limit(line, scale)
    ax = own_axes(ax, (3.4, 1.6))
    steps = np.arange(len(line))
    paint = colours(cmap)
    if values is None:
        finite = np.where(np.isfinite(line), line, np.nan)
        for sign, colour in ((1, paint(0.875)), (-1, paint(0.125))):
            where = sign * np.nan_to_num(finite) >= 0
            ax.fill_between(steps, finite, where=where, interpolate=True, color=colour, linewidth=0, alpha=0.6)
        ax.plot(steps, finite, color="black", linewidth=0.7, marker="." if len(line) < 3 else "")
        ax.axhline(0, color="black", linewidth=0.4)
        ax.set_ylim(-1.05 * limit, 1.05 * limit)
        ax.set_ylabel("relevance", fontsize=SMALL)
    else:
        curve = _line(values, "series")
        if len(curve) != len(line):
            raise InputError(f"{len(curve)} values for relevance of {len(line)} steps: they must be as many.")
        ax.plot(steps, curve, color="black", linewidth=0.7, marker="." if len(line) < 3 else "")
        low, high = ax.get_ylim()
        ax.imshow(
            np.ma.masked_invalid(line)[None],
            cmap=paint,
            norm=symmetric_norm(limit),
            extent=(-0.5, len(line) - 0.5, low, high),
            aspect="auto",
            interpolation="nearest",
            zorder=0,
        )
        ax.set_ylim(low, high)
    for step in np.flatnonzero(~np.isfinite(line)):
        ax.axvspan(step - 0.5, step + 0.5, facecolor=NO_NUMBER, edgecolor="#616161", hatch="//////", linewidth=0)
    ax.set_xlim(-0.5, len(line) - 0.5)
    as_chart(ax)
    ax.locator_params(axis="y", nbins=4)
    note(ax, "step")
    note(ax, non_finite_note(line))
    _titled(ax, title)
    return ax


def tokens(
    relevance: Any,
    words: Sequence[str],
    ax: Axes | None = None,
    *,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    title: str | None = None,
) -> Axes:
    """Write a text with each token on the colour of its relevance, lines broken to the width of the axes.

    Parameters
    ----------
    relevance : tensor or array, (T,)
        One sample's relevance of each token. NaN and infinity are hatched grey.
    words : sequence of str
        The T tokens; shown as they are, never read as mathematics. There may be fewer where the rest is padding, which
        is left out: the last values, or else the first, that are all exactly zero.
    """
    words, line = _without_padding(list(words), _line(relevance, "relevance"))
    limit = symmetric_limit(line, scale)
    own = ax is None
    ax = own_axes(ax, (5.0, 1.0))
    figure: Any = ax.figure
    if own:
        figure.set_layout_engine("none")
        ax.set_position((0.02, 0.05, 0.96, 0.75))
    lines, step = _write(ax, words, line, limit, colours(cmap)), _LINE * figure.dpi / 72
    if own:  # as tall as the text turned out to be
        figure.set_figheight((lines + (2.2 if title else 1)) * step / figure.dpi)
        ax.set_position((0.02, 0.02, 0.96, (lines + 0.7) * step / figure.dpi / figure.get_figheight()))
        ax.set_ylim((lines + 0.7) * step, 0)
    _titled(ax, title)
    return ax


def height_of_words(words: Sequence[str], width: float) -> float:
    """How tall axes of this width must be for `tokens`; in inches."""
    ax = Figure(figsize=(width, 1.0), dpi=150).add_axes((0, 0, 1, 1))
    return (_write(ax, words, np.zeros(len(words)), 1.0, colours(None)) + 0.7) * _LINE / 72


def _without_padding(words: list[str], line: Array) -> tuple[list[str], Array]:
    missing = len(line) - len(words)
    if missing > 0 and words:
        if not line[len(words) :].any():
            return words, line[: len(words)]
        if not line[:missing].any():
            return words, line[missing:]
    if missing:
        raise InputError(
            f"{len(words)} tokens for relevance of {len(line)}: give one word a value; those of padding may be left "
            "out where its relevance is zero."
        )
    return words, line


def _write(ax: Axes, words: Sequence[str], line: Array, limit: float, paint: Colormap) -> int:
    """Write the words from the top left of the axes, whose unit is the pixel then; return how many lines they take."""
    figure: Any = ax.figure
    renderer = FigureCanvasAgg(figure.get_figure(root=True)).get_renderer()  # type: ignore[no-untyped-call]
    box = ax.get_window_extent(renderer)
    ax.set(xlim=(0, box.width), ylim=(box.height, 0))
    ax.set_axis_off()
    pixel = figure.dpi / 72
    gap, step = 3 * pixel, _LINE * pixel
    left, number = gap, 1
    for word, value in zip(words, line, strict=True):
        strong = np.isfinite(value) and abs(value) > 0.6 * limit
        face = paint(symmetric_norm(limit)(np.ma.masked_invalid([value]))[0]) if np.isfinite(value) else NO_NUMBER
        colour = "white" if strong else "black"
        text = ax.text(left, number * step, word, fontsize=SMALL, color=colour, parse_math=False)
        hatch = None if np.isfinite(value) else "//////"
        text.set_bbox({"facecolor": face, "pad": 1.5, "hatch": hatch, **FRAME})
        width = text.get_window_extent(renderer).width
        if left + width > box.width - gap and left > gap:
            left, number = gap, number + 1
            text.set_position((left, number * step))
        left += width + 2 * gap
    return number
