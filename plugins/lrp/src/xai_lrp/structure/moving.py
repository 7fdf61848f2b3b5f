"""How relevance passes layers that move values: max pooling, concatenation, reshape, select, pad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xai_lrp.structure.accounts import total
from xaicore.graph import Kind
from xaicore.propagation import IF_GIVEN, Coefficient, hands_on_coefficients, reads

if TYPE_CHECKING:
    from xaicore.propagation import State

# Operators that move values and may put constants in their places.
_FILLING = frozenset(
    "masked_fill where index_put select_scatter slice_scatter diagonal_scatter index_fill index_copy scatter "
    "masked_scatter im2col triu tril diag diag_embed".split()
)


@reads()
@hands_on_coefficients(IF_GIVEN)
def route(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """Relevance goes back the way the values came: max pooling (to the winner), concatenation, reshape, select, pad.

    The forward copies values, so that its vector-Jacobian product carries relevance as well. What arrives at
    constants that the layer put in (padding) is reported as absorbed.
    """
    coefficient = next((r for r in rs if isinstance(r, Coefficient)), None)
    if coefficient is not None:
        # What a copy is worth, its original is worth.
        moved = state.vjp([None if r is None else r.tensor for r in rs])
        return [None if r is None else Coefficient(r, coefficient.clipped) for r in moved]
    inputs = state.vjp(rs)
    if state.ledger_open and (_puts_in_constants(state) or any(r is None for r in inputs)):
        state.absorb(bias=total(rs) - total(inputs))
    return inputs


@reads()
def soft_winner(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """A log-sum-exp is a soft maximum: relevance in proportion to the softmax, which is its derivative and sums to one.

    It copies no value, so that it hands on no coefficients: what its result is worth, no number behind it is worth.
    """
    return state.vjp(rs)


def _puts_in_constants(state: State) -> bool:
    layer = state.layer
    return layer.kind == Kind.PAD or layer.op_name in _FILLING or len(list(layer.refs())) > len(layer.inputs)
