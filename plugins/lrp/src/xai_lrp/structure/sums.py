"""How relevance passes layers that add up values: addition, average pooling, mean, sum, interpolation, scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.ratio import ratio
from xai_lrp.structure.accounts import total
from xaicore.graph import Kind

if TYPE_CHECKING:
    from xaicore.propagation import State


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
        constant = total([shared]) - total(inputs) if incomplete else None
        state.absorb(bias=constant, stabilizer=r - shared)
    return inputs


def _adds_constant(state: State) -> bool:
    return state.layer.kind == Kind.ADD and len(state.layer.inputs) < 2
