"""What tests of the room of scoring share: methods and metrics that are known in closed form, and small models."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers import PropagationAnalyzer
from xaicore.scoring import Case, Curve, Metric, Scores


class InputTimesGradient(PropagationAnalyzer):
    """Input times gradient."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value


class Largest(Metric):
    """The largest relevance times a factor; NaN where it is negative."""

    bounds = (0.0, None)

    def __init__(self, *, factor: float = 1.0, higher: bool = True) -> None:
        self.factor, self.higher = factor, higher

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        return self.higher

    def score(self, case: Case) -> Scores:
        found = torch.stack([each.flatten(1).amax(1) for each in case.relevance.values()]).amax(0)
        notes = ["undefined where no relevance is positive"] if bool((found < 0).any()) else []
        return self.scores(torch.where(found < 0, torch.nan, self.factor * found), notes=notes)


class Scaling(Metric):
    """The explained value as the input is scaled down to nothing, in so many steps."""

    higher_is_better = False

    def __init__(self, *, steps: int = 4, quantity: str = "output", explains: bool = False) -> None:
        self.steps, self.quantity, self.explains = steps, quantity, explains

    def score(self, case: Case) -> Scores:
        shares = torch.linspace(0, 1, self.steps, dtype=torch.float64)
        curve = torch.empty(len(case), self.steps, dtype=torch.float64)

        def run(block: Any) -> Tensor:
            factors = 1 - shares[block.first : block.last]
            rows = {
                name: (block.cross(x) * factors.to(x).reshape(1, -1, *[1] * (x.ndim - 1))).flatten(0, 1)
                if x.is_floating_point()
                else block.repeat(x)
                for name, x in case.varied.items()
            }
            if not self.explains:
                return block.grid(case.scores(rows, block, self.quantity))
            return block.grid(sum(each.flatten(1).sum(1) for each in case.relevance_of(rows, block).values()))

        for block, found in case.sweep(self.steps, run, explains=self.explains):
            curve[block.start : block.stop, block.first : block.last] = found.cpu()
        details = {"last": curve[:, -1]}
        return self.scores(curve.mean(1), curve=Curve(shares, curve, "scaled by", self.quantity), details=details)


class Tokens(nn.Module):
    """Integers, looked up and averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 6), nn.Linear(6, 3)

    def forward(self, tokens: Tensor) -> Tensor:
        return self.head(torch.tanh(self.embedding(tokens)).mean(1))


class Two(nn.Module):
    """A model of an image and some numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.image, self.numbers = nn.Linear(16, 3), nn.Linear(4, 3)

    def forward(self, image: Tensor, numbers: Tensor) -> Tensor:
        return self.image(image.flatten(1)) + self.numbers(numbers)


def small_model(seed: int = 0, dtype: torch.dtype = torch.float64) -> nn.Sequential:
    """A convolution, batch norm with statistics, dropout: images (B, 2, 6, 6) and four classes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(48, 4)
        )
    return model.to(dtype)


def images(count: int = 6, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random images (count, 2, 6, 6)."""
    return torch.randn(count, 2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)
