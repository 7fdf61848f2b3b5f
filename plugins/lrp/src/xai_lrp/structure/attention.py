"""How relevance passes matrix products of two tensors that depend on the input, and attention."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.ratio import ratio
from xai_lrp.structure.accounts import total
from xai_lrp.structure.products import shares_of

if TYPE_CHECKING:
    from xaicore.propagation import State

Relevance = Sequence[Tensor | None]


def matmul(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State) -> list[Tensor | None]:
    """LRP-0 for the signal with the gate held constant; half to each operand where neither is a gate.

    In attention written by hand the softmax is the gate: ``R(v_j) = sum_i A_ij v_j R_i / sum_j' A_ij' v_j'``
    (Ali et al. 2022). A product is linear in each operand, so that the contributions of either sum to the output.
    """
    return _by_contribution(xs, ys, rs, state, shares_of(state.layer))


def matmul_half(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State) -> list[Tensor | None]:
    """LRP-0 for each operand with the others held constant, in equal parts."""
    factors = state.layer.factors
    shares = [1 / len(factors) if number in factors else 0.0 for number in range(len(xs))]
    return _by_contribution(xs, ys, rs, state, shares)


def attention(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State) -> list[Tensor | None]:
    """LRP-0 for the values, with the attention weights held constant; nothing for queries, keys and masks.

    Ali et al. 2022.
    """
    return _by_contribution(xs, ys, rs, state, shares_of(state.layer))


def _by_contribution(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State, shares: Sequence[float]
) -> list[Tensor | None]:
    """``share x vjp(r / y)`` for each factor; what is added to the product contributes itself."""
    (r,), y = rs, ys[0]
    if r is None:
        return [None] * len(xs)
    layer = state.layer
    shares = [share if number in layer.factors else 1.0 for number, share in enumerate(shares)]
    per_unit = ratio(r, y)
    pulled = state.vjp([per_unit])
    inputs = [
        None if p is None or share == 0 else share * (x * p) for x, p, share in zip(xs, pulled, shares, strict=True)
    ]
    if state.ledger_open:
        shared = per_unit * y
        # A constant summand keeps its share, as a bias does; so does a factor that leads to nothing explained.
        missing = any(p is None and share for p, share in zip(pulled, shares, strict=True))
        incomplete = missing or layer.summand in layer.parameters
        state.absorb(bias=total([shared]) - total(inputs) if incomplete else None, stabilizer=r - shared)
    return inputs
