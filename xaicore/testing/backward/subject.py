"""What the checks of rules and mappings ask of their subject."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from xaicore.propagation import BackwardMapping
from xaicore.testing.backward.place import Place


class BackwardSubject(ABC):
    """A backward mapping on trial, and the layers at which it is tried."""

    mapping: BackwardMapping
    narrow: tuple[torch.dtype, ...] = (torch.float32, torch.bfloat16)
    """The types, beside float64, that it is tried in."""

    @abstractmethod
    def places(self, dtype: torch.dtype = torch.float64) -> Sequence[Place]:
        """The layers that it takes, in models of this type."""


def gap(found: Tensor, expected: Tensor) -> float:
    """The largest difference, as a part of the largest expected value; infinite where one is not finite."""
    if found.shape != expected.shape or not bool(torch.isfinite(found).all()):
        return float("inf")
    if not found.numel():
        return 0.0
    size = float(expected.abs().max())
    return float((found - expected).abs().max()) / (size if size > 0 else 1.0)
