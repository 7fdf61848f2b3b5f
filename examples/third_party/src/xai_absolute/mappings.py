"""How relevance passes a soft threshold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from xaicore.errors import MatchError
from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.propagation import State


@reads("ys")
def soft_threshold(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """All relevance to what is shrunk, none to the threshold (the signal takes all: Arras et al. 2017).

    ``y = x g`` with ``g = max(1 - threshold / |x|, 0)`` between 0 and 1: a gate. Where it is closed nothing came from
    ``x``, so that relevance which a rule sends there all the same is not handed on; the ledger has it as kept by the
    stabilizer.
    """
    names = state.layer.input_names  # a threshold that depends on no input is a parameter of the layer, and not there
    if "x" not in names:
        raise MatchError(
            f"{state.layer.where()} shrinks a constant: the mapping of xai-absolute sends relevance to what is shrunk "
            "only. Put a mapping of your own for this layer into the composite."
        )
    (r,), (y,) = rs, ys
    assert r is not None  # one output: the walk comes here because relevance has arrived at it
    closed = y == 0
    if state.ledger_open:
        state.absorb(stabilizer=r * closed)
    return [torch.where(closed, 0, r) if name == "x" else None for name in names]
