"""How continuous explanations are while a digit crosses the picture: three methods, relevance in four quadrants.

    python examples/continuity_digits.py --out continuity_digits.png

Needs xaicore, xai-gradients, xai-deeptaylor and xai-evaluation. Takes about ten seconds on a CPU.

The digit moves to the right, a pixel at a time, and the network says the same all the way. Relevance should move with
the digit, from the left quadrants into the right ones, without jumps. The continuity in the picture is the largest
change of a heatmap by that of the input from one position to the next, by the sum of the heatmap's magnitudes (Montavon,
Samek and Mueller 2018, sec. 7.1); smaller is better.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import Analyzer
from xaicore.visualization import draw_heatmap, image_scale

SIDE, HEIGHT, WIDTH = 16, 20, 36
SHIFTS = WIDTH - SIDE
METHODS = {
    "sensitivity": ("gradients.sensitivity", {}),
    "simple Taylor": ("gradients.taylor", {}),
    "deep Taylor": ("deeptaylor.bounded", {"low": 0.0, "high": 1.0}),
}
QUADRANTS = {"upper left": (0, 0), "lower left": (1, 0), "upper right": (0, 1), "lower right": (1, 1)}
COLOURS = ("#1b6ca8", "#7fb7de", "#b8501f", "#f0a878")


def on_canvas(digits: Tensor, column: int) -> Tensor:
    """Put digits (B, 1, 16, 16) on an empty canvas (B, 1, 20, 36), their left border at this column."""
    top = (HEIGHT - SIDE) // 2
    return nn.functional.pad(digits, (column, WIDTH - SIDE - column, top, HEIGHT - SIDE - top))


def train(digits: Tensor, classes: Tensor, epochs: int = 7) -> nn.Module:
    """Return a network for digits anywhere on the canvas, in evaluation mode.

    No bias is positive, so that relevance has to come from the picture (Montavon et al. 2017, sec. 3.3).
    """
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 3 * 7, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(digits)).split(32):
            images = on_canvas(digits[batch], int(torch.randint(SHIFTS + 1, ())))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), classes[batch]).backward()
            optimizer.step()
            with torch.no_grad():
                for layer in model[::2]:
                    if isinstance(layer, nn.Conv2d | nn.Linear):
                        layer.bias.clamp_(max=0)
    return model.eval()


def in_quadrants(relevance: Tensor) -> dict[str, Tensor]:
    """The share of the relevance in each quadrant, (positions,) each."""
    maps = relevance.sum(1)
    shares = maps.unflatten(1, (2, HEIGHT // 2)).unflatten(3, (2, WIDTH // 2)).sum((2, 4)) / maps.abs().sum((1, 2))[
        :, None, None
    ]
    return {name: shares[:, row, column] for name, (row, column) in QUADRANTS.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("continuity_digits.png"), help="the picture to write")
    out = parser.parse_args().out

    torch.manual_seed(0)
    raw = load_digits()
    small = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    digits = nn.functional.interpolate(small, (SIDE, SIDE), mode="bilinear")
    classes = torch.tensor(raw.target)
    model = train(digits[:1400], classes[:1400])
    with torch.no_grad():
        right = torch.stack([model(on_canvas(digits[1400:], column)).argmax(1) == classes[1400:] for column in range(SHIFTS + 1)])
    print(f"trained on 1400 digits; {100 * right.float().mean():.1f} % of {right.shape[1]} others are right")
