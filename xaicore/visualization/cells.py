"""The parts of a grid, each drawn on axes that somebody has placed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from xaicore.errors import InputError
from xaicore.plugins import RendererSpec
from xaicore.visualization.pictures import Channels, displayable, draw_image
from xaicore.visualization.renderers import call, measured
from xaicore.visualization.scales import Array, colours, number, percentile_note, single, symmetric_limit
from xaicore.visualization.sheets import Sheet

_TALLEST, _FLATTEST = 3.0, 0.25  # height of a cell by its width
_STRETCHED = 4.0  # maps that are this much taller or flatter than their cell fill it


@dataclass(frozen=True)
class Cells:
    """The pictures of a grid, ready to be drawn."""

    sheet: Sheet
    form: RendererSpec
    options: Mapping[str, Any]  # of the form
    pictures: list[Array] | None
    limits: list[list[float]]  # of each cell's colour scale
    scale: str  # what shares one: "map", "row" or "figure"
    percentile: float | None
    cmap: Colormap
    mean: Channels
    std: Channels

    @property
    def aspect(self) -> float:
        """Height of a cell by its width, that of the first picture."""
        first = self.pictures[0].shape if self.pictures else single(self.sheet.relevance[0][0]).shape[-2:]
        return float(min(max(first[0] / first[1], _FLATTEST), _TALLEST))

    @property
    def has_bar(self) -> bool:
        """Whether colours stand for numbers."""
        return bool(self.form.scale)

    @property
    def signed(self) -> bool:
        """Whether the colour scale has two sides."""
        return self.form.scale != "magnitude"

    @property
    def bar_label(self) -> str:
        """What the colour bar says."""
        quantity = "relevance R" if self.signed else "magnitude of relevance |R|"
        cut = percentile_note(self.percentile)
        if self.scale != "map":
            return f"{quantity} ({cut})" if cut else quantity
        ending = f"max = percentile {self.percentile:g} of |R|" if cut else "max = largest |R|"
        return f"{quantity}, each map on its own scale: {ending}"

    def bar_ends(self, row: int) -> list[str]:
        """The texts at the ticks of a row's colour bar."""
        limit = self.limits[row][0]
        return ["\N{MINUS SIGN}max", "max"] if self.scale == "map" else [number(-limit), number(limit)]

    def draw_input(self, ax: Axes, row: int) -> None:
        """Draw the image of a row; nothing where there is none, or it is that of the row above."""
        if self.pictures is None or self.sheet.repeated[row]:
            ax.set_frame_on(False)
            ax.set(xticks=[], yticks=[])
        else:
            draw_image(ax, self.pictures[row])

    def draw_cell(self, ax: Axes, row: int, column: int) -> str:
        """Draw one map and return what stands below it: its caption, and what its form has to say."""
        relevance = self.sheet.relevance[row][column]
        shared: dict[str, Any] = {"mean": self.mean, "std": self.std, "cmap": self.cmap}
        if self.has_bar:
            shared["scale"] = self.limits[row][column]
        image = None if self.sheet.images is None else self.sheet.images[row]
        call(self.form, relevance, ax, image, self.options, shared)
        height, width = single(relevance).shape[-2:]
        if not 1 / _STRETCHED < height / width / self.aspect < _STRETCHED:
            ax.set_aspect("auto")  # the units of a layer without positions, a row of tokens
        said = ax.get_xlabel()
        ax.set_xlabel("")
        return "\n".join(filter(None, (self.sheet.captions[row][column], said)))


def make_cells(
    sheet: Sheet,
    form: RendererSpec,
    options: Mapping[str, Any],
    scale: str,
    percentile: float | None,
    cmap: str | Colormap | None,
    mean: Channels,
    std: Channels,
) -> Cells:
    """Turn images into pictures, and find the limits of the colour scales."""
    if form.needs_input and sheet.images is None:
        raise InputError(f"{form.name} needs the images: pass them as inputs.")
    pictures = None if sheet.images is None else [displayable(image, mean, std) for image in sheet.images]
    values = [[measured(form, relevance, options) for relevance in row] for row in sheet.relevance]
    limits = _limits(values, scale, percentile)
    paint = colours(form.colours or cmap)
    return Cells(sheet, form, options, pictures, limits, scale, percentile, paint, mean, std)


def _limits(values: list[list[Array]], scale: str, percentile: float | None) -> list[list[float]]:
    if scale == "map":
        return [[symmetric_limit(cell, None, percentile) for cell in row] for row in values]
    rows = [np.concatenate([cell.ravel() for cell in row]) for row in values]
    if scale == "figure":
        rows = [np.concatenate(rows)] * len(rows)
    return [[symmetric_limit(row, None, percentile)] * len(values[0]) for row in rows]
