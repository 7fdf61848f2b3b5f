"""How relevance passes the layers that have no weights: pooling, addition, reshapes, activations.

These mappings serve every method of the relevance family; a method's own composite comes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xai_lrp.rules.epsilon import Epsilon
from xai_lrp.rules.pass_through import Pass
from xai_lrp.rules.ratio import ratio
from xaicore.graph import Kind
from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.propagation import State

#: Activations hand relevance on unchanged (Bach et al. 2015, section 2.3): each has one input, which gets it all.
pass_through = Pass()

#: A batch norm that stands alone is a linear layer with one input a unit: its bias takes a share, the input the rest.
batch_norm = Epsilon()

# Operators that move values and may put constants in their places.
_FILLING = {"masked_fill", "where", "index_put", "select_scatter", "slice_scatter"}


@reads()
def route(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State) -> list[Tensor | None]:
    """Relevance goes back the way the values came: max pooling (to the winner), concatenation, reshape, select, pad.

    The forward copies values, so that its vector-Jacobian product carries relevance as well. What arrives at
    constants that the layer put in (padding) is reported as absorbed.
    """
    inputs = state.vjp(rs)
    if state.ledger_open and (_puts_in_constants(state) or any(r is None for r in inputs)):
        state.absorb(bias=_total(rs) - _total(inputs))
    return inputs


def proportional(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Relevance in proportion to the contributions: add, average pooling, mean, sum, interpolation, scaling.

    LRP-0 for layers that are linear in all their inputs together, ``R_k = x_k vjp_k(r / y)``
    (Bach et al. 2015, eq. 56). A constant summand keeps its share, as a bias does. An output of zero has no
    contributions to share by: the ledger counts its relevance as kept by the stabilizer.
    """
    (r,), y = rs, ys[0]
    if r is None:
        return [None] * len(xs)
    per_unit = ratio(r, y)
    pulled = state.vjp([per_unit])
    inputs = [None if p is None else x * p for x, p in zip(xs, pulled, strict=True)]
    if state.ledger_open:
        shared = per_unit * y
        # A summand that does not depend on what is explained is a constant here.
        incomplete = _adds_constant(state) or any(p is None for p in pulled)
        constant = _total([shared]) - _total(inputs) if incomplete else None
        state.absorb(bias=constant, stabilizer=r - shared)
    return inputs


def _adds_constant(state: State) -> bool:
    return state.layer.kind == Kind.ADD and len(state.layer.inputs) < 2


def _puts_in_constants(state: State) -> bool:
    layer = state.layer
    return layer.kind == Kind.PAD or layer.op_name in _FILLING or len(list(layer.refs())) > len(layer.inputs)


def _total(relevance: Sequence[Tensor | None]) -> Tensor:
    return sum((r.sum(dtype=torch.float64) for r in relevance if r is not None), torch.zeros(()))
