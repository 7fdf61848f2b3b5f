"""Reading a tensor as feature maps, whatever its layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_gradients.cam.positions import Positions


@dataclass(frozen=True)
class Grid:
    """How feature maps (B, C, h, w) lie in a tensor; likewise (B, C, l) and (B, C, d, h, w).

    Attributes
    ----------
    channel : int
        The dimension of the tensor that counts the maps.
    extent : tuple of int
        (h, w).
    cells : Tensor (h * w,), optional
        Where each cell, row by row, lies among the entries of the other dimensions; class and register tokens are
        left out. None: the entries as they come.
    """

    channel: int
    extent: tuple[int, ...]
    cells: Tensor | None = None

    @classmethod
    def channels_first(cls, shape: Sequence[int]) -> Grid:
        """The usual layout, (B, C, ...)."""
        return cls(1, tuple(shape[2:]))

    def maps(self, tensor: Tensor) -> Tensor:
        """The maps in a tensor: (B, C, h, w)."""
        flat = tensor.movedim(self.channel, 1).flatten(2)
        if self.cells is not None:
            flat = flat[:, :, self.cells.to(flat.device)]
        maps: Tensor = flat.unflatten(2, self.extent)
        return maps

    def back(self, maps: Tensor, like: Tensor) -> Tensor:
        """A tensor of the shape of ``like`` with these maps in it; zero where it holds no map (class tokens)."""
        moved = like.movedim(self.channel, 1)
        flat = maps.flatten(2).to(like.dtype)
        if self.cells is not None:
            flat = torch.zeros_like(moved.flatten(2)).index_copy(2, self.cells.to(flat.device), flat)
        tensor: Tensor = flat.reshape(moved.shape).movedim(1, self.channel).contiguous()
        return tensor

    def describe(self) -> str:
        """The extent in words: ``7 x 7``."""
        return " x ".join(map(str, self.extent))


def grid_of(positions: Positions, batch: int) -> Grid | None:
    """The maps in a tensor with these positions; None where they do not fill a grid of two cells or more.

    The batch comes in front, one other dimension counts the maps, and the rest holds every cell once.
    """
    shape = positions.shape
    if len(shape) < 3 or shape[0] != batch:
        return None
    axes = [axis.nan_to_num(-1) for axis in (_collapsed(axis) for axis in positions.axes)]
    if any(_varies(axis, 0) for axis in axes):
        return None
    constant = [dim for dim in range(1, len(shape)) if not any(_varies(axis, dim) for axis in axes)]
    channel = _channel(shape, constant, len(axes))
    if channel is None:
        return None
    sample = [size for dim, size in enumerate(shape) if dim not in (0, channel)]
    coordinates = [axis.select(channel, 0)[0].expand(sample).flatten() for axis in axes]
    placed = (coordinates[0] >= 0).nonzero().flatten()
    extent, cell = [], torch.zeros_like(placed)
    for axis in coordinates:
        # Centres of merged patches are averages: equal up to rounding.
        values, index = torch.unique(axis[placed].round(decimals=5), return_inverse=True)
        cell = cell * len(values) + index
        extent.append(len(values))
    order = cell.argsort()
    full = torch.arange(torch.Size(extent).numel(), device=cell.device)
    if len(full) < 2 or not torch.equal(cell[order], full):
        return None
    cells = placed[order]
    as_they_come = len(cells) == torch.Size(sample).numel() and torch.equal(cells, full)
    return Grid(channel, tuple(extent), None if as_they_come else cells)


def _collapsed(axis: Tensor) -> Tensor:
    """The same coordinates with one entry along each dimension that they were expanded along."""
    for dim, stride in enumerate(axis.stride()):
        if stride == 0:
            axis = axis.narrow(dim, 0, 1)
    return axis


def _varies(axis: Tensor, dim: int) -> bool:
    return axis.shape[dim] > 1 and bool((axis != axis.narrow(dim, 0, 1)).any())


def _channel(shape: Sequence[int], constant: list[int], dims: int) -> int | None:
    """The dimension of the channels among those along which positions are the same."""
    several = [dim for dim in constant if shape[dim] > 1]
    if len(several) > 1 or not constant:
        return None  # heads beside channels, or no dimension for the maps
    usual = 1 if len(shape) == dims + 2 and 1 in constant else constant[-1]
    return several[0] if several else usual
