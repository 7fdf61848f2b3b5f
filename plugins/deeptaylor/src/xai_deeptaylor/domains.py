"""Domains: which values the inputs of a neuron can take, and where in them its root point is looked for."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_deeptaylor.first import FirstZPlus
from xai_lrp.rules import LinearRule, WSquare, ZBox

Bound = float | Sequence[float] | Tensor


class Domain(ABC):
    """The values that the inputs of a neuron can take.

    A domain says in which direction the root point of a neuron is searched from its input. The first-order Taylor
    expansion around that root point is a rule of layer-wise relevance propagation: `rule`.
    """

    @abstractmethod
    def direction(self, x: Tensor, weight: Tensor) -> Tensor:
        """The direction in which the root point lies: it is ``x - t direction`` for some t.

        ``x`` and ``weight`` broadcast against each other; the last dimension counts the inputs of a neuron.
        """

    @abstractmethod
    def contains(self, x: Tensor) -> Tensor:
        """Whether each point, the last dimension of ``x``, lies in the domain."""

    @abstractmethod
    def rule(self) -> LinearRule:
        """The rule that shares relevance by the Taylor expansion around the root point."""


@dataclass(frozen=True)
class Real(Domain):
    """Any real numbers.

    The nearest root of all lies in the direction of the weights, which gives w-square (Montavon et al. 2017).
    """

    def direction(self, x: Tensor, weight: Tensor) -> Tensor:
        """See `Domain.direction`."""
        return weight.expand(torch.broadcast_shapes(x.shape, weight.shape))

    def contains(self, x: Tensor) -> Tensor:
        """See `Domain.contains`."""
        return x.isfinite().all(-1)

    def rule(self) -> LinearRule:
        """See `Domain.rule`."""
        return WSquare()


@dataclass(frozen=True)
class NonNegative(Domain):
    """Numbers that are never negative, as behind a ReLU.

    The root is searched from the input towards the point where all inputs with positive weights are zero, which
    gives z-plus without bias (Montavon et al. 2017).
    """

    def direction(self, x: Tensor, weight: Tensor) -> Tensor:
        """See `Domain.direction`."""
        return x * (weight > 0)

    def contains(self, x: Tensor) -> Tensor:
        """See `Domain.contains`."""
        return (x >= 0).all(-1)

    def rule(self) -> LinearRule:
        """See `Domain.rule`."""
        return FirstZPlus(bias="ignore")


@dataclass(frozen=True, eq=False)
class Box(Domain):
    """Numbers between two bounds.

    The root is searched towards the corner of the box where the neuron is smallest: ``low`` where weights are positive,
    ``high`` where they are negative. This gives z-box (Montavon et al. 2017).

    Parameters
    ----------
    low, high : float, sequence of float, or Tensor
        The bounds, one for all inputs or one for each; with mean and std, before that normalisation. For `rule` those
        of `xai_lrp.rules.ZBox`: a sequence counts channels.
    mean, std : sequence of float, or Tensor, optional
        The normalisation ``(x - mean) / std`` that makes what the neuron gets.
    """

    low: Bound
    high: Bound
    mean: Sequence[float] | Tensor | None = None
    std: Sequence[float] | Tensor | None = None

    def __post_init__(self) -> None:
        self.rule()  # refuses what the rule refuses: low > high, one of mean and std

    def direction(self, x: Tensor, weight: Tensor) -> Tensor:
        """See `Domain.direction`."""
        low, high = self._corners(x)
        return x - low * (weight > 0) - high * (weight < 0)

    def contains(self, x: Tensor) -> Tensor:
        """See `Domain.contains`."""
        low, high = self._corners(x)
        return ((x >= low) & (x <= high)).all(-1)

    def rule(self) -> LinearRule:
        """See `Domain.rule`."""
        return ZBox(self.low, self.high, mean=self.mean, std=self.std)

    def _corners(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Both bounds of what the neuron gets."""
        mean = torch.as_tensor(0.0 if self.mean is None else self.mean).to(x)
        std = torch.as_tensor(1.0 if self.std is None else self.std).to(x)
        low, high = torch.as_tensor(self.low).to(x), torch.as_tensor(self.high).to(x)
        return (low - mean) / std, (high - mean) / std
