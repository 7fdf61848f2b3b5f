"""Relevance along time: lines over coloured bands, and maps of channels by time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from xaicore.errors import InputError
from xaicore.visualization.canvas import SMALL, as_chart, colour_bar, note, own_axes, title
from xaicore.visualization.named_lines import channels_of, names_of
from xaicore.visualization.pictures import hatch
from xaicore.visualization.printable import printable
from xaicore.visualization.scales import (
    NO_NUMBER,
    Array,
    colours,
    non_finite_note,
    number,
    percentile_note,
    symmetric_limit,
    symmetric_norm,
)
from xaicore.visualization.stretches import Stretches, stretches

_titled = title
RESOLUTION = 300
"""How many colours side by side a picture as wide as a column of a journal can show."""
STRIP = 0.45  # inches for each of several channels


def series(
    relevance: Any,
    values: Any = None,
    ax: Axes | None = None,
    *,
    names: Sequence[str] | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    resolution: int = RESOLUTION,
    title: str | None = None,
) -> Axes:
    """Draw relevance along time: a coloured band behind the values, or without them a shaded line of relevance.

    Parameters
    ----------
    relevance : tensor or array, (T,) or (C, T)
        One sample's relevance at each step. Several channels are drawn one below the other. NaN and infinity are
        hatched grey.
    values : tensor or array like `relevance`, optional
        What the model saw; drawn as a line over the band, each of several channels within its own range.
    names : sequence of str, optional
        Names of the channels; numbers without them.
    scale, percentile : float, optional
        Limit of the symmetric scale, the same for all channels, or the percentile of the magnitudes that sets it; by
        default the largest magnitude. It is said below the picture.
    resolution : int
        Longer series are drawn as this many stretches, each in the colour of its largest magnitude, so that no peak is
        lost; the line reaches the lowest and highest value of each. It is said below the picture.
    """
    lines = channels_of(relevance, "relevance")
    curves = None if values is None else channels_of(values, "series")
    if curves is not None and curves.shape != lines.shape:
        raise InputError(_other_shape(curves, lines))
    texts = names_of(names, len(lines), "channel")
    limit = symmetric_limit(lines, scale, percentile)
    ax = own_axes(ax, (3.4, 1.6 if len(lines) == 1 else 0.5 + STRIP * len(lines)))
    strips = _Strips(ax, stretches(lines.shape[1], resolution), limit, colours(cmap), alone=len(lines) == 1)
    for row, line in enumerate(lines):
        strips.draw(row, line, None if curves is None else curves[row])
    ax.set_xlim(-0.5, lines.shape[1] - 0.5)
    as_chart(ax)
    if len(lines) > 1:
        ax.set_ylim(len(lines), 0)
        ax.set_yticks(np.arange(len(lines)) + 0.5, [printable(text) for text in texts], parse_math=False)
        ax.tick_params(axis="y", length=0)
    else:
        ax.locator_params(axis="y", nbins=4)
        label = texts[0] if names is not None else "relevance" if curves is None else ""
        ax.set_ylabel(printable(label) if label else "", fontsize=SMALL, parse_math=False)
    scaled = f"{'colours' if curves is not None else 'relevance'} to ±{number(limit)}"
    shown = scaled if curves is not None or len(lines) > 1 else ""
    _finish(ax, lines, strips.cut, percentile, title, shown)
    return ax


def channels_time(
    relevance: Any,
    names: Sequence[str] | None = None,
    ax: Axes | None = None,
    *,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    resolution: int = RESOLUTION,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Draw relevance as a map with a row for each channel and time from left to right.

    Parameters
    ----------
    relevance : tensor or array, (C, T) or (T,)
        One sample's relevance. NaN and infinity are hatched grey.
    names : sequence of str, optional
        Names of the channels, from the top; numbers without them.
    scale, percentile, resolution
        As in `series`.
    colorbar : bool
        Whether to draw a colour bar beside the map; without it, the scale is said below.
    """
    lines = channels_of(relevance, "relevance")
    texts = names_of(names, len(lines), "channel")
    limit, cut = symmetric_limit(lines, scale, percentile), stretches(lines.shape[1], resolution)
    ax = own_axes(ax, (3.6, min(0.9 + 0.14 * len(lines), 8.0)))
    shown = cut.peaks(lines)
    ax.imshow(
        np.ma.masked_invalid(shown),
        cmap=colours(cmap),
        norm=symmetric_norm(limit),
        extent=(-0.5, lines.shape[1] - 0.5, len(lines) - 0.5, -0.5),
        aspect="auto",
        interpolation="nearest",
    )
    hatch(ax, ~np.isfinite(shown), lines.shape)
    as_chart(ax)
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    if names is None:
        ax.yaxis.set_major_locator(MaxNLocator(6, integer=True))
        ax.set_ylabel("channel", fontsize=SMALL)
    else:
        every = -(-len(lines) // 40)  # more names than that would lie on each other
        ax.set_yticks(range(0, len(lines), every), [printable(text) for text in texts[::every]], parse_math=False)
    if colorbar:
        colour_bar(ax.figure, colours(cmap), limit, "relevance", ax=ax)
    _finish(ax, lines, cut, percentile, title, "" if colorbar else f"colours to ±{number(limit)}")
    return ax


def _other_shape(curves: Array, lines: Array) -> str:
    if len(curves) == len(lines):
        return f"{curves.shape[1]} values for relevance of {lines.shape[1]} steps: they must be as many."
    return f"Values of shape {curves.shape} for relevance of shape {lines.shape}: they must be alike."


def _finish(ax: Axes, lines: Array, cut: Stretches, percentile: float | None, text: str | None, scaled: str) -> None:
    note(ax, "step")
    note(ax, ", ".join(filter(None, (scaled, percentile_note(percentile)))))
    note(ax, cut.note)
    note(ax, non_finite_note(lines))
    _titled(ax, text)


@dataclass(frozen=True)
class _Strips:
    """Channels one below the other, each in a strip one unit high; one alone has an axis of its own."""

    ax: Axes
    cut: Stretches
    limit: float
    paint: Colormap
    alone: bool

    def draw(self, row: int, line: Array, curve: Array | None) -> None:
        """Draw one channel."""
        values, low, high = (line, -self.limit, self.limit) if curve is None else (curve, *_range(curve))

        def place(own: Any) -> Any:
            return own if self.alone else row + 0.92 - 0.84 * (own - low) / (high - low)

        margin = 0.05 * (high - low)
        bottom, top = (low - margin, high + margin) if self.alone else (row + 1.0, float(row))
        steps, heights = self.cut.outline(np.where(np.isfinite(values), values, np.nan))
        heights = np.clip(heights, low, high)
        if curve is None:
            self._shade(steps, heights, place)
        else:
            self._band(line, bottom, top)
        marker = "." if len(steps) < 3 else ""
        self.ax.plot(steps, place(heights), color="black", linewidth=0.7, marker=marker, solid_joinstyle="round")
        for start, end in self._bad(line):
            box = Rectangle((start - 0.5, bottom), end - start, top - bottom, facecolor=NO_NUMBER, edgecolor="#616161")
            box.set(hatch="//////", linewidth=0)
            self.ax.add_patch(box)
        if self.alone:
            self.ax.set_ylim(bottom, top)
        elif row:
            self.ax.axhline(row, color="white", linewidth=2)
            self.ax.axhline(row, color="#9e9e9e", linewidth=0.4)

    def _shade(self, steps: Array, heights: Array, place: Any) -> None:
        for sign, colour in ((1, self.paint(0.875)), (-1, self.paint(0.125))):
            part = np.where(np.isnan(heights), np.nan, np.clip(sign * heights, 0, None) * sign)
            self.ax.fill_between(steps, place(part), place(0.0 * part), color=colour, linewidth=0, alpha=0.6)
        self.ax.hlines(place(0.0), -0.5, self.cut.steps - 0.5, color="black", linewidth=0.4)

    def _band(self, line: Array, bottom: float, top: float) -> None:
        self.ax.imshow(
            np.ma.masked_invalid(self.cut.peaks(line))[None],
            cmap=self.paint,
            norm=symmetric_norm(self.limit),
            extent=(-0.5, self.cut.steps - 0.5, bottom, top),
            aspect="auto",
            interpolation="nearest",
            zorder=0,
        )

    def _bad(self, line: Array) -> list[tuple[int, int]]:
        """Runs of steps that are no numbers, each at least as wide as a stretch so that it is seen."""
        bad = ~np.isfinite(self.cut.peaks(line))
        edges = np.flatnonzero(np.diff(np.concatenate([[0], bad.astype(np.int8), [0]])))
        ends = np.append(self.cut.starts, self.cut.steps)
        return [(int(ends[start]), int(ends[stop])) for start, stop in edges.reshape(-1, 2)]


def _range(curve: Array) -> tuple[float, float]:
    finite = curve[np.isfinite(curve)]
    if not finite.size:
        return -1.0, 1.0
    low, high = float(finite.min()), float(finite.max())
    room = 0.5 * max(abs(low), 1.0)
    return (low, high) if high > low else (low - room, high + room)
