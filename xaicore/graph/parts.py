"""Parts of a layer's output: channels, a region, heads, single neurons, and their complements and combinations."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, LayerError

Bounds = tuple[int | None, int | None, int | None]
"""A slice that can be hashed (before Python 3.12 slices cannot)."""


class Part(ABC):
    """Some of the neurons of a layer's output; combine with ``&`` (both), ``|`` (either) and ``~`` (all others)."""

    @abstractmethod
    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        """A boolean tensor that broadcasts to ``shape``, (B, ...), true at the neurons of this part.

        Raises
        ------
        LayerError
            Where the output of ``layer`` has no such neurons.
        """

    def __and__(self, other: Part) -> Part:
        return _Combined(self, "&", _a_part(other))

    def __or__(self, other: Part) -> Part:
        return _Combined(self, "|", _a_part(other))

    def __invert__(self) -> Part:
        return _Complement(self)


@dataclass(frozen=True)
class Channels(Part):
    numbers: tuple[int, ...]
    dim: int

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        dim = _dimension(self.dim, shape, layer, "channels")
        return _along(dim, len(shape), _chosen(self.numbers, shape[dim], layer, "channels"))

    def __repr__(self) -> str:
        return f"channels({_listed(self.numbers)}{'' if self.dim == 1 else f', dim={self.dim}'})"


@dataclass(frozen=True)
class Heads(Part):
    numbers: tuple[int, ...]
    count: int | None
    dim: int

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        dim = _dimension(self.dim, shape, layer, "heads")
        count = shape[dim] if self.count is None else self.count
        if shape[dim] % count:
            raise LayerError(
                f"the {shape[dim]} features of '{layer}' in dimension {dim} do not split into {count} heads"
            )
        chosen = _chosen(self.numbers, count, layer, "heads")
        return _along(dim, len(shape), chosen.repeat_interleave(shape[dim] // count))

    def __repr__(self) -> str:
        split = "" if self.count is None else f", count={self.count}"
        usual = 1 if self.count is None else -1
        return f"heads({_listed(self.numbers)}{split}{'' if self.dim == usual else f', dim={self.dim}'})"


@dataclass(frozen=True)
class Region(Part):
    bounds: tuple[Bounds, ...]
    dim: int

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        if self.dim + len(self.bounds) > len(shape):
            raise LayerError(
                f"'{layer}' has shape {shape}: {self!r} takes {len(self.bounds)} dimensions from dimension {self.dim} "
                "on; say with region(..., dim=N) where the region begins"
            )
        mask = torch.ones([1] * len(shape), dtype=torch.bool)
        for dim, bounds in enumerate(self.bounds, start=self.dim):
            mask = mask & _along(dim, len(shape), self._within(bounds, shape[dim], layer))
        return mask

    def _within(self, bounds: Bounds, size: int, layer: str) -> Tensor:
        chosen = torch.zeros(size, dtype=torch.bool)
        chosen[slice(*bounds)] = True
        outside = [bound for bound in bounds[:2] if bound is not None and not -size <= bound <= size]
        if outside or not chosen.any():
            raise LayerError(f"'{layer}' has positions 0 to {size - 1}; the filter names {_sliced(bounds)} of them")
        return chosen

    def __repr__(self) -> str:
        written = ", ".join(_sliced(bounds) for bounds in self.bounds)
        return f"region[{written}]" if self.dim == 2 else f"region({written}, dim={self.dim})"


@dataclass(frozen=True)
class Neurons(Part):
    indices: tuple[tuple[int, ...], ...]

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        mask = torch.zeros((1, *shape[1:]), dtype=torch.bool)
        for index in self.indices:
            fits = len(index) == len(shape) - 1
            if not fits or not all(-size <= i < size for i, size in zip(index, shape[1:], strict=True)):
                raise LayerError(f"'{layer}' has neurons of shape {tuple(shape[1:])}; the filter names {index}")
            mask[(0, *index)] = True
        return mask

    def __repr__(self) -> str:
        return f"neurons({', '.join(str(index) for index in self.indices)})"


@dataclass(frozen=True)
class _Combined(Part):
    first: Part
    sign: str
    second: Part

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        first, second = self.first.mask(shape, layer), self.second.mask(shape, layer)
        return first & second if self.sign == "&" else first | second

    def __repr__(self) -> str:
        return f"({self.first!r} {self.sign} {self.second!r})"


@dataclass(frozen=True)
class _Complement(Part):
    part: Part

    def mask(self, shape: tuple[int, ...], layer: str) -> Tensor:
        return ~self.part.mask(shape, layer)

    def __repr__(self) -> str:
        return f"~{self.part!r}"


def _a_part(other: Any) -> Part:
    if not isinstance(other, Part):
        raise InputError(f"{other!r} is no part of a layer; combine parts with parts, as in channels(3) & region[2:4]")
    return other


def _dimension(dim: int, shape: tuple[int, ...], layer: str, word: str) -> int:
    if not -len(shape) <= dim < len(shape):
        raise LayerError(f"'{layer}' has shape {shape}: it has no {word} to filter by in dimension {dim}")
    if dim % len(shape) == 0:
        raise LayerError(f"'{layer}' has shape {shape}: dimension {dim} is the batch and has no {word} to filter by")
    return dim % len(shape)


def _chosen(numbers: tuple[int, ...], size: int, layer: str, word: str) -> Tensor:
    outside = [number for number in numbers if not -size <= number < size]
    if outside:
        raise LayerError(
            f"'{layer}' has {size} {word}; the filter names {outside[0]}, valid are 0 to {size - 1}, or {-size} to -1"
        )
    chosen = torch.zeros(size, dtype=torch.bool)
    chosen[list(numbers)] = True
    return chosen


def _along(dim: int, rank: int, chosen: Tensor) -> Tensor:
    """The choice within one dimension, shaped to broadcast over the others."""
    return chosen.view([-1 if each == dim else 1 for each in range(rank)])


def _sliced(bounds: Bounds) -> str:
    start, stop, step = ("" if bound is None else str(bound) for bound in bounds)
    return f"{start}:{stop}" + (f":{step}" if step else "")


def _listed(values: Iterable[Any]) -> str:
    return ", ".join(repr(value) for value in values)
