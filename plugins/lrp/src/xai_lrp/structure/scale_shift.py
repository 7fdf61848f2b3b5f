"""How relevance passes a batch norm that is a scale and then a shift."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lrp.rules.ratio import ratio

if TYPE_CHECKING:
    from xaicore.propagation import State


def scale_then_shift(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Through the scale unchanged; at the shift, the signal z and the constant t share by size, ``|z| / (|z| + |t|)``.

    In the manner of Hui and Binder 2019. Unlike ``z / (z + t)`` the share lies between 0 and 1, also where the shift
    cancels the signal. Where both are zero, the ledger counts the relevance as kept by the stabilizer.
    """
    (r,) = rs
    if r is None or state.layer.op_name == "scale":
        return [r]
    shift = state.parameter("bias")
    assert shift is not None
    signal, constant = xs[0].abs(), shift.abs()
    per_unit = ratio(r, signal + constant)
    inputs = signal * per_unit
    if state.ledger_open:
        kept = constant * per_unit
        state.absorb(bias=kept, stabilizer=r - per_unit * (signal + constant))
    return [inputs]
