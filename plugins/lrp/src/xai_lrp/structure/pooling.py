"""How relevance passes max pooling and lp-pooling in proportion to the activations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.ratio import masked_ratio, ratio, smallest
from xai_lrp.structure.precision import at_least_float32
from xai_lrp.structure.windows import windows_of
from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.propagation import State


@reads("xs")
def by_activation(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Max pooling in proportion to activations: ``R_i = sum_j x_i / (sum of x over window j) r_j``.

    Negative activations count as zero; in a window without positive ones the winner takes all.
    """
    r, x = rs[0], xs[0]
    if r is None:
        return [None]
    positive = at_least_float32(x).clamp(min=0)
    windows = windows_of(positive, ys[0], state)
    total = windows.sum(positive)
    none_positive = total.detach() <= smallest(total.dtype)
    shared = positive * windows.spread(masked_ratio(r.to(total.dtype), total, none_positive))
    (to_winner,) = state.vjp([r * none_positive, *[None] * (len(rs) - 1)])
    return [shared.to(x.dtype) if to_winner is None else shared.to(x.dtype) + to_winner]


@reads("xs")
def by_power(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Lp-pooling in proportion to powers: ``R_i = sum_j |x_i|^p / (sum of |x|^p over window j) r_j``.

    The ledger counts the relevance of windows that are zero everywhere as kept by the stabilizer.
    """
    (r,), (x,) = rs, xs
    if r is None:
        return [None]
    powers = at_least_float32(x).abs() ** state.layer.arguments["norm_type"]
    windows = windows_of(powers, ys[0], state)
    total = windows.sum(powers)
    per_unit = ratio(r.to(total.dtype), total)
    if state.ledger_open:
        state.absorb(stabilizer=r - per_unit * total)
    return [(powers * windows.spread(per_unit)).to(x.dtype)]
