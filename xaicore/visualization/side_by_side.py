"""Panels side by side: the inputs of a model, or what several methods say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.colors import Colormap
from matplotlib.figure import Figure

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.visualization.canvas import SMALL
from xaicore.visualization.panel_sets import panels_of, shared_limits
from xaicore.visualization.panels import Panel
from xaicore.visualization.scales import percentile_note
from xaicore.visualization.texts import wrapped


def first_of(inputs: Any, limit: int) -> Any:
    """The first samples of the inputs, if there are any."""
    if inputs is None:
        return None
    return {name: each[:limit] for name, each in inputs.items()} if isinstance(inputs, Mapping) else inputs[:limit]


def plot_side_by_side(
    explanations: Mapping[str, Explanation],
    *,
    kind: str | Mapping[str, str] | None = None,
    inputs: Any = None,
    names: Any = None,
    merge: Any = None,
    labels: Sequence[str] | None = None,
    true: Sequence[Any] | None = None,
    scale: str = "map",
    percentile: float | None = None,
    cmap: str | Colormap | None = None,
    limit: int | None = 8,
    footer: str | None = None,
) -> Figure:
    """Draw several explanations of the same samples: one row a sample, one column a title, whatever their shape.

    Parameters
    ----------
    explanations : dict of Explanation by title
        Of models with several inputs, each has as many columns as inputs are explained.
    kind, inputs, names, merge, labels, scale, percentile, cmap, limit
        As in `plot_explanation`.
    true : sequence of int or str (B,), optional
        True classes.
    footer : str, optional
        A line below.

    Returns
    -------
    Figure
        Not known to pyplot; save it with ``figure.savefig(path)``.
    """
    counts = {title: len(explanation) for title, explanation in explanations.items()}
    if len(set(counts.values())) != 1 or 0 in counts.values():
        raise InputError(f"Every column needs the same samples, at least one; got {counts or 'no column'}.")
    everything = next(iter(counts.values()))
    rows = everything if limit is None else min(limit, everything)
    panels = []
    for title, explanation in explanations.items():
        part = explanation[:rows] if rows < everything else explanation
        own = part.inputs if inputs is None else first_of(inputs, rows)
        for panel in panels_of(part, own, kind, names, merge):
            panel.title = ": ".join(filter(None, (title, panel.name)))
            panel.true = None if true is None else list(true)[:rows]
            panels.append(panel)
    shown = f"the first {rows} of {everything} samples" if rows < everything else ""
    cut = percentile_note(percentile) if scale != "map" else ""
    foot = " · ".join(filter(None, (shown, footer, cut)))
    return draw_side_by_side(panels, labels, cmap, percentile, shared_limits(panels, rows, scale, percentile), foot)


def draw_side_by_side(
    panels: list[Panel],
    labels: Sequence[str] | None,
    cmap: str | Colormap | None,
    percentile: float | None,
    limits: list[list[float | None]],
    foot: str | None = None,
) -> Figure:
    """One row a sample. How much room texts need is known when the others and all titles have taken theirs."""
    rows, width = len(limits), max(3.4 * len(panels), 4.0)
    figure = Figure(figsize=(width, 1.0), layout="constrained", dpi=150)
    axes = figure.subplots(rows, len(panels), squeeze=False)
    if foot:
        foot = wrapped(foot, 0.98 * width)
        figure.supxlabel(foot, fontsize=SMALL, color="#616161", parse_math=False, x=0.01, ha="left")
    _share_height(figure, axes, panels, width / len(panels))
    texts = []
    for row, line in enumerate(axes):
        for place, (panel, ax) in enumerate(zip(panels, line, strict=True)):
            panel.head(ax, row, labels)
            if panel.kind == "tokens":
                ax.set(xticks=[], yticks=[])
                ax.set_axis_off()
                texts.append((panel, ax, row, place))
            else:
                panel.draw(ax, row, cmap, percentile, limits[row][place])
    if texts:
        figure.draw_without_rendering()
        _share_height(figure, axes, panels, texts[0][1].get_position().width * width)
        figure.draw_without_rendering()
        for panel, ax, row, place in texts:
            panel.draw(ax, row, cmap, percentile, limits[row][place])
    return figure


def _share_height(figure: Figure, axes: Any, panels: list[Panel], width: float) -> None:
    """Give each row the height of its tallest panel, of this width."""
    heights = [max(panel.height(row, width) for panel in panels) for row in range(len(axes))]
    axes[0, 0].get_gridspec().set_height_ratios(heights)
    figure.set_figheight(0.3 + sum(heights) + 0.35 * len(heights))
