"""L-BFGS for many independent problems at once."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import torch
from torch import Tensor

from xai_activation_max.ascent.objective import Evaluated

_MEMORY = 10
_TRIES = 20
_ENOUGH = 1e-4  # the share of the expected ascent that a step must bring (Armijo)


class RowwiseLBFGS:
    """L-BFGS (Nocedal 1980) with a backtracking line search, each row with a memory and a step length of its own.

    `torch.optim.LBFGS` takes all numbers for one problem, so that a prototype would depend on those beside it.

    Parameters
    ----------
    leaves : list of Tensor
        (N, ...) each.
    learning_rate : float
        The first step length that the line search tries.
    """

    def __init__(self, leaves: list[Tensor], learning_rate: float) -> None:
        self._leaves, self._rate = leaves, learning_rate
        # Differences of points and of gradients, and the inverse of their product; zero where they say nothing.
        self._memory: deque[tuple[Tensor, Tensor, Tensor]] = deque(maxlen=_MEMORY)
        self._before: tuple[Tensor, Tensor] | None = None
        # Rows of whose curvature nothing is known, and which therefore follow the gradient.
        self._fresh = torch.ones(len(leaves[0]), dtype=torch.bool, device=leaves[0].device)

    def step(self, found: Evaluated, evaluate: Callable[[list[Tensor]], Evaluated]) -> Tensor:
        """One step uphill; returns which rows no step along their gradient can raise any more, (N,)."""
        here, gradient = _flat(self._leaves), _flat(found.gradients)
        if self._before is not None:
            self._remember(here - self._before[0], gradient - self._before[1])
        self._before = here, gradient
        direction = self._direction(gradient)
        self._fresh = self._fresh | (_dot(direction, gradient) <= 0)
        direction = torch.where(self._fresh[:, None], gradient, direction)
        slope = _dot(direction, gradient)
        short = gradient.norm(dim=1).clamp_min(1).reciprocal()
        length = self._rate * torch.where(self._fresh, short, torch.ones_like(short))
        # At the top already, as far as numbers of this type can tell.
        at_top = slope <= torch.finfo(slope.dtype).eps * found.objective.abs().clamp_min(1)
        accepted = at_top
        for _ in range(_TRIES):
            if bool(accepted.all()):
                break
            self._put(here + length[:, None] * direction)
            accepted = accepted | (evaluate(self._leaves).objective >= found.objective + _ENOUGH * length * slope)
            length = torch.where(accepted, length, length / 2)
        # A row that no step helps stays where it is, and tries its gradient next.
        self._put(here + torch.where(accepted & ~at_top, length, torch.zeros_like(length))[:, None] * direction)
        at_rest = (self._fresh & ~accepted) | at_top
        self._forget(~accepted)
        return at_rest

    def _direction(self, gradient: Tensor) -> Tensor:
        """The gradient times the estimate of the inverse curvature, by two loops over the memory."""
        direction, shares = gradient.clone(), []
        for moved, changed, inverse in reversed(self._memory):
            share = inverse * _dot(moved, direction)
            direction = direction - share[:, None] * changed
            shares.append(share)
        if self._memory:
            moved, changed, inverse = self._memory[-1]
            known = inverse > 0
            scale = torch.where(known, _dot(moved, changed) / _dot(changed, changed).clamp_min(1e-30), 1.0)
            direction = direction * scale[:, None]
        for (moved, changed, inverse), share in zip(self._memory, reversed(shares), strict=True):
            direction = direction + (share - inverse * _dot(changed, direction))[:, None] * moved
        return direction

    def _remember(self, moved: Tensor, changed: Tensor) -> None:
        changed = -changed  # of what is to be made small
        product = _dot(moved, changed)
        known = product > 1e-10 * _dot(changed, changed)
        inverse = torch.where(known, 1 / torch.where(known, product, 1.0), 0.0)
        self._memory.append((moved, changed, inverse))
        self._fresh = self._fresh & ~known

    def _forget(self, rows: Tensor) -> None:
        """Let rows begin anew."""
        self._fresh = self._fresh | rows
        for place, (moved, changed, inverse) in enumerate(self._memory):
            self._memory[place] = moved, changed, torch.where(rows, torch.zeros_like(inverse), inverse)

    def _put(self, flat: Tensor) -> None:
        with torch.no_grad():
            start = 0
            for leaf in self._leaves:
                size = leaf[0].numel()
                leaf.copy_(flat[:, start : start + size].view_as(leaf))
                start += size


def _flat(tensors: list[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten(1) for each in tensors], 1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1)
