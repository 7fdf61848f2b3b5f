"""What a parametrization is."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Parametrization(Protocol):
    """Where a search moves: what is changed step by step, and which inputs that stands for.

    One that has to mend its leaves after a step of the optimizer (to stay within bounds) has a method
    ``project(leaves)`` too, which changes them in place.
    """

    def leaves(self, starts: Tensor, generator: torch.Generator) -> list[Tensor]:
        """What is optimised, where the search begins at these inputs (N, *shape): leaf tensors, (N, ...) each."""
        ...

    def inputs(self, leaves: list[Tensor]) -> Tensor:
        """The inputs that the leaves stand for, (N, *shape), differentiable."""
        ...

    def log_prior(self, leaves: list[Tensor]) -> Tensor:
        """What is preferred among the leaves themselves, in nats, (N,)."""
        ...

    def check(self, shape: tuple[int, ...]) -> None:
        """Refuse samples of a shape, without the batch, that it cannot make.

        Raises
        ------
        ParameterError
        """
        ...
