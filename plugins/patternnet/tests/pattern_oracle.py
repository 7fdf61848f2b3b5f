"""The estimators of Kindermans et al. 2018 in NumPy, and what tests of them share."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xai_patternnet import Patterns


class OneLayer(nn.Module):
    """One layer with weights, in front of a ReLU or not."""

    def __init__(self, layer: nn.Module, rectified: bool = True) -> None:
        super().__init__()
        self.layer = layer
        self.rectified = rectified

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return (F.relu(y) if self.rectified else y).flatten(1)


def by_formula(x: np.ndarray, y: np.ndarray, w: np.ndarray, estimator: str) -> np.ndarray:
    """One unit: x (samples, entries), its output y (samples,) with bias, w (entries,)."""
    signal = x @ w
    chosen = {"linear": np.ones(len(y), bool), "positive": y > 0, "negative": y <= 0}[estimator]
    xs, ys = x[chosen], signal[chosen]
    numerator = (xs * ys[:, None]).mean(0) - xs.mean(0) * signal.mean()
    return numerator / (w @ numerator)


def only(patterns: Patterns) -> dict[str, np.ndarray]:
    (layer,) = patterns.layers.values()
    return {name: each.numpy() for name, each in layer.by_estimator.items()}


def random(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
