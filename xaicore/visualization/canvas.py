"""Axes and colour bars in one style: figures outside pyplot, small type, no ticks on pictures."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from xaicore.visualization.scales import (
    Array,
    magnitude_norm,
    non_finite_note,
    number,
    percentile_note,
    symmetric_norm,
)

SMALL = 7.0  # points: the type of captions in papers
FRAME = {"edgecolor": "#9e9e9e", "linewidth": 0.4}


def own_axes(ax: Axes | None, figsize: tuple[float, float] = (3.2, 3.0)) -> Axes:
    """Return `ax`, or the axes of a new figure that pyplot does not know of."""
    if ax is not None:
        return ax
    axes: Axes = Figure(figsize=figsize, layout="constrained").add_subplot()
    return axes


def as_picture(ax: Axes) -> None:
    """Take the ticks off and draw a thin frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    for spine in ax.spines.values():
        spine.set(**FRAME)


def as_chart(ax: Axes) -> None:
    """Keep the two axes that carry numbers, in small type."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set(**FRAME)
    ax.tick_params(labelsize=SMALL, width=0.4, length=2)


def title(ax: Axes, text: str | None, fontsize: float = SMALL) -> None:
    """Set a title; text of users is never read as mathematics."""
    if text:
        ax.set_title(text, fontsize=fontsize, pad=3, parse_math=False)


def row_title(ax: Axes, text: str) -> None:
    """Write a title in front of the first axes of a row."""
    ax.set_ylabel(text, fontsize=SMALL, rotation=0, ha="right", va="center", labelpad=4, parse_math=False)


def note(ax: Axes, text: str, fontsize: float = SMALL) -> None:
    """Add a line below the axes."""
    if text:
        lines = [ax.get_xlabel(), text] if ax.get_xlabel() else [text]
        ax.set_xlabel("\n".join(lines), fontsize=fontsize, labelpad=2, parse_math=False)


def colour_bar(
    figure: Any,
    cmap: Colormap,
    limit: float,
    label: str,
    *,
    cax: Axes | None = None,
    ax: Any = None,
    named: bool = False,
    signed: bool = True,
) -> Colorbar:
    """Draw a colour bar from -limit (or 0, where not `signed`) to limit; `named` writes "max" instead of numbers."""
    mappable = ScalarMappable(symmetric_norm(limit) if signed else magnitude_norm(limit), cmap)
    options: dict[str, Any] = {"cax": cax} if cax is not None else {"ax": ax, "fraction": 0.046, "pad": 0.04}
    bar: Colorbar = figure.colorbar(mappable, ticks=[-limit, 0, limit] if signed else [0, limit], **options)
    ends = ["\N{MINUS SIGN}max", "0", "max"] if named else [number(-limit), "0", number(limit)]
    bar.ax.set_yticklabels(ends if signed else ends[1:], fontsize=SMALL)
    texts = bar.ax.get_yticklabels()
    texts[0].set_verticalalignment("bottom")  # inside the length of the bar: the next row's may follow
    texts[-1].set_verticalalignment("top")
    bar.ax.minorticks_off()
    bar.ax.tick_params(width=0.4, length=2, pad=2)
    bar.outline.set(**FRAME)
    bar.set_label(label, fontsize=SMALL, labelpad=2)
    return bar


def finish(
    ax: Axes,
    values: Array,
    text: str | None,
    cmap: Colormap | None = None,
    limit: float = 1.0,
    percentile: float | None = None,
    colorbar: bool = False,
    signed: bool = True,
) -> None:
    """Title the picture of `values`, count what is no number, and say where its colour scale ends."""
    title(ax, text)
    note(ax, non_finite_note(values))
    cut = percentile_note(percentile)
    if colorbar and cmap is not None:
        label = "relevance" if signed else "|relevance|"
        colour_bar(ax.figure, cmap, limit, f"{label} ({cut})" if cut else label, ax=ax, signed=signed)
    else:
        note(ax, cut)
