"""Relevance per unit of denominator: the one division in every rule."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from xaicore.propagation import Coefficient


def smallest(dtype: torch.dtype) -> float:
    """The smallest denominator that is divided by: 1e-19 in float32 and bfloat16, 0.001 in float16.

    It is the square root of the smallest normal number, so that neither a ratio nor its derivative overflows. In
    float16 that would be 0.008, which many outputs fall below; there it is the rounding error of one.
    """
    return 2.0**-10 if dtype == torch.float16 else math.sqrt(torch.finfo(dtype).tiny)


def untracked(*tensors: Tensor) -> bool:
    """Whether autograd is not watching, so that a temporary of ours may be overwritten."""
    return not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors))


def stabilized_ratio(r: Tensor, z: Tensor, epsilon: float | Tensor) -> Tensor:
    """``r / (z + epsilon sign(z))`` with sign(0) = +1; an epsilon of zero means `ratio`.

    ``epsilon`` is raised to the smallest denominator of the dtype, so that it cannot vanish in half precision.
    It may be a tensor that broadcasts against ``z``.
    """
    if not isinstance(epsilon, Tensor):
        if epsilon == 0:
            return ratio(r, z)
        epsilon = torch.full((), epsilon, dtype=z.dtype, device=z.device)
    epsilon = epsilon.clamp(min=smallest(z.dtype))
    # A sum that cancels gives +0; -0 comes only from contributions that are all zero, where the sign is of no effect.
    stabilizer = torch.copysign(epsilon, z.detach())
    return _divide(r, stabilizer.add_(z) if untracked(r, z) else stabilizer + z)


def ratio(r: Tensor, z: Tensor) -> Tensor:
    """``r / z``, and zero where ``z`` is: a unit without contributions has nothing to share by."""
    return masked_ratio(r, z, z.detach().abs() <= smallest(z.dtype))


def masked_ratio(r: Tensor, z: Tensor, dead: Tensor) -> Tensor:
    """``r / z``, and zero where ``dead``."""
    # Dividing by infinity, not masking the quotient, keeps the derivative free of NaN.
    return _divide(r, torch.where(dead, math.inf, z))


def ratio_to_part(r: Tensor, part: Tensor, scratch: bool) -> Tensor:
    """``r / part``, for a denominator without negative entries; ``scratch``: it may be overwritten.

    Where ``part`` is zero so are all its contributions: whatever the ratio, their relevance is zero.
    """
    least = smallest(part.dtype)
    if untracked(r, part):
        return _divide(r, part.clamp_(min=least) if scratch else part.clamp(min=least))
    # The derivative, unlike the value, does depend on the ratio at zero.
    return _divide(r, part.clamp(min=least).masked_fill(part.detach() == 0, math.inf))


def damped(r: Tensor | Coefficient, y: Tensor, epsilon: float | Tensor, *, nonnegative: bool = False) -> Tensor:
    """``r / (y + epsilon sign(y))``, where relevance ``r`` stands at ``y`` itself.

    Of a coefficient ``c`` that is ``c y / (y + epsilon sign(y)) = c / (1 + epsilon / |y|)``: nothing small is divided
    by, and nothing is multiplied out. ``nonnegative``: ``y`` is known to be so.
    """
    if not isinstance(r, Coefficient):
        return stabilized_ratio(r, y, epsilon)
    if not isinstance(epsilon, Tensor):
        if epsilon == 0:
            return r.of_nonzero(y, nonnegative)
        epsilon = torch.full((), max(epsilon, smallest(y.dtype)), dtype=y.dtype, device=y.device)
    if r.clipped:
        damping = torch.div(epsilon, y)
    else:
        damping = y.abs()
        torch.div(epsilon, damping, out=damping)
    return torch.div(r.tensor, damping.add_(1), out=damping)


def value_share(r: Tensor | Coefficient, y: Tensor, z: Tensor, epsilon: float | Tensor) -> Tensor:
    """``r / (z + epsilon sign(z))``, where relevance ``r`` stands at another quantity ``y``; may write over ``z``."""
    if not isinstance(r, Coefficient):
        return stabilized_ratio(r, z, epsilon)
    return stabilized_ratio(y, z, epsilon).mul_(r.tensor)


def share_of_part(r: Tensor | Coefficient, y: Tensor, part: Tensor) -> Tensor:
    """``r / part`` for a denominator without negative entries, zero where it is zero; writes over ``part``."""
    part = torch.threshold_(part, smallest(part.dtype), math.inf)
    if not isinstance(r, Coefficient):
        return torch.div(r, part, out=part)
    return torch.div(y, part, out=part).mul_(r.tensor)


def weigh(x: Tensor, pulled: Tensor) -> Tensor:
    """``x * pulled``, written over ``pulled`` (a temporary) where autograd is not watching."""
    return pulled.mul_(x) if untracked(x, pulled) else x * pulled


def _divide(r: Tensor, denominator: Tensor) -> Tensor:
    """Divide, over the denominator (a temporary) where it can hold the result and autograd is not watching."""
    if untracked(r, denominator) and denominator.shape == r.shape:
        return torch.div(r, denominator, out=denominator)
    return r / denominator
