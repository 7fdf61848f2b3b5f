"""Filters: relevance flows only through chosen neurons of a layer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.graph import Part, channels


def make_filter(layer: str, chosen: Any, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    """The function that keeps what arrived at the chosen neurons of a layer's output of this shape.

    Parameters
    ----------
    layer : str
        Its name, for messages.
    chosen : int, sequence of int, Part, mask or callable
        Channels (dimension 1); or a part, as in ``region[2:4, :]``; or a boolean or numeric tensor or array that
        broadcasts against ``shape``; or a function of what arrived.
    """
    if isinstance(chosen, Part):
        return _masking(layer, chosen.mask(shape, layer), shape)
    if isinstance(chosen, np.ndarray):
        chosen = torch.from_numpy(chosen)
    if isinstance(chosen, Tensor) and chosen.dtype is not torch.bool and not chosen.is_floating_point():
        chosen = chosen.tolist()
    if isinstance(chosen, Tensor):
        return _masking(layer, chosen, shape)
    if callable(chosen):
        return _checked(layer, chosen)
    numbers = _numbers(layer, chosen)
    if not numbers:  # an empty list lets nothing pass
        return torch.zeros_like
    return _masking(layer, channels(*numbers).mask(shape, layer), shape)


def _numbers(layer: str, chosen: Any) -> list[int]:
    values = chosen if isinstance(chosen, Sequence) and not isinstance(chosen, str) else [chosen]
    try:
        return [operator.index(value) for value in values]
    except TypeError:
        raise InputError(
            f"the filter of '{layer}' is {chosen!r}; give a channel, a list of channels, a part (channels, region, "
            "heads, neurons), a mask tensor or a function"
        ) from None


def _masking(layer: str, mask: Tensor, shape: tuple[int, ...]) -> Callable[[Tensor], Tensor]:
    try:
        fits = torch.broadcast_shapes(mask.shape, shape) == torch.Size(shape)
    except RuntimeError:
        fits = False
    if not fits:
        raise InputError(f"the filter of '{layer}' has shape {tuple(mask.shape)}, which does not broadcast to {shape}")
    return lambda arrived: arrived * mask.to(arrived.device, arrived.dtype)


def _checked(layer: str, function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    def apply(arrived: Tensor) -> Tensor:
        result = function(arrived)
        if not isinstance(result, Tensor) or result.shape != arrived.shape:
            raise InputError(f"the filter of '{layer}' must return a tensor of shape {tuple(arrived.shape)}")
        return result

    return apply
