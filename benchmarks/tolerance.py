"""How many gradients integrated gradients take for a given gap: ``python benchmarks/tolerance.py``.

Small networks are trained on scikit-learn's digits. On digits that they have not seen, a fixed number of steps is set
beside ``tolerance=``, which takes as many steps as each sample needs. The gap is what the relevance misses of the
difference to the baseline, relative to it; the error is that of the single values, beside a thousand steps.
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore

ACTIVATIONS = {"ReLU": nn.ReLU, "tanh": nn.Tanh, "GELU": nn.GELU}
SETTINGS: dict[str, dict[str, Any]] = {
    "50 steps": {"steps": 50},
    "16 steps": {"steps": 16},
    "tolerance 0.01": {"tolerance": 0.01},
    "tolerance 0.005": {"tolerance": 0.005},
}


def digits() -> tuple[Tensor, Tensor]:
    """Return images (N, 1, 8, 8) with values between 0 and 1, and their classes."""
    raw = load_digits()
    return torch.tensor(raw.images / 16, dtype=torch.float32)[:, None], torch.tensor(raw.target)


def trained(activation: type[nn.Module], images: Tensor, classes: Tensor) -> tuple[nn.Module, float]:
    """Train a small convolutional network for some seconds; return it and its accuracy on the last 400 digits."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1), activation(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), activation(),
        nn.Flatten(), nn.Linear(512, 64), activation(), nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(15):
        for batch in torch.randperm(len(images) - 400).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
    model.eval()
    with torch.no_grad():
        right = model(images[-400:]).argmax(1) == classes[-400:]
    return model, float(right.float().mean())


def measured(model: nn.Module, x: Tensor, exact: Tensor, **settings: Any) -> str:
    """Return a line of the table."""
    engine = xaicore.Engine()
    found = xaicore.explain(model, x, method="gradients.integrated", engine=engine, **settings)
    steps = found.recorded.get("steps", torch.full((len(x),), float(settings.get("steps", 0))))
    gap = found.diagnostics.conservation_gap
    error = (found.relevance - exact).abs().flatten(1).sum(1) / exact.abs().flatten(1).sum(1)
    return (
        f"{float(steps.float().mean()):9.1f}{int(steps.max()):7d}{float(gap.mean()):11.4f}{float(gap.max()):9.4f}"
        f"{float(error.mean()):11.4f}{float(error.max()):9.4f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=128)
    options = parser.parse_args()
    images, classes = digits()
    x = images[-options.samples :]
    for name, activation in ACTIVATIONS.items():
        model, accuracy = trained(activation, images, classes)
        exact = xaicore.explain(model, x, method="gradients.integrated", steps=1000, rule="midpoint").relevance
        print(f"{name}, {100 * accuracy:.1f} % right, {len(x)} digits")
        print(f"{'':18}{'gradients':>9}{'most':>7}{'mean gap':>11}{'worst':>9}{'mean error':>11}{'worst':>9}")
        for setting, parameters in SETTINGS.items():
            print(f"{setting:18}{measured(model, x, exact, **parameters)}")
        print(flush=True)


if __name__ == "__main__":
    main()
