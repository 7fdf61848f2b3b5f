"""Scikit-learn's digits: training on a few of them, and the mistakes on the rest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from xaicore.cli.demo.network import DigitNet

TRAINED_ON = 300
_EPOCHS, _BATCH, _RATE = 12, 25, 3e-3


@dataclass(frozen=True)
class Digits:
    """Images (N, 1, 8, 8) with values between 0 and 1, and their classes (N,)."""

    images: Tensor
    classes: Tensor

    def __len__(self) -> int:
        return len(self.classes)


@dataclass(frozen=True)
class Mistakes:
    """Digits that the network takes for another one; all tensors have one entry a digit.

    Attributes
    ----------
    number
        Position in scikit-learn's data set.
    predicted, confidence
        The class the network chose, and its softmax probability.
    predicted_score, true_score
        The network's outputs for both classes.
    """

    images: Tensor
    number: Tensor
    true: Tensor
    predicted: Tensor
    confidence: Tensor
    predicted_score: Tensor
    true_score: Tensor

    def __len__(self) -> int:
        return len(self.number)


def split(generator: torch.Generator) -> tuple[Digits, Digits, Tensor]:
    """Return some digits to train on, the rest to test with, and the positions of the latter in the data set."""
    raw = load_digits()
    images = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target, dtype=torch.long)
    order = torch.randperm(len(classes), generator=generator)
    train, test = order[:TRAINED_ON], order[TRAINED_ON:]
    return Digits(images[train], classes[train]), Digits(images[test], classes[test]), test


def train(digits: Digits, generator: torch.Generator) -> nn.Module:
    """Return a network trained on `digits`, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        model = DigitNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=_RATE)
    for _ in range(_EPOCHS):
        for batch in torch.randperm(len(digits), generator=generator).split(_BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(digits.images[batch]), digits.classes[batch]).backward()
            optimizer.step()
    return model.eval()


def find_mistakes(model: nn.Module, test: Digits, numbers: Tensor, most: int) -> tuple[Mistakes, int]:
    """Return the mistakes the network is surest of, at first one for each true class, and how many there are in all."""
    with torch.no_grad():
        scores = model(test.images)
    confidence, predicted = scores.softmax(1).max(1)
    predicted_score, true_score = (scores.gather(1, each[:, None])[:, 0] for each in (predicted, test.classes))
    wrong = (predicted != test.classes).nonzero().squeeze(1)
    by_confidence = wrong[confidence[wrong].argsort(descending=True)].tolist()
    classes = test.classes.tolist()
    seen: dict[int, int] = {}
    rank = {}
    for position in by_confidence:  # the first of its true class, the second, ...
        rank[position] = seen[classes[position]] = seen.get(classes[position], 0) + 1
    chosen = torch.tensor(sorted(by_confidence, key=rank.__getitem__)[:most], dtype=torch.long)
    parts = (test.images, numbers, test.classes, predicted, confidence, predicted_score, true_score)
    return Mistakes(*(part[chosen] for part in parts)), len(wrong)
