"""How continuous explanations are while a digit crosses the picture: three methods, relevance in four quadrants.

    python examples/continuity_digits.py --out continuity_digits.png

Needs xaicore, xai-gradients, xai-deeptaylor and xai-evaluation. Takes about ten seconds on a CPU.

The digit moves to the right, a pixel at a time, and the network says the same all the way. Relevance should go with it,
from the left quadrants into the right ones, without jumps. The continuity in the picture is the largest change of a
heatmap by that of the input from one position to the next, by the sum of the heatmap's magnitudes at the start
(Montavon, Samek and Mueller 2018, sec. 7.1): lower is better.
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
from xai_evaluation import Continuity
from xaicore.visualization import heatmap

SIDE, HEIGHT, WIDTH = 16, 20, 36
SHIFTS = WIDTH - SIDE
METHODS = {
    "sensitivity": ("gradients.sensitivity", {}),
    "simple Taylor": ("gradients.taylor", {}),
    "deep Taylor": ("deeptaylor.bounded", {"low": 0.0, "high": 1.0}),
}
QUADRANTS = ("upper left", "upper right", "lower left", "lower right")
COLOURS = ("#1b6ca8", "#b8501f", "#7fb7de", "#f0a878")
SHOWN = (0, 7, 13, 20)


def on_canvas(digits: Tensor, column: int) -> Tensor:
    """Put digits (B, 1, 16, 16) on an empty canvas (B, 1, 20, 36), their left border at this column."""
    above = (HEIGHT - SIDE) // 2
    return nn.functional.pad(digits, (column, SHIFTS - column, above, above))


def train(digits: Tensor, classes: Tensor, epochs: int = 12) -> nn.Module:
    """Return a network for digits anywhere on the canvas, in evaluation mode.

    No bias is positive, so that relevance comes from the picture alone (Montavon et al. 2017).
    """
    model = nn.Sequential(
        nn.Conv2d(1, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 3 * 7, 100),
        nn.ReLU(),
        nn.Linear(100, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(digits)).split(32):
            images = on_canvas(digits[batch], int(torch.randint(SHIFTS + 1, ())))
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images), classes[batch]).backward()
            optimizer.step()
            with torch.no_grad():
                for layer in model:
                    if isinstance(layer, nn.Conv2d | nn.Linear):
                        layer.bias.clamp_(max=0)
    return model.eval()


def in_quadrants(relevance: Tensor) -> Tensor:
    """The relevance in each quadrant as a share of the magnitudes of the whole map, (positions, 4)."""
    cells = relevance.sum(1).reshape(-1, 2, HEIGHT // 2, 2, WIDTH // 2).sum((2, 4)).flatten(1)
    return cells / relevance.abs().sum((1, 2, 3))[:, None]


def draw_quadrants(axes: Axes, shares: Tensor, name: str, continuity: float) -> None:
    """One line for each quadrant, against the position of the digit."""
    for quadrant, colour, line in zip(QUADRANTS, COLOURS, shares.T.tolist(), strict=True):
        axes.plot(line, color=colour, label=quadrant, lw=1.8)
    axes.set(ylabel="share of relevance", xticks=range(0, SHIFTS + 1, 5), ylim=(-0.35, 0.95))
    axes.axhline(0, color="0.8", lw=0.8, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"{name}: continuity {continuity:.2f}", loc="left")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("continuity_digits.png"), help="the picture to write")
    out = parser.parse_args().out

    torch.manual_seed(0)
    raw = load_digits()
    small = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    digits, classes = nn.functional.interpolate(small, (SIDE, SIDE), mode="bilinear"), torch.tensor(raw.target)
    model = train(digits[:1400], classes[:1400])
    with torch.no_grad():
        found = torch.stack([model(on_canvas(digits[1400:], column)).argmax(1) for column in range(SHIFTS + 1)])
    right = found == classes[1400:]
    print(f"trained on 1400 digits; {100 * right.float().mean():.1f} % of {right.shape[1]} others are right")

    # Digits that are right at every position: one for the picture, all for the mean.
    always = right.all(0).nonzero()[:, 0][:16] + 1400
    digit, truth = digits[always[2:3]], int(classes[always[2]])
    positions = torch.cat([on_canvas(digit, column) for column in range(SHIFTS + 1)])
    metric = Continuity(neighbours="translation", directions=[(0, 1)], shifts=SHIFTS, normalize=True)

    figure = Figure(figsize=(13, 7), layout="constrained")
    grid = figure.add_gridspec(
        len(METHODS) + 1, len(SHOWN) + 1, width_ratios=[1] * len(SHOWN) + [2], height_ratios=[1] + [1.3] * len(METHODS)
    )
    for column, position in enumerate(SHOWN):
        axes = figure.add_subplot(grid[0, column])
        axes.imshow(positions[position, 0].numpy(), cmap="gray_r", vmin=0, vmax=1)
        axes.axhline(HEIGHT / 2 - 0.5, color="0.7", lw=0.8)
        axes.axvline(WIDTH / 2 - 0.5, color="0.7", lw=0.8)
        axes.set(xticks=[], yticks=[], title=f"moved by {position}")
    for row, (name, (method, parameters)) in enumerate(METHODS.items(), start=1):
        analyzer = xaicore.create_analyzer(method, model, **parameters)
        explanation = analyzer.analyze(positions, target=truth)
        for column, position in enumerate(SHOWN):
            axes = figure.add_subplot(grid[row, column])
            heatmap(explanation.relevance[position], axes)
            axes.set_ylabel(name if column == 0 else "")
        own = float(xaicore.evaluate(analyzer, positions[:1], metric, target=truth)["evaluation.continuity"].mean)
        scores = xaicore.evaluate(analyzer, on_canvas(digits[always], 0), metric, target=classes[always])
        print(f"{name:<14} continuity {scores['evaluation.continuity'].summary()}")
        axes = figure.add_subplot(grid[row, -1])
        draw_quadrants(axes, in_quadrants(explanation.relevance), name, own)
    axes.set_xlabel("position of the digit, in pixels")
    key = figure.add_subplot(grid[0, -1])
    key.axis("off")
    key.legend(
        *axes.get_legend_handles_labels(), loc="center", ncols=2, frameon=False, title="relevance in the quadrant"
    )
    figure.suptitle(f"A {truth} crosses the picture: how relevance goes with it")
    figure.savefig(out, dpi=120)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
