"""What all pictures of tokens share: which words are shown, and on which colour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_hex

from xaicore.errors import InputError
from xaicore.visualization.named_lines import line_of
from xaicore.visualization.printable import printable
from xaicore.visualization.scales import (
    Array,
    colours,
    non_finite_note,
    number,
    percentile_note,
    symmetric_limit,
    symmetric_norm,
)
from xaicore.visualization.word_pieces import WordIds, merge_word_pieces


@dataclass(frozen=True)
class TokenLine:
    """Tokens, or words, that are safe to show, with their relevance and the scale of their colours."""

    words: list[str]
    values: Array
    limit: float
    note: str  # what else must be said: a scale that is cut off, values that are no numbers
    paint: Colormap

    def shade(self, value: float) -> tuple[str, str] | None:
        """The colours of the ground and of the letters for a value; None for what is no number."""
        if not np.isfinite(value):
            return None
        ground = to_hex(self.paint(symmetric_norm(self.limit)(value)))
        return ground, ink(ground)

    def ends(self) -> tuple[str, str]:
        """The numbers at the ends of the scale."""
        return number(-self.limit), number(self.limit)


def token_line(
    relevance: Any,
    words: Sequence[str],
    merge: str | WordIds | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
) -> TokenLine:
    """Leave out padding, put pieces together where asked to, and find the scale; see `tokens` for the parameters."""
    shown, values = words_and_values(relevance, words, merge)
    note = ", ".join(filter(None, (percentile_note(percentile), non_finite_note(values))))
    limit = symmetric_limit(values, scale, percentile)
    return TokenLine([printable(word) for word in shown], values, limit, note, colours(cmap))


def words_and_values(relevance: Any, words: Sequence[str], merge: str | WordIds | None) -> tuple[list[str], Array]:
    """The words that are shown, and their relevance."""
    texts, line = [str(word) for word in words], line_of(relevance, "relevance")
    part = _without_padding(len(texts), line)
    shown = line[part]
    if merge is None:
        return texts, shown
    if not isinstance(merge, str) and len(merge) == len(line):
        merge = merge[part]  # encodings number padding too
    return merge_word_pieces(texts, shown, merge)


def ink(ground: str) -> str:
    """Black or white, whichever contrasts more with a colour (relative luminance, WCAG 2.2)."""
    channels = np.array([int(ground[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    luminance = float(linear @ np.array([0.2126, 0.7152, 0.0722]))
    return "black" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "white"


def _without_padding(words: int, line: Array) -> slice:
    """Which part of a line of relevance so many words stand for."""
    missing = len(line) - words
    if missing > 0 and words:
        if not line[words:].any():
            return slice(words)
        if not line[:missing].any():
            return slice(missing, None)
    if missing:
        raise InputError(
            f"{words} tokens for relevance of {len(line)}: give one word a value; those of padding may be left "
            "out where its relevance is zero."
        )
    return slice(None)
