"""A grid of inputs x methods, as in the figure of a paper."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.visualization.canvas import SMALL, colour_bar, note, row_title, title
from xaicore.visualization.cells import Cells, make_cells
from xaicore.visualization.layouts import EDGE, Box, Layout, Needs, arrange, blocks_of
from xaicore.visualization.pictures import Channels
from xaicore.visualization.renderers import for_images
from xaicore.visualization.sheets import Columns, make_sheet
from xaicore.visualization.texts import LINE, text_lines, text_width, wrapped

_BAR = 0.08  # inches
_BAR_GAP = 0.12
_TICK_ROOM = 0.11
_LONGEST_BAR = 2.4
_LONGEST_HEAD = 1.7
_titled = title


def grid(
    inputs: Any,
    explanations: Columns,
    *,
    form: str = "heatmap",
    pool: str | None = None,
    options: Mapping[str, Any] | None = None,
    labels: Sequence[str] | None = None,
    true: Sequence[Any] | Tensor | None = None,
    rows: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
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
    form : str
        The renderer that draws each map: "heatmap", "graymap", "overlay", "gated", "segments", "pattern", "blend",
        "contours", "projection", or any that `xaicore.renderers()` lists for images.
    pool : {"sum", "norm", "abs", "max", "max_abs", "mean"}, optional
        How channels become one value; by default as the form does: most sum them.
    options : dict, optional
        Other options of the form, such as ``{"keep": 0.3}``.
    labels : sequence of str, optional
        Names of the classes.
    true : sequence of int or str, optional
        The true class of each sample.
    rows : sequence of str, optional
        A name for each row, above what else is said of it.
    captions : rows x columns of str, optional
        What stands below each map.
    mean, std : float or one a channel, optional
        What the images were normalised with.
    scale : {"map", "row", "figure"}
        What shares one colour scale. Numbers on the colour bar compare only within it.
    percentile : float, optional
        Cut each scale at this percentile of the magnitudes; said at the colour bar. Forms without a scale (segments,
        pattern) have nothing to cut.
    score : {"output", "softmax", None}
        The number behind the predicted class: the model's output, its softmax in percent, or none.
    overlaid : bool
        Draw relevance on top of the image in grey: the same as ``form="overlay"``.
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
    if overlaid and form not in ("heatmap", "overlay"):
        raise ParameterError(f"overlaid=True is the form 'overlay', and form={form!r} was asked for: give one of them.")
    renderer = for_images("core.overlay" if overlaid else form)
    sheet = make_sheet(inputs, explanations, labels, true, score, name, rows, captions)
    chosen = {**(options or {}), **({} if pool is None else {"pool": pool})}
    cells = make_cells(sheet, renderer, chosen, scale, percentile, cmap, mean, std)
    if axes is not None:
        return _on_given_axes(cells, axes)
    return _on_own_figure(cells, blocks_of(len(sheet.columns), wrap), title, footer, figsize)


def _on_given_axes(cells: Cells, axes: Any) -> Figure:
    sheet, ahead = cells.sheet, int(cells.pictures is not None)
    table = np.asarray(axes, dtype=object)
    expected = (len(sheet.heads), len(sheet.columns) + ahead)
    if table.shape != expected:
        raise InputError(f"axes of shape {table.shape}: this grid needs {expected}, rows x columns.")
    for row in range(expected[0]):
        if ahead:
            cells.draw_input(table[row, 0], row)
        for column, content in enumerate(sheet.columns):
            ax = table[row, column + ahead]
            note(ax, cells.draw_cell(ax, row, column))
            if row == 0:
                _titled(ax, "\n".join(filter(None, (content.group, content.title))))
        row_title(table[row, 0], sheet.heads[row])
    figure: Figure = table[0, 0].figure
    lines = [list(line) for line in table] if cells.scale == "row" else [list(table.flat)]
    for row, line in enumerate(lines if cells.has_bar else []):
        named, limit = cells.scale == "map", cells.limits[row][0]
        colour_bar(figure, cells.cmap, limit, cells.bar_label, ax=line, named=named, signed=cells.signed)
    return figure


def _on_own_figure(
    cells: Cells, blocks: list[range], title: str | None, footer: str | None, figsize: tuple[float, float] | None
) -> Figure:
    sheet = cells.sheet
    rows, columns = len(sheet.heads), len(sheet.columns)
    figure = Figure(dpi=150)
    # What forms write below their pictures is known once they are drawn; then everything finds its place.
    drawn = {(row, column): figure.add_axes((0, 0, 1, 1)) for row in range(rows) for column in range(columns)}
    captions = [[cells.draw_cell(drawn[row, column], row, column) for column in range(columns)] for row in range(rows)]
    ticks = max(text_width(end) for row in range(rows) for end in cells.bar_ends(row))
    beside = _BAR_GAP + _BAR + _TICK_ROOM + ticks  # from the maps to the label of the colour bar
    needs = Needs(
        groups=[column.group for column in sheet.columns],
        titles=[column.title for column in sheet.columns],
        captions=captions,
        heads=[wrapped(head, _LONGEST_HEAD) for head in sheet.heads],
        with_inputs=cells.pictures is not None,
        aspect=cells.aspect,
        bar_width=beside + LINE if cells.has_bar else 0.0,
        title_lines=text_lines(title or ""),
        footer_lines=text_lines(footer or ""),
    )
    for _ in range(2):  # how many lines these take depends on the size of the figure, and the other way round
        layout = arrange(needs, blocks, figsize)
        label = wrapped(cells.bar_label, max(layout.grid.height, 0.6)) if cells.has_bar else ""
        above = wrapped(title or "", (layout.width - 2 * EDGE) / 1.2)
        below = wrapped(footer or "", layout.width - 2 * EDGE)
        wide = beside + text_lines(label) * LINE if cells.has_bar else 0.0
        needs = replace(needs, bar_width=wide, title_lines=text_lines(above), footer_lines=text_lines(below))
    layout = arrange(needs, blocks, figsize)

    figure.set_size_inches(layout.width, layout.height)
    for (row, column), box in layout.cells.items():
        ax = drawn[row, column]
        ax.set_position(_place(layout, box))
        note(ax, layout.captions.texts[row * columns + column], layout.captions.size)
        if row == 0:
            _titled(ax, layout.titles.texts[column], fontsize=layout.titles.size)
    for (row, _), box in layout.inputs.items():
        ax = figure.add_axes(_place(layout, box))
        cells.draw_input(ax, row)
        row_title(ax, needs.heads[row])
    _draw_headings(figure, layout)
    _draw_bars(figure, layout, cells)
    middle = layout.grid.bottom + layout.grid.height / 2
    left = layout.grid.left + layout.grid.width + beside
    _write(figure, layout, label, left, middle, rotation=90, ha="left", va="center", multialignment="center")
    _write(figure, layout, above, EDGE, layout.height - EDGE, va="top", size=1.2 * SMALL)
    _write(figure, layout, below, EDGE, EDGE, va="bottom", color="#616161")
    return figure


def _place(layout: Layout, box: Box) -> tuple[float, float, float, float]:
    wide, tall = layout.width, layout.height
    return box.left / wide, box.bottom / tall, box.width / wide, box.height / tall


def _write(
    figure: Figure, layout: Layout, text: str, left: float, bottom: float, size: float = SMALL, **options: Any
) -> None:
    if text:
        figure.text(left / layout.width, bottom / layout.height, text, fontsize=size, parse_math=False, **options)


def _draw_headings(figure: Figure, layout: Layout) -> None:
    for heading in layout.headings:
        middle = (heading.left + heading.right) / 2
        _write(figure, layout, heading.text, middle, heading.rule + 0.03, ha="center", va="bottom")
        ends = [heading.left / layout.width, heading.right / layout.width]
        figure.add_artist(Line2D(ends, [heading.rule / layout.height] * 2, color="#616161", linewidth=0.5))


def _draw_bars(figure: Figure, layout: Layout, cells: Cells) -> None:
    """One colour bar beside each row, or one for all."""
    area = layout.grid
    left = area.left + area.width + _BAR_GAP
    tall = min(area.height, _LONGEST_BAR)
    boxes = [(0, Box(left, area.bottom + (area.height - tall) / 2, _BAR, tall))]
    if cells.scale == "row":
        boxes = [(row, Box(left, box.bottom, _BAR, box.height)) for (row, _), box in layout.inputs.items()]
    for row, box in boxes if cells.has_bar else []:
        bar, named = figure.add_axes(_place(layout, box)), cells.scale == "map"
        colour_bar(figure, cells.cmap, cells.limits[row][0], "", cax=bar, named=named, signed=cells.signed)
