"""Where the parts of a grid go, in inches, so that no text ever meets another or a picture.

Text is measured before anything is placed; the figure grows to what it has to hold, or, where its size is given,
the cells shrink.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from xaicore.errors import ParameterError
from xaicore.visualization.canvas import SMALL

LINE = 1.22 * SMALL / 72  # height of a line of small type
EDGE = 0.06
GAP = 0.05
WIDE_GAP = 0.14  # between groups of columns, and behind the inputs
SMALLEST_CELL = 0.2
_PAGE = 7.1  # width of two text columns on a journal's page
_MOST_COLUMNS = 12
_DPI = 288


@dataclass(frozen=True)
class Box:
    """A rectangle in inches, from the lower left corner of the figure."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def top(self) -> float:
        return self.bottom + self.height


@dataclass(frozen=True)
class Needs:
    """What a grid has to hold."""

    groups: Sequence[str]  # one a column
    titles: Sequence[str]  # one a column
    heads: Sequence[str]  # one a row
    with_inputs: bool
    aspect: float  # height of a cell by its width
    captions: Sequence[Sequence[str]]  # rows x columns
    bar_width: float  # colour bar with ticks and label
    title_lines: int = 0
    footer_lines: int = 0


@dataclass(frozen=True)
class Layout:
    """Where everything goes."""

    width: float
    height: float
    cell: float
    cells: dict[tuple[int, int], Box]  # by row and column
    inputs: dict[tuple[int, int], Box]  # by row and block
    titles: list[str]  # broken into lines
    captions: list[list[str]]  # broken into lines
    headings: list[tuple[str, float, float, float]]  # group, left, right, height of its rule
    blocks: list[range]  # the columns of each block
    grid: Box  # around all cells


@lru_cache(maxsize=4096)
def text_width(text: str, size: float = SMALL) -> float:
    """Return the width in inches of the longest line of `text`."""
    renderer: Any = RendererAgg(1, 1, _DPI)  # type: ignore[no-untyped-call]
    font = FontProperties(size=size)
    widths = (renderer.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n"))
    return float(max(widths)) / _DPI


def text_lines(text: str) -> int:
    """Return the number of lines; none for no text."""
    return text.count("\n") + 1 if text else 0


def wrapped(text: str, width: float) -> str:
    """Break `text` behind spaces, dots, underscores and hyphens so that no line is wider; inside a word if need be."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in re.findall(r"[^\s._-]*[\s._-]|[^\s._-]+", paragraph):
            if line and text_width((line + piece).rstrip()) > width:
                lines.append(line.rstrip())
                line = ""
            while text_width(piece.rstrip()) > width and len(piece) > 1:
                fits = max((n for n in range(1, len(piece)) if text_width(piece[:n]) <= width), default=1)
                lines.append(piece[:fits])
                piece = piece[fits:]
            line += piece
        lines.append(line.rstrip())
    return "\n".join(lines)


def blocks_of(columns: int, wrap: int | str | None) -> list[range]:
    """Split the columns into blocks that stand below each other, as even as they can be."""
    most = _MOST_COLUMNS if wrap == "auto" else columns if wrap is None else wrap
    if not isinstance(most, int) or most < 1:
        raise ParameterError(f"wrap={wrap!r}: the most columns side by side, 'auto', or None.")
    per_block = math.ceil(columns / math.ceil(columns / most))
    return [range(start, min(start + per_block, columns)) for start in range(0, columns, per_block)]


def arrange(needs: Needs, blocks: list[range], figsize: tuple[float, float] | None) -> Layout:
    """Place everything; raise ParameterError where `figsize` leaves no room for the cells."""
    head = max((text_width(text) for text in needs.heads), default=0) + 0.08
    widths = [_block_width(needs, block, head, 0.0) for block in blocks]
    counts = [len(block) + needs.with_inputs for block in blocks]
    page = figsize[0] if figsize else _PAGE
    cell = min((page - width) / count for width, count in zip(widths, counts, strict=True))
    if figsize is None:
        cell = min(max(cell, 0.62), 1.5)
        return _placed(needs, blocks, head, cell, None)
    for _ in range(40):  # narrower cells break titles into more lines: shrink until the height fits
        if cell < SMALLEST_CELL:
            break
        layout = _placed(needs, blocks, head, cell, figsize)
        if layout.height <= figsize[1] + 1e-6:
            return _placed(needs, blocks, head, cell, figsize, lift=figsize[1] - layout.height)
        cell *= 0.95
    raise ParameterError(
        f"figsize={figsize}: no room for {sum(map(len, blocks))} columns x {len(needs.heads)} rows in that many "
        "inches. Give a larger one, leave it out, or show fewer methods at once."
    )


def _offsets(needs: Needs, block: range, head: float, cell: float) -> tuple[float, list[float], float]:
    """Left edges of the inputs and of each column of a block, and where the last one ends."""
    inputs = left = EDGE + head
    if needs.with_inputs:
        left += cell + WIDE_GAP
    edges = []
    for column in block:
        if column > block[0]:
            left += cell + (GAP if needs.groups[column] == needs.groups[column - 1] else WIDE_GAP)
        edges.append(left)
    return inputs, edges, left + cell


def _block_width(needs: Needs, block: range, head: float, cell: float) -> float:
    return _offsets(needs, block, head, cell)[2] + needs.bar_width + EDGE


def _placed(
    needs: Needs,
    blocks: list[range],
    head: float,
    cell: float,
    figsize: tuple[float, float] | None,
    lift: float = 0.0,
) -> Layout:
    titles = [wrapped(title, cell + GAP * 0.5) for title in needs.titles]
    captions = [[wrapped(caption, cell + GAP * 0.5) for caption in row] for row in needs.captions]
    caption_lines = max(text_lines(caption) for row in captions for caption in row)
    tall = cell * needs.aspect
    head_height = max((text_lines(text) for text in needs.heads), default=0) * LINE
    pitch = max(tall, head_height) + caption_lines * LINE + (0.06 if caption_lines else 0) + GAP
    heading = LINE + 0.06 if any(needs.groups) else 0.0
    over_block = [heading + max(text_lines(titles[column]) for column in block) * LINE + 0.06 for block in blocks]
    above = EDGE + needs.title_lines * LINE * 1.2 + (0.06 if needs.title_lines else 0)
    below = EDGE + needs.footer_lines * LINE + (0.08 if needs.footer_lines else 0)
    height = above + sum(over_block) + len(blocks) * len(needs.heads) * pitch - GAP
    height += (len(blocks) - 1) * WIDE_GAP + below + lift

    cells: dict[tuple[int, int], Box] = {}
    inputs: dict[tuple[int, int], Box] = {}
    headings: list[tuple[str, float, float, float]] = []
    top = height - above - lift / 2
    right = 0.0
    for number, block in enumerate(blocks):
        input_left, edges, end = _offsets(needs, block, head, cell)
        right = max(right, end)
        headings += _headings(needs, block, edges, cell, top - LINE - 0.02)
        top -= over_block[number]
        for row in range(len(needs.heads)):
            bottom = top - max(tall, head_height) / 2 - tall / 2
            inputs[row, number] = Box(input_left, bottom, cell, tall)
            cells |= {(row, c): Box(edge, bottom, cell, tall) for c, edge in zip(block, edges, strict=True)}
            top -= pitch
        top -= WIDE_GAP
    lowest, highest = min(box.bottom for box in cells.values()), max(box.top for box in cells.values())
    width = figsize[0] if figsize else right + needs.bar_width + EDGE
    around = Box(EDGE + head, lowest, right - EDGE - head, highest - lowest)
    return Layout(width, height, cell, cells, inputs, titles, captions, headings, blocks, around)


def _headings(
    needs: Needs, block: range, edges: Sequence[float], cell: float, rule: float
) -> Iterable[tuple[str, float, float, float]]:
    """One heading over each run of columns of a group, with a rule as wide as the run."""
    start = 0
    for place in range(1, len(block) + 1):
        if place == len(block) or needs.groups[block[place]] != needs.groups[block[start]]:
            if needs.groups[block[start]]:
                yield needs.groups[block[start]], edges[start], edges[place - 1] + cell, rule
            start = place
