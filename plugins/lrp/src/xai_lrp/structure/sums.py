"""How relevance passes layers that add up values: addition, average pooling, mean, sum, interpolation, scaling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xai_lrp.rules.norm import normalized
from xai_lrp.rules.ratio import ratio
from xai_lrp.structure.accounts import total
from xaicore.propagation import ALWAYS, hands_on_coefficients

if TYPE_CHECKING:
    from xaicore.propagation import State


@hands_on_coefficients(ALWAYS)
def proportional(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """Relevance in proportion to the contributions: add, average pooling, mean, sum, interpolation, scaling.

    LRP-0 for layers that are linear in all their inputs together, ``R_k = x_k vjp_k(r / y)``
    (Bach et al. 2015, eq. 56). A constant summand keeps its share, as a bias does. An output of zero has no
    contributions to share by: the ledger counts its relevance as kept by the stabilizer.
    """
    return normalized(xs, ys[0], rs[0], state, epsilon=0.0)


def moments(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Relevance of a variance, and of the mean beside it, in proportion to what each number contributes.

    ``x_k dy/dx_k`` sums to y for a mean or a standard deviation, and to 2 y for a variance, which is of degree two
    (Euler's theorem on homogeneous functions).
    """
    degrees = (2 if state.layer.op_name.startswith("var") else 1, 1)
    per_unit = [None if r is None else ratio(r, y) for r, y in zip(rs, ys, strict=True)]
    scaled = [None if p is None else p / degree for p, degree in zip(per_unit, degrees, strict=False)]
    (pulled,) = state.vjp(scaled)
    if state.ledger_open:
        kept = [r - p * y for r, p, y in zip(rs, per_unit, ys, strict=True) if r is not None and p is not None]
        state.absorb(stabilizer=total(kept))
    return [None if pulled is None else xs[0] * pulled]
