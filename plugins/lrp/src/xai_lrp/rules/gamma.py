"""LRP-gamma: positive contributions count more."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, check_mode, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.ratio import stabilized_ratio, weigh
from xaicore.errors import ParameterError

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class Gamma(LinearRule):
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
    bias : {'absorb', 'ignore', 'distribute'}
        The bias keeps its share; is left out of the denominator; or its share is spread evenly over the inputs.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6
    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)
        for name in ("gamma", "epsilon"):
            if not getattr(self, name) >= 0:
                raise ParameterError(f"{name}={getattr(self, name)!r} must be zero or positive.")

    @property
    def needs(self) -> Collection[str]:
        """See `LinearRule.needs`."""
        return frozenset({"xs"})

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        linear, gamma = linear_of(state), self.gamma
        bias = None if linear.bias is None or self.bias == "ignore" else linear.bias + gamma * linear.bias.clamp(min=0)
        favoured = state.cached(
            ("gamma", gamma), lambda: torch.add(linear.weight, linear.weight.clamp(min=0), alpha=gamma)
        )
        if state.nonnegative[0]:
            z = linear.apply(x, favoured, bias)
            per_unit = stabilized_ratio(r, z, self.epsilon)
            inputs = weigh(x, linear.pull(per_unit, favoured))
        else:
            # A negative input times a negative weight is a positive contribution.
            opposed = state.cached(
                ("gamma of negative inputs", gamma),
                lambda: torch.add(linear.weight, linear.weight.clamp(max=0), alpha=gamma),
            )
            z = linear.apply(x.clamp(min=0), favoured, bias) + linear.apply(x.clamp(max=0), opposed)
            per_unit = stabilized_ratio(r, z, self.epsilon)
            inputs = weigh(x, torch.where(x > 0, linear.pull(per_unit, favoured), linear.pull(per_unit, opposed)))
        return settle(inputs, x, state, self.bias, Portion(r, per_unit, z, bias))
