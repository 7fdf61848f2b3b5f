"""Custom operations that torch knows no derivative of: said so, since none is not zero."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from xaicore.errors import XaicoreError
from xaicore.graph import Layer
from xaicore.propagation.record import Record, ValuesRecord

_TORCH_SAYS = "no autograd formula was registered"


def registered_vjp(
    layer: Layer, record: Record, rs: Sequence[Tensor | None], *, create_graph: bool
) -> list[Tensor | None]:
    """`Record.vjp` of a custom operation, or an error where its author registered no derivative.

    From some of these operations torch returns nothing at all. One of which some outputs have a derivative is trusted
    in that the others have none.
    """
    asked = any(r is not None and info.differentiable for r, info in zip(rs, layer.outputs, strict=True))
    was_recorded = any(record.active) and not isinstance(record, ValuesRecord)
    if asked and was_recorded and not any(record.ends):
        raise XaicoreError(_message(layer))
    try:
        return record.vjp(rs, create_graph=create_graph)
    except RuntimeError as error:
        if _TORCH_SAYS not in str(error):
            raise
        raise XaicoreError(_message(layer)) from error


def _message(layer: Layer) -> str:
    return (
        f"the custom operation {layer.op_name!r} has no derivative, at {layer.where()}. Give it one with "
        "torch.library.register_autograd (torch allows that only where mutates_args is empty), or use methods that do "
        "not differentiate it: relevance with a mapping for it, or the perturbation family."
    )
