"""A grid of inputs x methods, as in the figure of a paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.visualization.canvas import SMALL, colour_bar, title
from xaicore.visualization.cells import Cells, make_cells
from xaicore.visualization.images import Channels
from xaicore.visualization.layouts import (
    EDGE,
    LINE,
    Box,
    Layout,
    Needs,
    arrange,
    blocks_of,
    text_lines,
    text_width,
    wrapped,
)
from xaicore.visualization.scales import colours
from xaicore.visualization.sheets import Columns, make_sheet

_BAR = 0.08  # inches
_BAR_GAP = 0.12
_TICK_ROOM = 0.08
_LABEL_LINES = 3
_LONGEST_BAR = 2.4
_titled = title


def grid(
    inputs: Any,
    explanations: Columns,
    *,
    labels: Sequence[str] | None = None,
    true: Sequence[Any] | Tensor | None = None,
    mean: Channels = None,
    std: Channels = None,
    scale: str = "map",
    percentile: float | None = None,
    score: str | None = "output",
    overlaid: bool = False,
    cmap: str | Colormap | None = None,
    name: str | None = None,
    wrap: int | str | None = "auto",
    title: str | None = None,
    footer: str | None = None,
    figsize: tuple[float, float] | None = None,
    axes: Any = None,
) -> Figure:
    """Draw one row a sample and one column a method, with inputs, predictions, targets and colour bars.

    What is explained is said once: in the row titles where all methods explain the same in a row, in the column
    titles where it depends on the column alone, under each picture otherwise. To show several targets of one input,
    repeat the input (`Explanation.concat` joins the explanations): an image like the one above is drawn once.

    Parameters
    ----------
    inputs : tensor (B, C, H, W) or (B, H, W), list of images, or None
        The images, as in `show_image`. None takes those kept in the explanations, if any.
    explanations : Explanation, list, dict, or dict of dicts
        One column each, of the same B samples, with relevance (B, C, H, W) or (B, H, W). A dict gives the column
        titles; a dict of dicts groups columns under common headings. Canonical names ("lrp.epsilon") are grouped
        by their namespace. Predictions are those of the first column.
    labels : sequence of str, optional
        Names of the classes.
    true : sequence of int or str, optional
        The true class of each sample.
    mean, std : float or one a channel, optional
        What the images were normalised with.
    scale : {"map", "row", "figure"}
        What shares one colour scale. Numbers on the colour bar compare only within it.
    percentile : float, optional
        Cut each scale at this percentile of the magnitudes; said at the colour bar.
    score : {"output", "softmax", None}
        The number behind the predicted class: the model's output, its softmax in percent, or none.
    overlaid : bool
        Draw relevance on top of the image in grey.
    name : str, optional
        Which input of several.
    wrap : int, "auto" or None
        The most columns side by side; more go on in a block below. "auto" is 12, None puts all into one line.
    title, footer : str, optional
        Lines above and below; `provenance` makes a footer.
    figsize : (float, float), optional
        Inches. Without it the figure takes the size it needs, as wide as a journal's page where it can be.
    axes : array of Axes, optional
        Draw on these, (B, number of columns), or one column more in front where there are inputs.

    Returns
    -------
    Figure
        Not known to pyplot; save it with ``figure.savefig(path)``.
    """
    if scale not in ("map", "row", "figure"):
        raise ParameterError(f"scale={scale!r}: one of 'map', 'row', 'figure'.")
    sheet = make_sheet(inputs, explanations, labels, true, score, name)
    if overlaid and sheet.images is None:
        raise InputError("overlaid=True needs the images: pass them as inputs.")
    cells = make_cells(sheet, scale, percentile, colours(cmap), overlaid, mean, std)
    if axes is not None:
        return _on_given_axes(cells, axes)
    return _on_own_figure(cells, blocks_of(len(sheet.columns), wrap), title, footer, figsize)


def _on_given_axes(cells: Cells, axes: Any) -> Figure:
    sheet, ahead = cells.sheet, int(cells.pictures is not None)
    table = np.asarray(axes, dtype=object)
    expected = (len(sheet.heads), len(sheet.columns) + ahead)
    if table.shape != expected:
        raise InputError(f"axes of shape {table.shape}: this grid needs {expected}, rows x columns.")
    captions = cells.captions()
    for row in range(expected[0]):
        if ahead:
            cells.draw_input(table[row, 0], row)
        for column, content in enumerate(sheet.columns):
            ax = table[row, column + ahead]
            cells.draw_cell(ax, row, column, captions[row][column])
            if row == 0:
                _titled(ax, "\n".join(filter(None, (content.group, content.title))))
        cells.draw_head(table[row, 0], row)
    figure: Figure = table[0, 0].figure
    named = cells.scale == "map"
    if cells.scale == "row":
        for row in range(expected[0]):
            colour_bar(figure, cells.cmap, cells.limits[row][0], cells.bar_label, ax=list(table[row]))
    else:
        colour_bar(figure, cells.cmap, cells.limits[0][0], cells.bar_label, ax=list(table.flat), named=named)
    return figure


def _on_own_figure(
    cells: Cells, blocks: list[range], title: str | None, footer: str | None, figsize: tuple[float, float] | None
) -> Figure:
    sheet = cells.sheet
    ticks = max(text_width(end) for row in range(len(sheet.heads)) for end in cells.bar_ends(row))
    needs = Needs(
        groups=[column.group for column in sheet.columns],
        titles=[column.title for column in sheet.columns],
        heads=sheet.heads,
        with_inputs=cells.pictures is not None,
        aspect=cells.aspect,
        captions=cells.captions(),
        bar_width=_BAR_GAP + _BAR + _TICK_ROOM + ticks + _LABEL_LINES * LINE,
        title_lines=text_lines(title or ""),
        footer_lines=text_lines(footer or ""),
    )
    layout = arrange(needs, blocks, figsize)
    figure = Figure(figsize=(layout.width, layout.height), dpi=150)
    for (row, column), box in layout.cells.items():
        ax = _axes(figure, layout, box)
        cells.draw_cell(ax, row, column, layout.captions[row][column])
        if row == 0:
            _titled(ax, layout.titles[column])
    for (row, _), box in layout.inputs.items():
        ax = _axes(figure, layout, box)
        cells.draw_input(ax, row)
        cells.draw_head(ax, row)
    _draw_headings(figure, layout)
    _draw_bars(figure, layout, cells, ticks)
    if title:
        _write(figure, layout, title, EDGE, layout.height - EDGE, va="top", size=1.2 * SMALL)
    if footer:
        _write(figure, layout, footer, EDGE, EDGE, va="bottom", color="#616161")
    return figure


def _axes(figure: Figure, layout: Layout, box: Box) -> Axes:
    wide, tall = layout.width, layout.height
    return figure.add_axes((box.left / wide, box.bottom / tall, box.width / wide, box.height / tall))


def _write(
    figure: Figure, layout: Layout, text: str, left: float, bottom: float, size: float = SMALL, **options: Any
) -> None:
    figure.text(left / layout.width, bottom / layout.height, text, fontsize=size, parse_math=False, **options)


def _draw_headings(figure: Figure, layout: Layout) -> None:
    for text, left, right, rule in layout.headings:
        size = SMALL * min(1.0, (right - left) / max(text_width(text), 1e-6))
        _write(figure, layout, text, (left + right) / 2, rule + 0.03, size, ha="center", va="bottom")
        ends = [left / layout.width, right / layout.width]
        figure.add_artist(Line2D(ends, [rule / layout.height] * 2, color="#616161", linewidth=0.5))


def _draw_bars(figure: Figure, layout: Layout, cells: Cells, ticks: float) -> None:
    """One colour bar beside each row, or one for all, with its meaning written along the right edge."""
    area = layout.grid
    left = area.left + area.width + _BAR_GAP
    if cells.scale == "row":
        for (row, _), box in layout.inputs.items():
            bar = _axes(figure, layout, Box(left, box.bottom, _BAR, box.height))
            colour_bar(figure, cells.cmap, cells.limits[row][0], "", cax=bar)
    else:
        tall = min(area.height, _LONGEST_BAR)
        bar = _axes(figure, layout, Box(left, area.bottom + (area.height - tall) / 2, _BAR, tall))
        colour_bar(figure, cells.cmap, cells.limits[0][0], "", cax=bar, named=cells.scale == "map")
    text = wrapped(cells.bar_label, max(area.height, 0.6))
    beside = left + _BAR + _TICK_ROOM + ticks
    middle = area.bottom + area.height / 2
    _write(figure, layout, text, beside, middle, rotation=90, ha="left", va="center", multialignment="center")
