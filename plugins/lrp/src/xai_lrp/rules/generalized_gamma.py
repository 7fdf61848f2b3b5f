"""Generalised LRP-gamma: contributions that have the sign of the output count more."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import LinearRule
from xai_lrp.rules.bias import Portion, settle
from xai_lrp.rules.gamma import Gamma
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.paired import Paired
from xai_lrp.rules.ratio import stabilized_ratio, weigh

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class GeneralizedGamma(LinearRule):
    """Generalised LRP-gamma, for inputs and outputs of either sign.

    An output ``z_j >= 0`` shares its relevance by ``z_ij + gamma max(z_ij, 0)``, an output ``z_j < 0`` by
    ``z_ij + gamma min(z_ij, 0)``, where ``z_ij = x_i w_ij``; the bias is a contribution like any other. No denominator
    can vanish by cancellation. `Gamma` favours positive contributions whatever the output.

    Andeol et al. 2021 (Learning domain invariant representations by joint Wasserstein distance minimization).

    Parameters
    ----------
    gamma : float
        How much more the contributions count that have the sign of the output: 0 is LRP-epsilon.
    epsilon : float
        Stabilizer of the denominator.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator, and of the output whose sign counts; or its share is
        spread evenly over the inputs.
    """

    gamma: float = 0.25
    epsilon: float = 1e-6
    bias: str = "absorb"

    def __post_init__(self) -> None:
        Gamma(self.gamma, self.epsilon, self.bias)  # refuses the same parameters

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        linear, gamma = linear_of(state), self.gamma
        bias = None if self.bias == "ignore" else linear.bias
        output = linear.apply(x) if self.bias == "ignore" and linear.bias is not None else y
        above = output.detach() >= 0
        positive = self._positive_part(x, bias, state)
        # The output is the sum of both parts, so that the negative one costs no forward of its own. Neither sum below
        # cancels: the part that is added has the sign of the output.
        z = output + gamma * torch.where(above, positive, output - positive)
        per_unit = stabilized_ratio(r, z, self.epsilon)
        inputs = weigh(x, self._pull(x, per_unit, above, state))
        if bias is not None:
            bias = bias + gamma * torch.where(above, bias.clamp(min=0), bias.clamp(max=0))
        return settle(inputs, x, state, self.bias, Portion(r, per_unit, z, bias))

    def _positive_part(self, x: Tensor, bias: Tensor | None, state: State) -> Tensor:
        """The sum of the positive contributions: of x+ w+, x- w- and the bias."""
        linear = linear_of(state)
        bias = None if bias is None else bias.clamp(min=0)
        positive = state.cached("positive weight", lambda: linear.weight.clamp(min=0))
        if state.nonnegative[0]:
            return linear.apply(x, positive, bias)
        negative = state.cached("negative weight", lambda: linear.weight.clamp(max=0))
        return Paired.by_sign(x, (positive, negative), state, ("by sign", True)).apply(bias)

    def _pull(self, x: Tensor, per_unit: Tensor, above: Tensor, state: State) -> Tensor:
        """What each input gets for each unit of its value."""
        linear, gamma = linear_of(state), self.gamma
        raised = state.cached(
            ("gamma", gamma), lambda: torch.add(linear.weight, linear.weight.clamp(min=0), alpha=gamma)
        )
        lowered = state.cached(
            ("gamma of negative inputs", gamma),
            lambda: torch.add(linear.weight, linear.weight.clamp(max=0), alpha=gamma),
        )
        of_positive, of_negative = per_unit * above, per_unit * ~above
        pulled = linear.pull(of_positive, raised) + linear.pull(of_negative, lowered)
        if state.nonnegative[0]:
            return pulled
        return torch.where(x > 0, pulled, linear.pull(of_positive, lowered) + linear.pull(of_negative, raised))
