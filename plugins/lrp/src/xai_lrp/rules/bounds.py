"""Bounds of inputs: as the model gets them, or of the pixels before their normalisation."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError

Bound = float | Sequence[float] | Tensor


def checked(name: str, bound: Bound) -> Tensor:
    """A bound as a tensor: of one number, one a channel, or any shape that the input's may have."""
    if isinstance(bound, Sequence):
        return by_channel(name, bound)
    if not isinstance(bound, Real | Tensor):
        raise ParameterError(
            f"{name}={bound!r} must be a number, a sequence with one number a channel, or a tensor, not a "
            f"{type(bound).__name__}."
        )
    return bound if isinstance(bound, Tensor) else torch.tensor(float(bound))


def by_channel(name: str, values: Sequence[float] | Tensor) -> Tensor:
    """One number a channel as a vector; refuses what is not that."""
    try:
        vector = torch.as_tensor(values, dtype=torch.float64).detach().cpu()
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name}={values!r} must be a sequence of numbers, one a channel.") from error
    if vector.numel() != max(vector.shape, default=1) or not bool(vector.isfinite().all()) or vector.numel() == 0:
        raise ParameterError(f"{name}={values!r} must be finite numbers, one a channel, such as [0.485, 0.456, 0.406].")
    return vector.flatten()


def shaped(name: str, vector: Tensor, x: Tensor, unbatched: bool, where: str) -> Tensor:
    """A vector with one number a channel, so that it broadcasts against the input ``x``."""
    position = 0 if unbatched or x.dim() < 2 else 1
    channels = x.shape[position]
    if vector.numel() not in (1, channels):
        raise InputError(
            f"{name} has {vector.numel()} numbers, but the input of {where} has {channels} channels: give one number, "
            "or one a channel."
        )
    return vector.view(-1, *[1] * (x.dim() - position - 1)).to(device=x.device, dtype=x.dtype)


def written(bound: Bound) -> str:
    """A bound in reports."""
    if isinstance(bound, Sequence):
        return repr(list(bound))
    return f"tensor{tuple(bound.shape)}" if isinstance(bound, Tensor) and bound.numel() > 1 else f"{float(bound):g}"


def comparable(bound: Bound | None) -> Any:
    """The same for bounds that say the same, and hashable: numbers, and shape and numbers of what has several."""
    if bound is None or isinstance(bound, Real):
        return bound
    values = bound.detach().cpu() if isinstance(bound, Tensor) else torch.as_tensor(bound, dtype=torch.float64)
    return isinstance(bound, Tensor), tuple(values.shape), tuple(values.flatten().tolist())
