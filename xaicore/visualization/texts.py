"""Text measured before it is placed: widths in inches, and lines broken to fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from xaicore.visualization.canvas import SMALL

LINE = 1.22 * SMALL / 72  # height of a line of small type
_DPI = 288
_SMALLEST = 5.0
_PIECES = re.compile(r"[^\s._-]*[\s._-]|[^\s._-]+")  # up to and with the place where a line may break
_HINTING = 1.04  # type is wider at low resolution, where its strokes are moved to whole pixels


@dataclass(frozen=True)
class Fitted:
    """Texts broken into lines, and the one size of type that makes all of them fit."""

    texts: list[str]
    size: float


@lru_cache(maxsize=8192)
def text_width(text: str, size: float = SMALL) -> float:
    """Return the width in inches of the longest line of `text`."""
    renderer: Any = RendererAgg(1, 1, _DPI)  # type: ignore[no-untyped-call]
    font = FontProperties(size=size)
    widths = [renderer.get_text_width_height_descent(line, font, False)[0] for line in text.split("\n")]
    return float(max(widths)) / _DPI * _HINTING


def text_lines(text: str) -> int:
    """Return the number of lines; none for no text."""
    return text.count("\n") + 1 if text else 0


def wrapped(text: str, width: float, size: float = SMALL) -> str:
    """Break `text` behind spaces, dots, underscores and hyphens so that no line is wider; inside a word if need be."""
    lines = []
    for paragraph in text.split("\n"):
        line = ""
        for piece in _PIECES.findall(paragraph):
            if line and text_width((line + piece).rstrip(), size) > width:
                lines.append(line.rstrip())
                line = ""
            while len(piece) > 1 and text_width(piece.rstrip(), size) > width:
                fits = max((n for n in range(1, len(piece)) if text_width(piece[:n], size) <= width), default=1)
                lines.append(piece[:fits])
                piece = piece[fits:]
            line += piece
        lines.append(line.rstrip())
    return "\n".join(lines)


def fitted(texts: Sequence[str], width: float) -> Fitted:
    """Break texts to a width, in type small enough (down to 5 points) that no word needs breaking."""
    pieces = {piece.rstrip() for text in texts for piece in _PIECES.findall(text)}
    size = SMALL
    while size > _SMALLEST and any(text_width(piece, size) > width for piece in pieces):
        size -= 0.25
    return Fitted([wrapped(text, width, size) for text in texts], size)
