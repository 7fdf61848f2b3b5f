"""A rule for layers with weights: relevance in proportion to the size of contributions."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules import Portion, ProportionalRule, check_mode, check_number, settle, stabilized_ratio
from xaicore.propagation import Coefficient

if TYPE_CHECKING:
    from xaicore.propagation import LinearForm, State


@dataclass(frozen=True)
class Absolute(ProportionalRule):
    """Shares by size: ``R_i = sum_j |x_i w_ij| / (sum_i' |x_i' w_i'j| + |b_j| + epsilon) R_j``.

    LRP-epsilon (Bach et al. 2015, eq. 58) with the sizes of contributions in place of the contributions. Nothing is
    subtracted: no share is negative, and none is larger than the whole. It costs one more forward pass of the layer.

    Parameters
    ----------
    epsilon : float
        Added to each denominator, in the units of the layer's output.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is spread evenly over the inputs; or with it
        what the stabilizer keeps, so that nothing is absorbed.
    """

    epsilon: float = 1e-6
    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)
        check_number("epsilon", self.epsilon, ": it is added to a sum of sizes")

    @property
    def needs(self) -> Collection[str]:
        """The rule reads the inputs alone; the output need not be kept for it."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """Relevance of the input ``x``, from the relevance ``r`` of the output ``y``."""
        linear, weight, bias, sizes = self._sizes(x, state)
        total = linear.apply(sizes, weight, bias)
        per_unit = stabilized_ratio(r, total, self.epsilon)
        inputs = sizes * linear.pull(per_unit, weight)
        return settle(inputs, x, state, self.bias, Portion(r, per_unit, total, bias))

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """What each unit of ``x`` is worth: ``|x_i| = x_i sign(x_i)``, so that the size need not be multiplied out."""
        linear, weight, bias, sizes = self._sizes(x, state)
        relevance = r.times(y) if isinstance(r, Coefficient) else r
        pulled = linear.pull(stabilized_ratio(relevance, linear.apply(sizes, weight, bias), self.epsilon), weight)
        return pulled if state.nonnegative[0] else x.sign() * pulled

    def _sizes(self, x: Tensor, state: State) -> tuple[LinearForm, Tensor, Tensor | None, Tensor]:
        """The layer, and the sizes of its weights, its bias and its input."""
        linear = state.linear
        assert linear is not None  # a layer that is not linear in its input has been refused
        weight = state.cached("absolute weight", lambda: linear.weight.abs())  # once, until the weights change
        bias = None if linear.bias is None or self.bias == "ignore" else linear.bias.abs()
        return linear, weight, bias, x if state.nonnegative[0] else x.abs()

    def jacobian_form(self, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        """The equation written out over the matrix of a layer; the conformance kit compares it with `share`.

        Parameters
        ----------
        weight : Tensor (J, I)
        bias : Tensor (J,)
        x : Tensor (I,)

        Returns
        -------
        Tensor (J, I)
            The part of the relevance of each output that goes to each input.
        """
        sizes = (weight * x).abs()
        of_bias = torch.zeros_like(bias) if self.bias == "ignore" else bias.abs()
        total = sizes.sum(1) + of_bias + self.epsilon
        dead = total == 0
        spread = {"distribute": of_bias, "conserve": of_bias + self.epsilon}.get(self.bias, torch.zeros_like(bias))
        connected = (weight != 0).to(weight.dtype)
        evenly = connected / connected.sum(1, keepdim=True).clamp(min=1)
        shares = (sizes + spread[:, None] * evenly) / total.masked_fill(dead, 1)[:, None]
        return shares + (evenly * dead[:, None] if self.bias == "conserve" else 0)
