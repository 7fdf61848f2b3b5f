"""Digits that a network takes for others: what speaks for the class it chose, and what for the right one.

    python examples/misclassified_digits.py --out misclassified_digits.png

Needs xaicore, xai-lrp and xai-gradients. Takes about seven seconds on a CPU. Each digit has two rows: the evidence for
the predicted class, and that for the true one. All of it comes from one forward pass.

The text tells how far the two maps of a digit agree. Where a method gives nearly the same map for both classes, it
shows what the network looks at, but not why it chose the one and not the other.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore

METHODS = {
    "gradients.saliency": None,
    "gradients.input_x_gradient": None,
    "lrp.epsilon": {"epsilon": 0.25},
    "lrp.gamma": {"gamma": 0.25},
    "lrp.epsilon_gamma_box": {"low": 0.0, "high": 1.0},
    "lrp.alpha_2_beta_1": None,
}
TRAINED_ON, SHOWN = 300, 3


def train(images: Tensor, classes: Tensor, epochs: int = 25) -> nn.Module:
    """Return a network for images (B, 1, 8, 8), in evaluation mode."""
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3),
        nn.ReLU(),
        nn.Conv2d(32, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 2 * 2, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("misclassified_digits.png"), help="the picture to write")
    out = parser.parse_args().out

    torch.manual_seed(0)
    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    model = train(images[:TRAINED_ON], classes[:TRAINED_ON])
    test, truth = images[TRAINED_ON:], classes[TRAINED_ON:]
    confidence, predicted = model(test).softmax(1).max(1)
    wrong = (predicted != truth).nonzero()[:, 0]
    print(f"trained on {TRAINED_ON} digits; {len(wrong)} of {len(test)} others are misread")

    shown = wrong[confidence[wrong].argsort(descending=True)][:SHOWN]
    sides = {"predicted": predicted[shown], "true": truth[shown]}
    comparison = xaicore.compare(model, test[shown], methods=METHODS, classes=sides)
    for method in comparison.methods:
        maps = (comparison[side, method].relevance.flatten(1) for side in sides)
        alike = nn.functional.cosine_similarity(*maps)
        print(f"{method:<28} the two maps of a digit are alike: {', '.join(f'{each:+.2f}' for each in alike)}")

    figure = comparison.plot(true=truth[shown], score="softmax", title="Misread digits: predicted and true class")
    figure.savefig(out, dpi=130)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
