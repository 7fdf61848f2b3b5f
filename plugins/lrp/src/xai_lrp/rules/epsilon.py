"""LRP-0 and LRP-epsilon: relevance in proportion to the contributions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.base import ProportionalRule
from xai_lrp.rules.bias import Portion, check_mode, settle
from xai_lrp.rules.linear import linear_of
from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.ratio import damped, stabilized_ratio, value_share, weigh
from xaicore.propagation import Coefficient

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State


@dataclass(frozen=True)
class Epsilon(ProportionalRule):
    """LRP-epsilon: ``R_i = sum_j x_i w_ij / (z_j + epsilon sign(z_j)) R_j``, with sign(0) = +1.

    Bach et al. 2015, eq. 58. Costs one transposed map: the denominator is the layer's own output.

    Parameters
    ----------
    epsilon : float
        Added to the size of each output. In float16 at least 0.001.
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is
        spread evenly over the inputs; or with it what the stabilizer keeps, so that nothing is absorbed.
    epsilon_relative : float
        This many times the root mean square of a sample's outputs is added to ``epsilon``: 0.25 in
        Montavon et al. 2019.
    """

    epsilon: float = 1e-6
    bias: str = "absorb"
    epsilon_relative: float = 0.0

    def __post_init__(self) -> None:
        check_mode(self.bias)
        for name in ("epsilon", "epsilon_relative"):
            check_number(name, getattr(self, name), ": it is added to |z|")

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        return proportional_share(x, y, r, state, self.stabilizer(y), self.bias)

    def hands_on(self, layer: Layer) -> str | None:
        """See `ProportionalRule.hands_on`; the scale of the outputs is that of all of them, the negative too."""
        return None if self.epsilon_relative != 0 else super().hands_on(layer)

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """See `ProportionalRule.coefficients`."""
        return proportional_coefficients(x, y, r, state, self.epsilon, self.bias)

    def stabilizer(self, y: Tensor) -> float | Tensor:
        """Epsilon, one value a sample where it is relative."""
        if self.epsilon_relative == 0:
            return self.epsilon
        outputs = y.flatten(1)
        wide = torch.promote_types(y.dtype, torch.float32)  # squares of half precision overflow
        scale: Tensor = torch.linalg.vector_norm(outputs, dim=1, dtype=wide) / math.sqrt(outputs.shape[1])
        return self.epsilon + self.epsilon_relative * scale.to(y.dtype).view(-1, *[1] * (y.dim() - 1))


@dataclass(frozen=True)
class Zero(ProportionalRule):
    """LRP-0: ``R_i = sum_j x_i w_ij / z_j R_j``; a unit with ``z_j = 0`` passes nothing.

    Bach et al. 2015, eq. 56. Without biases and with ReLU activations it equals input times gradient.

    Parameters
    ----------
    bias : {'absorb', 'ignore', 'distribute', 'conserve'}
        The bias keeps its share; is left out of the denominator; its share is
        spread evenly over the inputs; or with it what the stabilizer keeps, so that nothing is absorbed.
    """

    bias: str = "absorb"

    def __post_init__(self) -> None:
        check_mode(self.bias)

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        """See `LinearRule.share`."""
        return proportional_share(x, y, r, state, 0.0, self.bias)

    def coefficients(self, x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State) -> Tensor:
        """See `ProportionalRule.coefficients`."""
        return proportional_coefficients(x, y, r, state, 0.0, self.bias)


def proportional_share(x: Tensor, y: Tensor, r: Tensor, state: State, epsilon: float | Tensor, mode: str) -> Tensor:
    """Share ``r`` in proportion to the contributions ``x_i w_ij``."""
    linear = linear_of(state)
    without_bias = linear.bias is None or mode == "ignore"
    z = linear.apply(x) if mode == "ignore" and linear.bias is not None else y
    per_unit = stabilized_ratio(r, z, epsilon)
    inputs = weigh(x, linear.pull(per_unit))
    return settle(inputs, x, state, mode, Portion(r, per_unit, z, None if without_bias else linear.bias))


def proportional_coefficients(
    x: Tensor, y: Tensor, r: Tensor | Coefficient, state: State, epsilon: float, mode: str
) -> Tensor:
    """What each unit of the input is worth when ``r`` is shared in proportion to the contributions."""
    linear = linear_of(state)
    if mode == "ignore" and linear.bias is not None:
        return linear.pull(value_share(r, y, linear.apply(x), epsilon))
    return linear.pull(damped(r, y, epsilon))
