"""Inputs that have positions: channels in dimension 1, and one dimension or more behind them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from xaicore.errors import InputError


def with_positions(varied: Mapping[str, Tensor], method: str) -> dict[str, Tensor]:
    """Those of the tensors that a mask over positions can be laid on, (B, C, ...).

    Raises
    ------
    InputError
        Where there is none.
    """
    found = {name: x for name, x in varied.items() if x.ndim >= 3}
    if not found:
        shapes = ", ".join(f"{name!r} {tuple(x.shape)}" for name, x in varied.items())
        raise InputError(
            f"{method} lays masks over positions and needs an input (batch, channels, positions ...); there is "
            f"{shapes}. Explain tables and tokens by perturbation.occlusion, lime or kernel_shap."
        )
    return found


def over_channels(maps: Tensor, like: Tensor) -> Tensor:
    """Maps (B, ...) as relevance like an input (B, C, ...): each position's share is split evenly over the channels."""
    return (maps / like.shape[1]).unsqueeze(1).expand(len(maps), *like.shape[1:])


def mixed(x: Tensor, fill: Tensor, mask: Tensor) -> Tensor:
    """``x * mask + fill * (1 - mask)`` in the type of ``x``; integers are rounded."""
    if x.is_floating_point():
        return torch.lerp(fill, x, mask.to(x.dtype))
    return (x * mask + fill * (1 - mask)).round().to(x.dtype)


def stretched(grid: Tensor, dim: int, positions: Tensor) -> Tensor:
    """A tensor at these positions of one dimension, between the entries by linear interpolation.

    Parameters
    ----------
    grid : Tensor (n, ...)
        Entry ``i`` of ``dim`` lies at position ``i``; positions outside have the value of the nearest entry.
    positions : Tensor (n, length) or (1, length)
        Where to read, for each of the n.
    """
    size = grid.shape[dim]
    positions = positions.clamp(0, size - 1)
    low = positions.floor().clamp(max=max(0, size - 2))
    share = positions - low
    view = [len(positions)] + [1] * (grid.ndim - 1)
    view[dim] = positions.shape[1]
    low = low.long().view(view)
    below = torch.take_along_dim(grid, low, dim)
    above = torch.take_along_dim(grid, (low + 1).clamp(max=size - 1), dim)
    return torch.lerp(below, above, share.view(view).to(grid.dtype).expand_as(below))
