"""Tokens on the colour of their relevance, for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.colors import Colormap, to_rgb

from xaicore.errors import ParameterError, nearest
from xaicore.visualization.printable import columns_of, printable
from xaicore.visualization.scales import signed
from xaicore.visualization.token_lines import TokenLine, ink, token_line
from xaicore.visualization.word_pieces import WordIds

ANSI = ("true", "256", "none")
_END = "\x1b[0m"
_KEY = 12  # columns of the scale


def tokens_terminal(
    relevance: Any,
    words: Sequence[str],
    *,
    merge: str | WordIds | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    title: str | None = None,
    ansi: str = "true",
    width: int | None = None,
) -> str:
    """Return a text with each token on the colour of its relevance, as lines for a terminal.

    Parameters
    ----------
    relevance, words, merge, cmap, scale, percentile
        As in `tokens`. Control characters are written out, so that no token can drive the terminal.
    title : str, optional
        Stands above the text.
    ansi : {"true", "256", "none"}
        What the terminal can show: 24-bit colour, 256 colours (ISO 8613-6 sequences), or none; then the numbers stand
        behind the words. `ansi_of` finds out.
    width : int, optional
        Break lines behind this many columns.

    Returns
    -------
    str
        Lines without a newline at the end; the last has the scale. Of NaN and infinity the word stands without a
        colour.
    """
    if ansi not in ANSI:
        raise ParameterError(f"ansi={ansi!r}: one of {ANSI}.{nearest(str(ansi), ANSI)}")
    if width is not None and width < 1:
        raise ParameterError(f"width={width}: a line has at least one column.")
    line = token_line(relevance, words, merge, cmap, scale, percentile)
    chips = [_chip(word, value, line.shade(value), ansi) for word, value in zip(line.words, line.values, strict=True)]
    lines = [printable(title)] if title else []
    return "\n".join([*lines, *_broken(chips, width), _key(line, ansi)])


def ansi_of(stream: Any, environment: Mapping[str, str]) -> str:
    """Tell what colours a stream shows: "none" for a file, a pipe, TERM=dumb, and where NO_COLOR is set."""
    terminal = environment.get("TERM", "")
    if environment.get("NO_COLOR") or terminal == "dumb" or not stream.isatty():
        return "none"
    return "true" if environment.get("COLORTERM") in ("truecolor", "24bit") or "direct" in terminal else "256"


def _chip(word: str, value: float, shade: tuple[str, str] | None, ansi: str) -> tuple[str, int]:
    """A word as it is written, and how many columns it takes."""
    if shade is None:
        text = f"{word}({value})"
    elif ansi == "none":
        text = f"{word}({signed(value)})"
    else:
        return f"{_colours(shade, ansi)} {word} {_END}", columns_of(word) + 2
    return text, columns_of(text)


def _broken(chips: Sequence[tuple[str, int]], width: int | None) -> list[str]:
    lines, taken = [""], 0
    for text, columns in chips:
        if taken and width is not None and taken + 1 + columns > width:
            lines, taken = [*lines, ""], 0
        lines[-1] += f" {text}" if taken else text
        taken += columns + (1 if taken else 0)
    return lines


def _key(line: TokenLine, ansi: str) -> str:
    low, high = line.ends()
    bar = "to"
    if ansi != "none":
        shades = map(line.shade, np.linspace(-line.limit, line.limit, _KEY).tolist())
        bar = "".join(f"{_colours(shade, ansi)} " for shade in shades if shade) + _END
    return f"relevance {low} {bar} {high}" + (f", {line.note}" if line.note else "")


def _colours(shade: tuple[str, str], ansi: str) -> str:
    ground, letters = shade
    if ansi == "true":
        return "\x1b[48;2;{};{};{};38;2;{};{};{}m".format(*_rgb(ground), *_rgb(letters))
    place, near = _nearest_of_256(_rgb(ground))
    black = ink("#{:02x}{:02x}{:02x}".format(*near)) == "black"
    return f"\x1b[48;5;{place};38;5;{16 if black else 231}m"


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * channel) for channel in to_rgb(colour))
    return red, green, blue


def _nearest_of_256(colour: tuple[int, int, int]) -> tuple[int, tuple[int, int, int]]:
    """The nearest colour of xterm's cube of 6 x 6 x 6 or its 24 greys: its number, and what it looks like."""
    levels = (0, 95, 135, 175, 215, 255)
    cube = [min(range(6), key=lambda level, own=own: abs(levels[level] - own)) for own in colour]  # type: ignore[misc]
    grey = min(max(round((sum(colour) / 3 - 8) / 10), 0), 23)
    candidates = {
        16 + 36 * cube[0] + 6 * cube[1] + cube[2]: (levels[cube[0]], levels[cube[1]], levels[cube[2]]),
        232 + grey: (8 + 10 * grey,) * 3,
    }
    return min(candidates.items(), key=lambda each: sum((a - b) ** 2 for a, b in zip(each[1], colour, strict=True)))
