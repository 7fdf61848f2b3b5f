"""A derivative, and the same from differences: whether what can be differentiated is differentiated right."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

_STEP = 1e-5
_AGREE = 1e-4
_SETTLED = 1e-5
_TINY = 1e-300
_ROUNDING = 1e-7  # of a difference of two values, divided by the step, as a part of the values


@dataclass(frozen=True)
class Slopes:
    """The derivatives of N functions in one direction.

    Attributes
    ----------
    analytic : Tensor (N,)
        By autograd; the numeric ones, where a mixture of all was found to be right.
    numeric : Tensor (N,)
        By central differences.
    settled : Tensor (N,) of bool
        Where differences of two widths agree, so that they tell: no kink is near.
    agree : Tensor (N,) of bool
        Whether both derivatives are the same.
    """

    analytic: Tensor
    numeric: Tensor
    settled: Tensor
    agree: Tensor


def slopes(values: Callable[[], Tensor], tensors: Sequence[Tensor], seed: int = 3) -> Slopes:
    """The derivatives of ``values()``, (N,) in float64, as these tensors move in a random direction.

    The tensors require gradients; they are moved in place, and put back.
    """
    if not tensors:
        nothing = torch.zeros(len(values()), dtype=torch.float64)
        return Slopes(nothing, nothing, nothing == 0, nothing == 0)
    generator = torch.Generator().manual_seed(seed)
    directions = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.dtype) for t in tensors]
    wide, narrow = (_central(values, tensors, directions, step) for step in (_STEP, _STEP / 4))
    now = values()
    size = torch.maximum(wide.abs(), narrow.abs())
    noise = _ROUNDING * now.detach().abs()
    settled = (wide - narrow).abs() <= _SETTLED * size + noise
    # All at once, which costs one derivative, each in units of its size; one by one where that is not right.
    mixture = (
        settled * torch.randn(now.shape, generator=generator, dtype=torch.float64) / (size + noise / _AGREE + _TINY)
    )
    together = _along((now * mixture).sum(), tensors, directions)
    if abs(together - float((narrow * mixture).sum())) <= _AGREE / 10:
        return Slopes(narrow, narrow, settled, torch.ones_like(settled))
    analytic = torch.tensor([_along(value, tensors, directions) for value in now], dtype=torch.float64)
    agree = (analytic - narrow).abs() <= _AGREE * torch.maximum(analytic.abs(), size) + noise
    return Slopes(analytic, narrow, settled, agree)


def _along(value: Tensor, tensors: Sequence[Tensor], directions: Sequence[Tensor]) -> float:
    if not value.requires_grad:
        return 0.0
    gradients = torch.autograd.grad(value, list(tensors), allow_unused=True, retain_graph=True)
    return sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True) if g is not None)


def _central(
    values: Callable[[], Tensor], tensors: Sequence[Tensor], directions: Sequence[Tensor], step: float
) -> Tensor:
    with _moved(tensors, directions, step):
        above = values().detach()
    with _moved(tensors, directions, -step):
        below = values().detach()
    return (above - below) / (2 * step)


@contextmanager
def _moved(tensors: Sequence[Tensor], directions: Sequence[Tensor], step: float) -> Iterator[None]:
    """Tensors that have gone this far in their directions, and are put back."""
    before = [tensor.detach().clone() for tensor in tensors]
    try:
        with torch.no_grad():
            for tensor, direction in zip(tensors, directions, strict=True):
                tensor.add_(direction, alpha=step)
        yield
    finally:
        with torch.no_grad():
            for tensor, old in zip(tensors, before, strict=True):
                tensor.copy_(old)
