"""Train a small network on scikit-learn's digits and draw what six methods say about its predictions.

    python examples/explain_digits.py --out digits.png

Needs xaicore, xai-lrp and xai-gradients. Takes about five seconds on a CPU. The picture in the README is made by this
script.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore
from xaicore.visualization import grid

METHODS = {
    "gradients.saliency": {},
    "gradients.input_x_gradient": {},
    "gradients.guided_backprop": {},
    "lrp.epsilon": {"epsilon": 0.25},
    "lrp.epsilon_plus": {},
    "lrp.epsilon_gamma_box": {"low": 0.0, "high": 1.0},  # pixels lie between 0 and 1
}


def train(images: Tensor, classes: Tensor, epochs: int = 6) -> nn.Module:
    """Return a network for images (B, 1, 8, 8), in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
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
    test, truth = images[1400:], classes[1400:]
    accuracy = (model(test).argmax(1) == truth).float().mean()
    print(f"trained on 1400 digits; {100 * accuracy:.1f} % of {len(test)} others are right")

    shown = [int((truth == digit).nonzero()[0]) for digit in (0, 3, 4, 8)]
    explanations = xaicore.compare(model, test[shown], methods=METHODS)
    for name, explanation in explanations.items():
        gap = explanation.diagnostics.conservation_gap
        print(f"{name:<28}", "" if gap is None else f"conservation gap at most {gap.max():.2f}")

    figure = grid(
        test[shown],
        explanations,
        true=truth[shown],
        score="softmax",
        title="What speaks for the predicted digit (red) and what against it (blue)",
    )
    figure.savefig(out, dpi=130)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
