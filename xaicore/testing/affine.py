"""A layer that is affine in its input as what it is: a matrix and a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Affine:
    """``f(x) = W x + b`` for flattened x and f(x).

    Parameters
    ----------
    weight : Tensor (J, I)
        What each of I inputs counts in each of J outputs.
    bias : Tensor (J,)
    """

    weight: Tensor
    bias: Tensor

    @classmethod
    def of(cls, function: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> Affine:
        """Find both by differentiating a function of one sample of this shape, as a black box in float64, at zero.

        The function is given a batch of one, (1, *shape).
        """
        origin = torch.zeros(1, *shape, dtype=torch.float64)
        jacobian = torch.autograd.functional.jacobian(function, origin, vectorize=True)
        with torch.no_grad():
            bias = function(origin).flatten()
        return cls(jacobian.reshape(len(bias), origin.numel()), bias)

    def __call__(self, x: Tensor) -> Tensor:
        """``W x + b`` of one flattened sample (I,)."""
        return self.weight @ x + self.bias
