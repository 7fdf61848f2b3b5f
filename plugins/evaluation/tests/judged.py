"""What the tests of metrics judge: explanations known in closed form, and small models."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers import PropagationAnalyzer
from xaicore.errors import TargetError


class Gradient(PropagationAnalyzer):
    """The gradient: of a linear model its weights, whatever the input."""

    family = "gradient"


class InputTimesGradient(PropagationAnalyzer):
    """Input times gradient: of a linear model w * x."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """Gradient times the value there."""
        return relevance * value


class Inputs(PropagationAnalyzer):
    """The input itself: a method that does not look at the model, such as an edge detector."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """The value there."""
        return value.clone()


class Times(PropagationAnalyzer):
    """The gradient times a constant, which may be 0, NaN or infinite."""

    family = "gradient"

    def __init__(self, model: nn.Module, *, factor: float = 0.0) -> None:
        super().__init__(model)
        self.factor = factor

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        """The gradient times the constant."""
        return relevance * self.factor


def linear(weight: Any, bias: Any = None, dtype: torch.dtype = torch.float64) -> nn.Linear:
    """The model x W' + b, with ``weight`` (classes, features) and ``bias`` (classes,) or none."""
    weight = torch.as_tensor(weight, dtype=dtype)
    model = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, dtype=dtype)
    with torch.no_grad():
        model.weight.copy_(weight)
        if bias is not None:
            model.bias.copy_(torch.as_tensor(bias, dtype=dtype))
    return model


def small_cnn(seed: int = 0, dtype: torch.dtype = torch.float32, channels: int = 1) -> nn.Sequential:
    """Two convolutions and a linear layer, for images (B, channels, 8, 8) and five classes; not trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = nn.Sequential(
            nn.Conv2d(channels, 4, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(24, 5),
        )
    return model.to(dtype).eval()


def shared_cnn(dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """The same network for all tests that leave it as it is: it is captured once."""
    return _shared(dtype)


@functools.cache
def _shared(dtype: torch.dtype) -> nn.Sequential:
    return small_cnn(dtype=dtype)


def images(count: int = 5, seed: int = 1, dtype: torch.dtype = torch.float32, channels: int = 1) -> Tensor:
    """Random images (count, channels, 8, 8)."""
    random = torch.Generator().manual_seed(seed)
    return torch.randn(count, channels, 8, 8, generator=random, dtype=torch.float64).to(dtype)


class OfPositiveScores(Gradient):
    """The gradient, of scores above zero only, as deep Taylor decomposition is."""

    def check_output(self, output: Tensor, target: Any) -> None:
        """Refuse scores that are not positive."""
        if bool((target.score(output) <= 0).any()):
            raise TargetError("not defined for a score that is not positive")
