"""Norm: relevance normalised by the output and weighed by the input, at any layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.ratio import damped, stabilized_ratio
from xaicore.errors import MatchError
from xaicore.graph import Kind
from xaicore.propagation import ALWAYS, Coefficient

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State


@dataclass(frozen=True)
class Norm:
    """Relevance over the output, taken back by the layer's derivative and weighed by the inputs: ``x vjp(R / y)``.

    For layers with one output that is linear, or homogeneous of degree one, in all inputs together: sums, pooling,
    scaling, interpolation, and linear layers, where it is `Epsilon`. It is zennit's rule of this name; constant
    summands and biases keep their share.

    Parameters
    ----------
    epsilon : float
        Added to the size of each output before dividing by it.
    """

    epsilon: float = 1e-6

    def __post_init__(self) -> None:
        check_number("epsilon", self.epsilon)

    def hands_on(self, layer: Layer) -> str | None:
        """Coefficients: what each unit of the inputs is worth."""
        return ALWAYS

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        if len(ys) != 1:
            raise MatchError(f"Norm() needs a layer with one output, but {state.layer.where()} has {len(ys)}.")
        return normalized(xs, ys[0], rs[0], state, self.epsilon)


def normalized(
    xs: Sequence[Tensor], y: Tensor, r: Tensor | Coefficient | None, state: State, epsilon: float
) -> list[Any]:
    """Share ``r`` in proportion to the contributions of the inputs to ``y``; constants keep their share."""
    if r is None:
        return [None] * len(xs)
    if state.factored:
        per_unit = damped(r, y, epsilon, nonnegative=state.layer.outputs[0].nonnegative)
        return [None if each is None else Coefficient(each) for each in state.vjp([per_unit])]
    assert not isinstance(r, Coefficient)
    per_unit = stabilized_ratio(r, y, epsilon)
    pulled = state.vjp([per_unit])
    inputs = [None if p is None else x * p for x, p in zip(xs, pulled, strict=True)]
    if state.ledger_open:
        shared = per_unit * y
        state.absorb(bias=_of_constants(shared, inputs, state), stabilizer=r - shared)
    return inputs


def _of_constants(shared: Tensor, inputs: Sequence[Tensor | None], state: State) -> Tensor | None:
    """What is kept by summands that do not depend on what is explained; None where there are none."""
    adds_constant = state.layer.kind == Kind.ADD and len(state.layer.inputs) < 2
    if not adds_constant and "bias" not in state.layer.parameters and all(r is not None for r in inputs):
        return None
    given = [r.sum(dtype=torch.float64) for r in inputs if r is not None]
    return shared.sum(dtype=torch.float64) - sum(given)
