"""An audit as one figure: classes, the most suspicious clusters, and why the worst class falls into clusters."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

from xaicore import __version__
from xaicore.errors import ParameterError
from xaicore.studies.auditing.records import ClassRecord, ClusterRecord
from xaicore.visualization.canvas import SMALL, as_chart, as_picture, note, row_title, title
from xaicore.visualization.pictures import draw_image, draw_map
from xaicore.visualization.scales import RELEVANCE_COLOURS, symmetric_limit

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xaicore.studies.auditing.result import Audit

_MOST_CLASSES = 15
_EXAMPLES = 2
_COLOURS = ("#b2182b", "#2166ac", "#e08214", "#1b7837", "#762a83", "#8c510a", "#35978f", "#636363")
_GREY = "#737373"


def draw(audit: Audit, most: int) -> Figure:
    """Draw an audit; see `Audit.plot`."""
    if isinstance(most, bool) or not isinstance(most, int) or most < 1:
        raise ParameterError(f"most={most!r} must be a whole number from 1 on: how many clusters are drawn")
    shown = audit.clusters[:most]
    pictures = _has_pictures(audit)
    rows = 1 + (_EXAMPLES if pictures else 0)
    listed = min(len(audit.classes), _MOST_CLASSES)
    tall = max(2.3, 0.16 * listed + 0.9)
    figure = Figure(figsize=(max(7.4, 1.25 * len(shown) + 1.2), tall + 0.8 + 1.3 * rows), layout="constrained")
    halves: Any = figure.subfigures(2, 1, height_ratios=[tall, 0.7 + 1.3 * rows])
    above, below = halves
    left, middle, right = above.subplots(1, 3, width_ratios=[1.25, 1, 1])
    _classes(left, audit)
    if shown:
        _eigenvalues(middle, audit[shown[0].label])
        _embedding(right, audit, shown[0].label)
        _cluster_pictures(below, audit, shown, rows)
    else:
        middle.set_axis_off()
        right.set_axis_off()
    text = f"{audit.method} · {len(audit)} samples · {audit.target} class · xaicore {__version__}"
    figure.supxlabel(text, fontsize=SMALL - 1, color=_GREY, parse_math=False)
    return figure


def _classes(ax: Axes, audit: Audit) -> None:
    """How much the model looks at the object, or where that is not known, accuracy."""
    ranked = any(record.rank for record in audit.classes)
    shown = audit.classes[:_MOST_CLASSES]
    places = np.arange(len(shown))
    if ranked:
        for place, record in enumerate(shown):
            if not math.isnan(record.focus_low):
                ax.plot([record.focus_low, record.focus_high], [place, place], color=_COLOURS[1], linewidth=1.2)
        ax.plot([each.focus for each in shown], places, "o", color=_COLOURS[1], markersize=3.5)
        ax.axvline(0, color=_GREY, linewidth=0.6, linestyle=":")
        ax.set_xlabel("relevance on the object beyond chance\n(0: as by chance, 1: all)", fontsize=SMALL)
        heading = "Classes, least at the object first"
    else:
        ax.barh(places, [each.accuracy for each in shown], height=0.6, color=_COLOURS[1])
        ax.set_xlim(0, 1)
        ax.set_xlabel("accuracy", fontsize=SMALL)
        heading = "Classes (not ranked: no masks)"
    left_out = len(audit.classes) - len(shown)
    title(ax, heading + (f"\n{left_out} more are not shown" if left_out else ""))
    ax.set_yticks(places, [_short(each.name) for each in shown], parse_math=False)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    as_chart(ax)


def _eigenvalues(ax: Axes, record: ClassRecord) -> None:
    values = record.eigenvalues
    title(ax, f"Class {_short(record.name)}: eigenvalues of the Laplacian")
    if not values:
        ax.set_axis_off()
        ax.text(0.5, 0.5, "too few maps", ha="center", va="center", fontsize=SMALL, transform=ax.transAxes)
        return
    numbers = np.arange(1, len(values) + 1)
    chosen = numbers <= record.clusters
    ax.plot(numbers, values, color=_GREY, linewidth=0.6, zorder=1)
    ax.scatter(numbers[chosen], np.array(values)[chosen], s=14, color=_COLOURS[0], zorder=2)
    ax.scatter(numbers[~chosen], np.array(values)[~chosen], s=14, color=_GREY, zorder=2)
    ax.set_xticks(numbers)
    ax.set_ylim(bottom=-0.02)
    ax.set_xlabel(f"{record.clusters} before the gap", fontsize=SMALL)
    as_chart(ax)


def _embedding(ax: Axes, audit: Audit, label: int) -> None:
    samples = audit.samples
    for record in audit.clusters_of(label):
        members = samples.of_class(label, record.number)
        colour = _COLOURS[(record.number - 1) % len(_COLOURS)]
        x, y = samples.position[members].T
        ax.scatter(x, y, s=7, color=colour, alpha=0.7, linewidths=0, label=f"cluster {record.number}")
    title(ax, f"Class {_short(audit.name_of(label))}: heatmaps, alike ones close")
    ax.legend(fontsize=SMALL - 1, frameon=False, loc="best", handletextpad=0.1, borderpad=0.1)
    as_picture(ax)


def _cluster_pictures(figure: Any, audit: Audit, shown: list[ClusterRecord], rows: int) -> None:
    """Mean maps in a row, and below each its most typical samples."""
    grid = figure.subplots(rows, len(shown), squeeze=False)
    for column, record in enumerate(shown):
        ax = grid[0, column]
        _mean_map(ax, record)
        title(ax, f"{_short(record.title)}\n{record.size} samples\nsuspicion {record.suspicion:.2f}")
        if not math.isnan(record.inside):
            note(ax, f"inside {record.inside:.0%}\nby chance {record.chance:.0%}")
        if rows > 1:
            _examples(grid[1:, column], audit, record)
    row_title(grid[0, 0], "mean\nheatmap")
    if rows > 1:
        row_title(grid[1, 0], "most\ntypical\nsamples")


def _mean_map(ax: Axes, record: ClusterRecord) -> None:
    if record.mean_map.ndim == 2:
        draw_map(ax, record.mean_map, symmetric_limit(record.mean_map), RELEVANCE_COLOURS)
        return
    ax.bar(
        np.arange(len(record.mean_map)), record.mean_map, width=1.0, color=np.where(record.mean_map > 0, *_COLOURS[:2])
    )
    ax.axhline(0, color=_GREY, linewidth=0.4)
    as_picture(ax)


def _examples(axes: Any, audit: Audit, record: ClusterRecord) -> None:
    members = set(audit.members(record))
    found = [each for each in audit.examples if each.place in members and each.thumbnail.picture is not None]
    for ax, example in zip(axes, found, strict=False):
        picture = example.thumbnail.picture
        assert picture is not None
        draw_image(ax, picture.astype(np.float64) / 255)
    for ax in axes[len(found) :]:
        ax.set_axis_off()


def _has_pictures(audit: Audit) -> bool:
    return any(each.thumbnail.picture is not None for each in audit.examples)


def _short(text: str, longest: int = 24) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
