"""Tokens on the colour of their relevance, on matplotlib's axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, DrawingArea, HPacker, TextArea
from matplotlib.patches import Rectangle

from xaicore.visualization.canvas import FRAME, SMALL, own_axes, title
from xaicore.visualization.printable import printable
from xaicore.visualization.scales import NO_NUMBER, colours
from xaicore.visualization.token_lines import TokenLine, token_line
from xaicore.visualization.word_pieces import WordIds

_titled = title
_LINE = 1.9 * SMALL
"""From one line of a text to the next, in points."""
_KEY, _PARTS = 60.0, 60
"""Length of the scale below a text, in points, and of how many colours it is made."""


def tokens(
    relevance: Any,
    words: Sequence[str],
    ax: Axes | None = None,
    *,
    merge: str | WordIds | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    percentile: float | None = None,
    colorbar: bool = False,
    title: str | None = None,
) -> Axes:
    """Write a text with each token on the colour of its relevance, lines broken to the width of the axes.

    Parameters
    ----------
    relevance : tensor or array, (T,)
        One sample's relevance of each token. NaN and infinity are hatched grey.
    words : sequence of str
        The T tokens; shown as they are, never read as mathematics. Control characters are written out, and of a token
        longer than a line the beginning is shown. There may be fewer where the rest is padding, which is left out: the
        last values, or else the first, that are all exactly zero.
    merge : {"auto", "wordpiece", "bpe", "sentencepiece"}, or word ids, optional
        Put pieces together to words; see `merge_word_pieces`.
    scale, percentile : float, optional
        Limit of the symmetric scale, or the percentile of the magnitudes that sets it; by default the largest
        magnitude.
    colorbar : bool
        Whether to draw the scale in a line below the text, with the number of values that are no numbers.
    """
    line = token_line(relevance, words, merge, cmap, scale, percentile)
    own = ax is None
    ax = own_axes(ax, (5.0, 1.0))
    figure: Any = ax.figure
    if own:
        figure.set_layout_engine("none")
        ax.set_position((0.02, 0.05, 0.96, 0.75))
    lines, step = _write(ax, line, colorbar), _LINE * figure.dpi / 72
    if own:  # as tall as the text turned out to be
        figure.set_figheight((lines + (2.2 if title else 1)) * step / figure.dpi)
        ax.set_position((0.02, 0.02, 0.96, (lines + 0.7) * step / figure.dpi / figure.get_figheight()))
        ax.set_ylim((lines + 0.7) * step, 0)
    _titled(ax, title)
    return ax


def height_of_words(words: Sequence[str], width: float) -> float:
    """How tall axes of this width must be for `tokens` with its scale; in inches."""
    ax = Figure(figsize=(width, 1.0), dpi=150).add_axes((0, 0, 1, 1))
    line = TokenLine([printable(word) for word in words], np.zeros(len(words)), 1.0, "", colours(None))
    return (_write(ax, line, key=True) + 0.7) * _LINE / 72


def _write(ax: Axes, line: TokenLine, key: bool) -> int:
    """Write from the top left of the axes, whose unit is the pixel then; return how many lines it takes."""
    figure: Any = ax.figure
    renderer = FigureCanvasAgg(figure.canvas.figure).get_renderer()  # type: ignore[no-untyped-call]
    box = ax.get_window_extent(renderer)
    ax.set(xlim=(0, box.width), ylim=(box.height, 0))
    ax.set_axis_off()
    pixel = figure.dpi / 72
    gap, step = 3 * pixel, _LINE * pixel
    left, number = gap, 1
    for word, value in zip(line.words, line.values, strict=True):
        ground, letters = line.shade(value) or (NO_NUMBER, "black")
        text = ax.text(left, number * step, word, fontsize=SMALL, color=letters, parse_math=False)
        hatch = None if np.isfinite(value) else "//////"
        text.set_bbox({"facecolor": ground, "pad": 1.5, "hatch": hatch, **FRAME})
        width = text.get_window_extent(renderer).width
        while width > box.width - 2 * gap and len(word) > 1:  # longer than a line
            word = word[: int(len(word) * (box.width - 2 * gap) / width) - 1]
            text.set_text(f"{word}…")
            width = text.get_window_extent(renderer).width
        if left + width > box.width - gap and left > gap:
            left, number = gap, number + 1
            text.set_position((left, number * step))
        left += width + 2 * gap
    if not key:
        return number
    ax.add_artist(AnnotationBbox(_key(line), (gap, (number + 1) * step), frameon=False, pad=0, box_alignment=(0, 0)))
    return number + 1


def _key(line: TokenLine) -> HPacker:
    """The scale: its ends beside its colours, and what else must be said."""
    small = {"fontsize": SMALL - 1, "color": "#616161", "parse_math": False}
    low, high = line.ends()
    strip = DrawingArea(_KEY, 0.7 * SMALL)
    for part in range(_PARTS):
        colour = line.paint((part + 0.5) / _PARTS)
        size = _KEY / _PARTS, 0.7 * SMALL
        strip.add_artist(Rectangle((part * size[0], 0), *size, facecolor=colour, edgecolor=colour, linewidth=0.2))
    ending = f"{high}   {line.note}".rstrip()
    return HPacker(children=[TextArea(low, textprops=small), strip, TextArea(ending, textprops=small)], pad=0, sep=3)
