"""How relevance passes products, number by number, of tensors that both depend on the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State

Relevance = Sequence[Tensor | None]


@reads()
def product(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State) -> list[Tensor | None]:
    """All relevance to the signal, none to its gate (Arras et al. 2017); in equal parts where no operand is a gate.

    With the gate as a constant factor the layer is a scaling of the signal, which LRP passes unchanged.
    """
    return _share(xs, rs, shares_of(state.layer))


@reads()
def product_half(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State) -> list[Tensor | None]:
    """Relevance in equal parts to the operands, whatever they are (LRP-half: Arras et al. 2019)."""
    return _share(xs, rs, [1 / len(xs)] * len(xs))


@reads("xs")
def product_proportional(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Relevance, state: State
) -> list[Tensor | None]:
    """Relevance in proportion to the size of the factors, ``|a| / (|a| + |b|)``; equal parts where both are zero.

    LRP-prop of Arras et al. 2019, which divides by ``a + b``, with absolute values: so that no share is negative and
    none explodes. The second factor of a quotient is the reciprocal of the denominator.
    """
    sizes = [x.abs() for x in xs]
    if state.layer.op_name == "div":
        sizes[-1] = torch.where(sizes[-1] > 0, sizes[-1], torch.inf).reciprocal()
    whole = torch.stack(torch.broadcast_tensors(*sizes)).sum(0)
    nothing = whole == 0
    whole = whole.masked_fill(nothing, 1)
    return _share(xs, rs, [torch.where(nothing, 1 / len(xs), size / whole) for size in sizes])


def shares_of(layer: Layer) -> list[float]:
    """Equal shares for the factors that are no gates, nothing for the gates."""
    signals = [number for number in layer.factors if number not in layer.gates]
    return [1 / len(signals) if number in signals else 0.0 for number in range(len(layer.inputs))]


def _share(xs: Sequence[Tensor], rs: Relevance, shares: Sequence[float | Tensor]) -> list[Tensor | None]:
    """This share of the relevance for each operand, summed over where the operand was broadcast to."""
    (r,) = rs
    if r is None:
        return [None] * len(xs)
    return [
        None if _is_zero(share) else _scaled(r, share).sum_to_size(x.shape) for x, share in zip(xs, shares, strict=True)
    ]


def _scaled(r: Tensor, share: float | Tensor) -> Tensor:
    return r if isinstance(share, float) and share == 1 else r * share


def _is_zero(share: float | Tensor) -> bool:
    return isinstance(share, float) and share == 0
