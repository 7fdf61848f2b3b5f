"""Two linear maps of the same layer, whose sum is taken: inputs in two parts, each with weights of its own."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.linear import linear_of

if TYPE_CHECKING:
    from xaicore.propagation import State


class Paired:
    """``A(x1, w1) + A(x2, w2)``: one map of both parts side by side where the layer allows it, which is sooner done.

    Parameters
    ----------
    xs : tuple of two Tensors
        Shaped like the layer's input.
    weights : tuple of two Tensors
        Shaped like the layer's weight.
    state : State
    key : Hashable
        The rule's name for this pair of weights.
    """

    def __init__(self, xs: tuple[Tensor, Tensor], weights: tuple[Tensor, Tensor], state: State, key: Hashable) -> None:
        self.xs = xs
        self.weights = weights
        self.linear = linear_of(state)
        self.joined = self.linear.widened(
            xs, lambda: state.cached(("side by side", key), lambda: torch.cat(weights, 1))
        )

    @classmethod
    def by_sign(cls, x: Tensor, weights: tuple[Tensor, Tensor], state: State, key: Hashable) -> Paired:
        """Inputs by their sign: the positive ones with the first weights, the negative ones with the second."""
        return cls((x.clamp(min=0), x.clamp(max=0)), weights, state, key)

    def apply(self, bias: Tensor | None = None) -> Tensor:
        """The sum of both maps, and the bias."""
        if self.joined is not None:
            return self.joined.apply(self.joined.x, bias=bias)
        (first, second), (above, below) = self.xs, self.weights
        return self.linear.apply(first, above, bias) + self.linear.apply(second, below)

    def pull(self, r: Tensor) -> tuple[Tensor, Tensor]:
        """What each unit of the first part gets, and of the second."""
        if self.joined is not None:
            first, second = self.joined.pull(r).chunk(2, 1)
            return first, second
        return self.linear.pull(r, self.weights[0]), self.linear.pull(r, self.weights[1])
