"""Train a small network with soft thresholds on images of digits, and draw what its decisions rest on.

    python examples/digits.py --out digits.png

Needs xai-absolute and what it depends on. Takes about ten seconds on a CPU, and downloads nothing.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from xai_absolute.networks import DigitNet

import xaicore
from xaicore.visualization import grid

METHODS = ("lrp.epsilon_plus", "absolute.shares", "absolute.epsilon_absolute")
EPSILON = 0.25


def train(images: Tensor, classes: Tensor) -> nn.Module:
    """A network for images (B, 1, 8, 8), in evaluation mode."""
    torch.manual_seed(0)
    model = DigitNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(4):
        for batch in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("digits.png"), help="the picture to write")
    out = parser.parse_args().out

    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    model = train(images[:1400], classes[:1400])
    with torch.no_grad():
        correct = (model(images[1400:]).argmax(1) == classes[1400:]).float().mean()
    print(f"{correct:.1%} of {len(images) - 1400} images that it was not trained on are classified correctly")

    chosen = [int((classes[1400:] == digit).nonzero()[0]) + 1400 for digit in (0, 3, 5, 9)]
    shown, truth = images[chosen], classes[chosen]
    print(xaicore.create_analyzer("absolute.epsilon_absolute", model).match(shown))  # who handles which layer
    columns = {name: xaicore.explain(model, shown, method=name, epsilon=EPSILON) for name in METHODS}
    figure = grid(shown, columns, true=truth, title="Through soft thresholds, a custom operation")
    figure.savefig(out, dpi=150)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
