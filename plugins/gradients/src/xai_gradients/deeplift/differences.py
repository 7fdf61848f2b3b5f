"""Differences and slopes, where both may be lost in rounding."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_gradients.deeplift.reference import Reference
from xaicore.graph import Layer


def wide(value: Tensor) -> Tensor:
    """In at least single precision: differences of half-precision numbers deserve more."""
    return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value


def difference(x: Tensor, x0: Tensor) -> Tensor:
    """``x - x0``; zero where both are equal, infinite ones (masks of attention) included."""
    return torch.where(x == x0, 0.0, wide(x) - wide(x0))


def is_lost(dx: Tensor, x: Tensor, x0: Tensor) -> Tensor:
    """Where a difference is so small beside both numbers that a slope over it is rounding more than slope.

    At the square root of the precision, the error of a slope by rounding and that of a derivative in its place meet.
    Numbers of different sign never count as close, so that the kink of a ReLU is not missed.
    """
    finfo = torch.finfo(x.dtype)
    limit = (wide(x).abs() + wide(x0).abs()) * finfo.eps**0.5
    lost: Tensor = dx.abs() <= limit.clamp_min(torch.finfo(dx.dtype).tiny)
    return lost


def derivative(reference: Reference, layer: Layer, x: Tensor, x0: Tensor) -> Tensor:
    """The mean of the derivatives of an elementwise layer at both ends; zero where there is none."""
    found = [reference.pull(layer, [at], [torch.ones_like(at)])[0] for at in (x, x0)]
    mean = sum((wide(each) / 2 for each in found if each is not None), torch.zeros_like(wide(x)))
    return mean.nan_to_num(0.0, 0.0, 0.0)
