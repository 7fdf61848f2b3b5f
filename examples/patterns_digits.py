"""Digits in changing light: what a network's gradient shows, and what its patterns show.

    python examples/patterns_digits.py --out patterns_digits.png

Needs xaicore, xai-patternnet and xai-gradients. Takes about seven seconds on a CPU. The picture in docs/patternnet.md
is made by this script.

Each image gets a ramp of brightness in a random direction, which tells nothing of the digit. The network learns to
cancel it, and what its weights are made for, and the gradient shows, is as much that as the digit. PatternNet goes back
along what varies with the output of each unit.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore
from xaicore.visualization import grid

METHODS = ("gradients.saliency", "gradients.input_x_gradient", "patternnet.signal", "patternnet.attribution")


def in_changing_light(images: Tensor) -> Tensor:
    """Add a ramp to each image (B, 1, 8, 8), in a random direction and of random height."""
    ramps = torch.randn(len(images), 2)
    ticks = torch.linspace(-1, 1, 8)
    return images + ramps[:, :1, None, None] * ticks[:, None] + ramps[:, 1:, None, None] * ticks


def train(images: Tensor, classes: Tensor, epochs: int = 10) -> nn.Module:
    """Return a network for images (B, 1, 8, 8), in evaluation mode."""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(in_changing_light(images[batch])), classes[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("patterns_digits.png"), help="the picture to write")
    out = parser.parse_args().out

    torch.manual_seed(0)
    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    model = train(images[:1400], classes[:1400])
    test, truth = in_changing_light(images[1400:]), classes[1400:]
    accuracy = (model(test).argmax(1) == truth).float().mean()
    print(f"trained on 1400 digits; {100 * accuracy:.1f} % of {len(test)} others are right")

    data = in_changing_light(images[:1400].repeat(3, 1, 1, 1))
    signal = xaicore.create_analyzer("patternnet.signal", model).fit(data)
    attribution = xaicore.create_analyzer("patternnet.attribution", model, patterns=signal.patterns_)
    print(f"learnt {signal.patterns_}")

    shown = [int((truth == digit).nonzero()[1]) for digit in (0, 3, 4, 7)]
    explanations = xaicore.compare(model, test[shown], methods=[*METHODS[:2], signal, attribution])
    clean = images[1400:]
    for name, explanation in explanations.items():
        alike = nn.functional.cosine_similarity(explanation.relevance.flatten(1), clean[shown].flatten(1)).mean()
        print(f"{name:<28} like the digit without the light: {alike:.2f}")

    figure = grid(test[shown], explanations, true=truth[shown], score="softmax", title="Digits in changing light")
    figure.savefig(out, dpi=130)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
