"""The figure: pictures, what was relevant in them, and questions with coloured words, for right and wrong answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import conv2d

from xaicore.visualization import heatmap, overlay, show_image, tokens

WIDTH, ROW, SIDE, GAP = 7.5, 1.14, 1.06, 0.08
"""In inches: the figure, a row of it, a picture, and between pictures."""
QUESTION = 3 * (SIDE + GAP) + 0.2
"""Where the questions begin."""
RIGHT, WRONG, FAINT = "#1b6e2c", "#a11a1a", "#555555"


@dataclass
class Example:
    """A question about a picture (3, side, side), the relevance of pixels (side, side) and words, and both answers."""

    picture: Tensor
    words: Sequence[str]
    pixels: Tensor
    word_relevance: Tensor
    said: str
    true: str


def blurred(values: Tensor, sigma: float = 1.5) -> Tensor:
    """Return a map (H, W) under a Gaussian blur, in pixels: the single pixels of a map say little."""
    reach = int(4 * sigma)
    kernel = torch.exp(-(torch.arange(-reach, reach + 1.0) ** 2) / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    rows = conv2d(values.float()[None, None], kernel[None, None, :, None], padding=(reach, 0))
    return conv2d(rows, kernel[None, None, None, :], padding=(0, reach))[0, 0]


def draw_figure(right: Sequence[Example], wrong: Sequence[Example]) -> Figure:
    """Return a figure with a row for each example: those with right answers above those with wrong ones."""
    parts = [(name, part) for name, part in (("Right answers", right), ("Wrong answers", wrong)) if part]
    height = sum(0.5 + ROW * len(part) for _, part in parts)
    figure = Figure(figsize=(WIDTH, height))
    top = height
    for name, part in parts:
        figure.text(QUESTION / WIDTH, (top - 0.35) / height, name, fontsize=10, weight="bold")
        if top == height:
            for column, title in enumerate(("picture", "relevance", "blurred, on picture")):
                centre = (GAP + column * (SIDE + GAP) + SIDE / 2) / WIDTH
                figure.text(centre, (top - 0.35) / height, title, fontsize=7, ha="center", color=FAINT)
        top -= 0.45
        for example in part:
            _row(figure, example, top, height)
            top -= ROW
    return figure


def _row(figure: Figure, example: Example, top: float, height: float) -> None:
    def axes(left: float, down: float, width: float, tall: float) -> Axes:
        return figure.add_axes((left / WIDTH, (top - down - tall) / height, width / WIDTH, tall / height))

    pictures = [axes(GAP + column * (SIDE + GAP), 0, SIDE, SIDE) for column in range(3)]
    show_image(example.picture, pictures[0])
    largest = float(example.pixels.abs().flatten().quantile(0.995))  # a few pixels would leave all others white
    heatmap(example.pixels, pictures[1], scale=largest or None)
    overlay(example.picture, blurred(example.pixels), pictures[2])
    tokens(example.word_relevance, example.words, axes(QUESTION - 0.04, 0.16, WIDTH - QUESTION, 0.5))
    hit = example.said == example.true
    answer = f"answer: {example.said}" + ("" if hit else f"   (right: {example.true})")
    figure.text(QUESTION / WIDTH, (top - 0.68) / height, answer, fontsize=8.5, color=RIGHT if hit else WRONG)
