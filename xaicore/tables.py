"""Tables of plain text."""

from __future__ import annotations

from collections.abc import Sequence


def aligned(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return heads and rows as aligned columns, two spaces apart; the last column is as long as it needs to be."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in (heads, *rows))
    return "\n".join(line.rstrip() for line in lines)


def arrow(higher_is_better: bool) -> str:
    """The direction of a metric, as a sign behind its name."""
    return "\N{UPWARDS ARROW}" if higher_is_better else "\N{DOWNWARDS ARROW}"
