"""Backward mappings that change the gradient at rectifiers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from xaicore.graph import Condition, Graph, Layer, op
from xaicore.propagation import reads

if TYPE_CHECKING:
    from xaicore.propagation import State


@reads()
def guided(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Pass what is positive, where the rectifier was open (Springenberg et al. 2015, section 3.4)."""
    return state.vjp([None if r is None else r.clamp(min=0) for r in rs])


@reads()
def deconvolved(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> list[Tensor | None]:
    """Pass what is positive, whether the rectifier was open or not (Zeiler and Fergus 2014, section 2.1)."""
    return [None if r is None else r.clamp(min=0) for r in rs]


def _cuts_at_zero(layer: Layer, graph: Graph) -> bool:
    low = {"hardtanh": "min_val", "clamp": "min"}.get(layer.op_name)
    return low is not None and layer.options.get(low) == 0


rectifier = op("relu", "relu6") | Condition(_cuts_at_zero, "hardtanh or clamp from 0")
"""ReLU and its capped forms, such as ReLU6; not leaky and smooth ones, which let negative values pass."""
