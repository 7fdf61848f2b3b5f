"""Draw three prototypes of each digit: under a simple prior, under an expert, and in the code space of a decoder.

    python examples/prototypes/digits.py --out prototypes.png

Needs xaicore and xai-activation-max. Takes about twenty seconds on one core. Nothing is downloaded: network, expert and
decoder are trained here, on scikit-learn's digits of 8 x 8 pixels.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import decoder
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional as F

from xai_activation_max import L2, CodeSpace, Density, GaussianRBM, PrototypeSearch
from xaicore.visualization import show_image

CLASSES = list(range(10))
CODE_SIZE = 10


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) with values between 0 and 1, and their classes (N,)."""

    images: Tensor
    classes: Tensor

    def of(self, digit: int) -> Tensor:
        return self.images[self.classes == digit]


@dataclass(frozen=True)
class Measured:
    """Ten images, one a class, and how much they are like digits.

    Attributes
    ----------
    probability
        Of the class, by the network.
    distance, correlation
        Euclidean distance to the nearest held-out digit of the class, and the correlation with the most similar one,
        which takes no notice of brightness and contrast.
    """

    probability: Tensor
    distance: Tensor
    correlation: Tensor


def split() -> tuple[Digits, Digits]:
    """Return digits to learn from and held-out ones."""
    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    return tuple(Digits(images[part], classes[part]) for part in (order[:1400], order[1400:]))


def train_network(digits: Digits, epochs: int = 16) -> nn.Module:
    """Return a network that tells digits apart, in evaluation mode."""
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(digits.images)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(digits.images[batch]), digits.classes[batch]).backward()
            optimizer.step()
    return model.eval()


def searches(model: nn.Module, digits: Digits) -> dict[str, PrototypeSearch]:
    """The three rows of the figure; the first two begin at the means of the classes."""
    expert = GaussianRBM(hidden=100, epochs=50).fit(digits.images)
    autoencoder = decoder.train(digits.images, code_size=CODE_SIZE, bounds=(0.0, 1.0))
    codes = CodeSpace(autoencoder.decoder, CODE_SIZE, strength=0.3)
    # Not the log probability: wherever the network is sure it is all but zero, and then the prior alone would count.
    common = {"objective": "logit", "steps": 200}
    return {
        "simple": PrototypeSearch(model, prior=L2(1.0), start="mean", **common),
        "expert": PrototypeSearch(model, prior=Density(expert, 0.5), start="mean", learning_rate=0.02, **common),
        "decoder": PrototypeSearch(model, prior="none", parametrization=codes, restarts=8, **common),
    }


def measure(images: Tensor, model: nn.Module, held_out: Digits) -> Measured:
    """Measure images (10, 1, 8, 8), one of each class."""
    with torch.no_grad():
        probability = model(images).softmax(1).diagonal()
    pairs = [(images[digit, None].flatten(1), held_out.of(digit).flatten(1)) for digit in CLASSES]
    distance = torch.stack([torch.cdist(one, others).min() for one, others in pairs])
    correlation = torch.stack([(_standard(one) @ _standard(others).T).max() for one, others in pairs])
    return Measured(probability, distance, correlation)


def measure_real(digits: Digits, held_out: Digits) -> tuple[float, float]:
    """Mean distance and correlation of real digits to the nearest held-out ones of their class."""
    distances, correlations = [], []
    for digit in CLASSES:
        images, others = digits.of(digit).flatten(1), held_out.of(digit).flatten(1)
        distances.append(torch.cdist(images, others).min(1).values.mean())
        correlations.append((_standard(images) @ _standard(others).T).max(1).values.mean())
    return float(torch.stack(distances).mean()), float(torch.stack(correlations).mean())


def _standard(flat: Tensor) -> Tensor:
    return F.normalize(flat - flat.mean(1, keepdim=True))


def print_table(rows: dict[str, Measured], real: tuple[float, float]) -> None:
    print(f"{'':<21}{''.join(f'{digit:>8}' for digit in CLASSES)}{'mean':>9}")
    for name, row in rows.items():
        for what in ("probability", "distance", "correlation"):
            values = getattr(row, what)
            print(f"{name:<8} {what:<12}{''.join(f'{value:8.4f}' for value in values)}{values.mean():9.4f}")
    smallest = min(float(row.probability.min()) for row in rows.values())
    print(f"smallest probability of the {len(rows) * len(CLASSES)} prototypes: {smallest:.5f}")
    print(f"real digits, for comparison: mean distance {real[0]:.4f}, mean correlation {real[1]:.4f}")


def draw(images: dict[str, Tensor], rows: dict[str, Measured]) -> Figure:
    """One row a prior, one column a class; each picture from its darkest to its brightest value."""
    notes = {"simple": "l2 norm", "expert": "Gaussian RBM", "decoder": "code space"}
    figure = Figure(figsize=(10.6, 4.2), layout="constrained")
    for axes, (name, made) in zip(figure.subplots(len(images), len(CLASSES)), images.items(), strict=True):
        for digit, ax in enumerate(axes):
            low, high = made[digit].min(), made[digit].max()
            show_image((made[digit] - low) / (high - low), ax)
            probability = float(rows[name].probability[digit])
            ax.set_xlabel("p > 0.999" if probability > 0.999 else f"p = {probability:.3f}", fontsize=7)
        distance = f"distance {rows[name].distance.mean():.2f}"
        axes[0].set_ylabel(f"{name}\n{notes[name]}\n{distance}", rotation=0, ha="right", va="center", fontsize=9)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("prototypes.png"), help="the picture to write")
    out = parser.parse_args().out

    digits, held_out = split()
    model = train_network(digits)
    accuracy = (model(held_out.images).argmax(1) == held_out.classes).float().mean()
    print(f"{100 * accuracy:.1f} % of {len(held_out.images)} held-out digits are right")

    images, rows = {}, {}
    for name, search in searches(model, digits).items():
        prototypes = search.fit((digits.images, digits.classes)).analyze(digits.images[:1], CLASSES)
        images[name] = prototypes.inputs
        rows[name] = measure(prototypes.inputs, model, held_out)
    print_table(rows, measure_real(digits, held_out))
    draw(images, rows).savefig(out, dpi=130)
    print(f"wrote {out}")


if __name__ == "__main__":
    main()
