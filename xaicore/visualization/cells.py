"""The parts of a grid, each drawn on axes that somebody has placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap

from xaicore.visualization.canvas import SMALL, as_picture, note
from xaicore.visualization.images import (
    Channels,
    as_grey,
    displayable,
    draw_image,
    draw_map,
    draw_overlay,
)
from xaicore.visualization.scales import Array, non_finite_note, number, percentile_note, symmetric_limit
from xaicore.visualization.sheets import Sheet


@dataclass(frozen=True)
class Cells:
    """The pictures of a grid, ready to be drawn."""

    sheet: Sheet
    pictures: list[Array] | None
    limits: list[list[float]]  # of each cell's colour scale
    scale: str  # what shares one: "map", "row" or "figure"
    percentile: float | None
    cmap: Colormap
    overlaid: bool

    @property
    def aspect(self) -> float:
        """Height of a cell by its width, that of the first picture."""
        first = self.pictures[0] if self.pictures else self.sheet.maps[0][0]
        return float(min(max(first.shape[0] / first.shape[1], 0.25), 3.0))

    @property
    def bar_label(self) -> str:
        """What the colour bar says."""
        cut = percentile_note(self.percentile)
        if self.scale != "map":
            return f"relevance R ({cut})" if cut else "relevance R"
        ending = f"max = percentile {self.percentile:g} of |R|" if cut else "max = largest |R|"
        return f"relevance R, each map on its own scale: {ending}"

    def bar_ends(self, row: int) -> list[str]:
        """The texts at the ticks of a row's colour bar."""
        limit = self.limits[row][0]
        return ["\N{MINUS SIGN}max", "max"] if self.scale == "map" else [number(-limit), number(limit)]

    def captions(self) -> list[list[str]]:
        """What stands below each cell: the target where it needs saying, and the count of what is no number."""
        pairs = zip(self.sheet.captions, self.sheet.maps, strict=True)
        return [
            ["\n".join(filter(None, (text, non_finite_note(cell)))) for text, cell in zip(texts, cells, strict=True)]
            for texts, cells in pairs
        ]

    def draw_input(self, ax: Axes, row: int) -> None:
        """Draw the image of a row; nothing where there is none, or it is that of the row above."""
        if self.pictures is None or self.sheet.repeated[row]:
            ax.set_frame_on(False)
            ax.set(xticks=[], yticks=[])
        else:
            draw_image(ax, self.pictures[row])

    def draw_cell(self, ax: Axes, row: int, column: int, caption: str, size: float = SMALL) -> None:
        """Draw one map with what stands below it."""
        values, limit = self.sheet.maps[row][column], self.limits[row][column]
        if self.overlaid and self.pictures is not None:
            draw_overlay(ax, as_grey(self.pictures[row]), values, limit, self.cmap, alpha=0.9)
            as_picture(ax)
        else:
            draw_map(ax, values, limit, self.cmap)
        note(ax, caption, size)


def make_cells(
    sheet: Sheet,
    scale: str,
    percentile: float | None,
    cmap: Colormap,
    overlaid: bool,
    mean: Channels,
    std: Channels,
) -> Cells:
    """Turn images into pictures, and find the limits of the colour scales."""
    pictures = None if sheet.images is None else [displayable(image, mean, std) for image in sheet.images]
    return Cells(sheet, pictures, _limits(sheet.maps, scale, percentile), scale, percentile, cmap, overlaid)


def _limits(maps: list[list[Array]], scale: str, percentile: float | None) -> list[list[float]]:
    if scale == "map":
        return [[symmetric_limit(cell, None, percentile) for cell in row] for row in maps]
    rows = [np.concatenate([cell.ravel() for cell in row]) for row in maps]
    if scale == "figure":
        rows = [np.concatenate(rows)] * len(rows)
    return [[symmetric_limit(row, None, percentile)] * len(maps[0]) for row in rows]
