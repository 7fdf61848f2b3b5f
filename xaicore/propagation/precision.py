"""In which floating-point type a mapping works, where that is not simply the type of the layer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Kind, Layer

# Layers whose rules have denominators of their own, which can overflow in float16 where the output does not.
_WEIGHTED = {Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM, Kind.SCALE}


def working_type(layer: Layer, tensors: Iterable[Any]) -> torch.dtype | None:
    """The type for the layer's inputs, outputs, weights and relevance; None: they stay as they are.

    Under autocast the tensors of a layer differ in type, and a mapping is given them in the narrowest. Rules of
    weighted layers work in float32 where that is float16.
    """
    types = {value.dtype for value in tensors if isinstance(value, Tensor)}
    types |= {ref.info.dtype for ref in layer.parameters.values()}
    types = {dtype for dtype in types if dtype.is_floating_point}
    if not types:
        return None
    narrowest = min(types, key=lambda dtype: (dtype.itemsize, -torch.finfo(dtype).max))
    if narrowest == torch.float16 and layer.kind in _WEIGHTED:
        return torch.float32
    return narrowest if len(types) > 1 else None


def cast(value: Any, dtype: torch.dtype | None) -> Any:
    """A floating-point tensor in another type; what is too large for float16 becomes its largest number."""
    if dtype is None or not isinstance(value, Tensor) or not value.is_floating_point():
        return value
    return saturated(value.to(dtype)) if dtype == torch.float16 else value.to(dtype)


def saturated(value: Tensor) -> Tensor:
    """In float16, infinity becomes the largest number: times zero it would be NaN."""
    if value.dtype != torch.float16:
        return value
    largest = torch.finfo(torch.float16).max
    return value.clamp(-largest, largest)
