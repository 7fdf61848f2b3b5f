"""Where the parts of a grid go, in inches, so that no text ever meets another or a picture.

Text is measured before anything is placed. The figure grows to what it has to hold, or, where its size is given,
the cells shrink.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xaicore.errors import ParameterError
from xaicore.visualization.texts import LINE, Fitted, fitted, text_lines, text_width, wrapped

EDGE = 0.06
GAP = 0.05
WIDE_GAP = 0.14  # between groups of columns, and behind the inputs
BLOCK_GAP = 0.16
_HEAD_GAP = 0.08
_SMALLEST_CELL, _SMALL_CELL, _LARGE_CELL = 0.2, 0.62, 1.5  # the least at all, and the range without a given size
_PAGE = 7.1  # width of two text columns on a journal's page
_MOST_COLUMNS = 12


@dataclass(frozen=True)
class Box:
    """A rectangle in inches, from the lower left corner of the figure."""

    left: float
    bottom: float
    width: float
    height: float

    @property
    def top(self) -> float:
        """Upper edge."""
        return self.bottom + self.height

    def raised(self, by: float) -> Box:
        """Return the box, higher."""
        return replace(self, bottom=self.bottom + by)


@dataclass(frozen=True)
class Needs:
    """What a grid has to hold."""

    groups: Sequence[str]  # one a column
    titles: Sequence[str]  # one a column
    captions: Sequence[Sequence[str]]  # rows x columns
    heads: Sequence[str]  # one a row
    with_inputs: bool
    aspect: float  # height of a cell by its width
    bar_width: float  # colour bar with ticks and label
    title_lines: int
    footer_lines: int


@dataclass(frozen=True)
class Heading:
    """A common heading over columns, above a rule as wide as they are."""

    text: str
    left: float
    right: float
    rule: float = 0.0


@dataclass(frozen=True)
class Layout:
    """Where everything goes."""

    width: float
    height: float
    cells: dict[tuple[int, int], Box]  # by row and column
    inputs: dict[tuple[int, int], Box]  # by row and block
    titles: Fitted  # one a column
    captions: Fitted  # one a cell, row by row
    headings: list[Heading]
    grid: Box  # around all cells


def blocks_of(columns: int, wrap: int | str | None) -> list[range]:
    """Split the columns into blocks that stand below each other, as even as they can be."""
    most = _MOST_COLUMNS if wrap == "auto" else columns if wrap is None else wrap
    if not isinstance(most, int) or most < 1:
        raise ParameterError(f"wrap={wrap!r}: the most columns side by side, 'auto', or None.")
    per_block = math.ceil(columns / math.ceil(columns / most))
    return [range(start, min(start + per_block, columns)) for start in range(0, columns, per_block)]


def arrange(needs: Needs, blocks: list[range], figsize: tuple[float, float] | None) -> Layout:
    """Place everything; raise ParameterError where `figsize` leaves no room for the cells."""
    fixed = [_Line(needs, block, cell=0.0).end + needs.bar_width + EDGE for block in blocks]
    counts = [len(block) + needs.with_inputs for block in blocks]
    page = figsize[0] if figsize else _PAGE
    cell = min((page - width) / count for width, count in zip(fixed, counts, strict=True))
    if figsize is None:
        return _placed(needs, blocks, min(max(cell, _SMALL_CELL), _LARGE_CELL))
    while cell >= _SMALLEST_CELL:  # narrower cells break titles into more lines: shrink until the height fits
        layout = _placed(needs, blocks, cell)
        if layout.height <= figsize[1] + 1e-6:
            return _placed(needs, blocks, cell, figsize[0], spare=figsize[1] - layout.height)
        cell *= 0.95
    raise ParameterError(
        f"figsize={figsize}: no room for {sum(map(len, blocks))} columns x {len(needs.heads)} rows in that many "
        "inches. Give a larger one, leave it out, or show fewer methods at once."
    )


class _Line:
    """The columns of one block from left to right, and their headings."""

    def __init__(self, needs: Needs, block: range, cell: float) -> None:
        self.inputs = left = EDGE + max(text_width(text) for text in needs.heads) + _HEAD_GAP
        if needs.with_inputs:
            left += cell + WIDE_GAP
        self.edges: list[float] = []
        self.headings: list[Heading] = []
        for column in block:
            group = needs.groups[column]
            new = column == block[0] or group != needs.groups[column - 1]
            if column > block[0]:
                left += cell + (WIDE_GAP if new else GAP)
            self.edges.append(left)
            if group:
                start = left if new else self.headings.pop().left
                self.headings.append(Heading(group, start, left + cell))
        self.end = left + cell

    def wrapped_headings(self) -> list[Heading]:
        return [replace(each, text=wrapped(each.text, each.right - each.left)) for each in self.headings]


def _placed(needs: Needs, blocks: list[range], cell: float, width: float | None = None, spare: float = 0.0) -> Layout:
    """Place everything around cells this wide; half of the `spare` height goes above and half below."""
    lines = [_Line(needs, block, cell) for block in blocks]
    titles = fitted(needs.titles, cell + GAP / 2)
    captions = fitted([caption for row in needs.captions for caption in row], cell + GAP / 2)
    caption_lines = max(text_lines(caption) for caption in captions.texts)
    tall = cell * needs.aspect
    half = max(tall, max(text_lines(text) for text in needs.heads) * LINE) / 2
    pitch = 2 * half + (caption_lines * LINE + 0.06 if caption_lines else 0) + GAP

    cells: dict[tuple[int, int], Box] = {}
    inputs: dict[tuple[int, int], Box] = {}
    headings: list[Heading] = []
    down = EDGE + spare / 2 + (needs.title_lines * 1.2 * LINE + 0.08 if needs.title_lines else 0)  # from the top edge
    for number, (block, line) in enumerate(zip(blocks, lines, strict=True)):
        over = line.wrapped_headings()
        down += max((text_lines(heading.text) * LINE + 0.04 for heading in over), default=0.0)
        headings += [replace(heading, rule=-down) for heading in over]
        down += max(text_lines(titles.texts[column]) for column in block) * LINE + 0.07
        for row in range(len(needs.heads)):
            bottom = -down - half - tall / 2
            inputs[row, number] = Box(line.inputs, bottom, cell, tall)
            cells |= {(row, c): Box(edge, bottom, cell, tall) for c, edge in zip(block, line.edges, strict=True)}
            down += pitch
        down += BLOCK_GAP
    height = down - BLOCK_GAP - GAP + EDGE + spare / 2
    height += needs.footer_lines * LINE + 0.08 if needs.footer_lines else 0

    end = max(line.end for line in lines)
    lowest, highest = min(box.bottom for box in cells.values()), max(box.top for box in cells.values())
    left = lines[0].inputs
    return Layout(
        width or end + needs.bar_width + EDGE,
        height,
        {place: box.raised(height) for place, box in cells.items()},
        {place: box.raised(height) for place, box in inputs.items()},
        titles,
        captions,
        [replace(heading, rule=heading.rule + height) for heading in headings],
        Box(left, lowest + height, end - left, highest - lowest),
    )
