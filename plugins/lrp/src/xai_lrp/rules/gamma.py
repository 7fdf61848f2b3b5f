"""LRP-gamma: positive contributions count more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import ProportionalRule
from xai_lrp.rules.bias import Portion, check_mode, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.paired import Paired
from xai_lrp.rules.ratio import share_of_part, stabilized_ratio, value_share, weigh
from xaicore.propagation import Coefficient

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class Gamma(ProportionalRule):
    """LRP-gamma: shares by ``z_ij + gamma max(z_ij, 0)``, where ``z_ij = x_i w_ij``.

    Montavon et al. 2019, section 10.2; for inputs that are never negative this is their
    ``x_i (w_ij + gamma max(w_ij, 0))``. The bias is a contribution like any other. Costs one forward with changed
    weights and one transposed map; twice that where inputs take either sign.

    Parameters
    ----------
    gamma : float
        How much more positive contributions count: 0 is LRP-epsilon, infinity is z-plus.
    epsilon : float
        Stabilizer of the denominator.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is
        spread evenly over the inputs; or with it what the stabilizer keeps, so that nothing is absorbed.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6
    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)
        for name in ("gamma", "epsilon"):
            check_number(name, getattr(self, name), " (for an infinite gamma, use z-plus)" if name == "gamma" else "")

    @property
    def needs(self) -> Collection[str]:
        """See `ProportionalRule.needs`."""
        return frozenset({"xs"})

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """See `ProportionalRule.coefficients`."""
        bias = self._bias(state)
        if not state.nonnegative[0]:
            parts = self._parts(x, state)
            per_unit = value_share(r, y, parts.apply(bias), self.epsilon)
            return torch.where(x > 0, *parts.pull(per_unit))
        linear, favoured = linear_of(state), self._favoured(state)
        if isinstance(r, Coefficient) and r.clipped and self.bias == "absorb":
            # Where the output is positive, so is the denominator, which is no smaller; elsewhere nothing is shared.
            per_unit = share_of_part(r, y, linear.apply(x, favoured, bias).add_(self.epsilon))
        else:
            per_unit = value_share(r, y, linear.apply(x, favoured, bias), self.epsilon)
        return linear.pull(per_unit, favoured)

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `ProportionalRule.share`."""
        linear, bias = linear_of(state), self._bias(state)
        if state.nonnegative[0]:
            favoured = self._favoured(state)
            z = linear.apply(x, favoured, bias)
            per_unit = stabilized_ratio(r, z, self.epsilon)
            inputs = weigh(x, linear.pull(per_unit, favoured))
        else:
            parts = self._parts(x, state)
            z = parts.apply(bias)
            per_unit = stabilized_ratio(r, z, self.epsilon)
            inputs = weigh(x, torch.where(x > 0, *parts.pull(per_unit)))
        return settle(inputs, x, state, self.bias, Portion(r, per_unit, z, bias))

    def _bias(self, state: State) -> Tensor | None:
        bias = linear_of(state).bias
        return None if bias is None or self.bias == "ignore" else bias + self.gamma * bias.clamp(min=0)

    def _favoured(self, state: State) -> Tensor:
        weight, gamma = linear_of(state).weight, self.gamma
        return state.cached(("gamma", gamma), lambda: torch.add(weight, weight.clamp(min=0), alpha=gamma))

    def _opposed(self, state: State) -> Tensor:
        """A negative input times a negative weight is a positive contribution."""
        weight, gamma = linear_of(state).weight, self.gamma
        return state.cached(
            ("gamma of negative inputs", gamma), lambda: torch.add(weight, weight.clamp(max=0), alpha=gamma)
        )

    def _parts(self, x: Tensor, state: State) -> Paired:
        return Paired.by_sign(x, (self._favoured(state), self._opposed(state)), state, ("gamma", self.gamma))
