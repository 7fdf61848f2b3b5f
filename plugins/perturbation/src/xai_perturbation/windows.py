"""Windows that slide over an input, overlapping where the stride is smaller than the window."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers import cell_sizes, default_cells
from xaicore.errors import InputError, ParameterError, nearest

Sizes = int | tuple[int, ...]


class Windows:
    """Boxes at regular distances in an input, numbered with the last dimension running fastest.

    Parameters
    ----------
    starts, stops : sequence of sequence of int
        Of each dimension of a sample, where its intervals begin and end. Each combination is a window.
    shape : tuple of int
        Of a sample.

    Examples
    --------
    >>> windows = Windows.sliding(3, 2, "x", (4,))
    >>> windows.masks(torch.tensor([0, 1])).int()
    tensor([[1, 1, 1, 0],
            [0, 0, 1, 1]], dtype=torch.int32)
    >>> windows.mean(torch.tensor([[1.0, 3.0]]))
    tensor([[1., 1., 2., 3.]])
    """

    def __init__(self, starts: Sequence[Sequence[int]], stops: Sequence[Sequence[int]], shape: tuple[int, ...]) -> None:
        self.starts, self.stops, self.shape = starts, stops, shape
        self.grid = tuple(len(each) for each in starts)
        self.count = math.prod(self.grid)

    @classmethod
    def sliding(
        cls, window: Sizes, stride: Sizes | None, name: str, shape: tuple[int, ...], *, inside: bool = False
    ) -> Windows:
        """Windows of one size that cover every entry of the samples of input ``name``.

        Parameters
        ----------
        window, stride : int or tuple of int
            As `Occlusion` takes them.
        inside : bool
            The last window of a dimension is moved back until it is whole. Otherwise it ends with the input.
        """
        sizes = cell_sizes(window, name, shape, "window")
        steps = _strides(stride, sizes, name, shape)
        starts = []
        for size, step, length in zip(sizes, steps, shape, strict=True):
            if step > size:
                raise ParameterError(
                    f"stride={stride!r} is larger than the window of {size} in input {name!r}: entries between the "
                    "windows would have no value"
                )
            first = range(0, length - size + step, step)
            starts.append([min(start, length - size) if inside else start for start in first])
        stops = [
            [min(start + size, length) for start in each]
            for each, size, length in zip(starts, sizes, shape, strict=True)
        ]
        return cls(starts, stops, shape)

    def places(self, number: int) -> tuple[int, ...]:
        """Which interval of each dimension a window is made of."""
        places = []
        for length in reversed(self.grid):
            number, place = divmod(number, length)
            places.append(place)
        return tuple(reversed(places))

    def slices(self, number: int) -> tuple[slice, ...]:
        """The window as slices of a sample."""
        return tuple(
            slice(self.starts[dim][place], self.stops[dim][place]) for dim, place in enumerate(self.places(number))
        )

    def masks(self, numbers: Tensor) -> Tensor:
        """Which entries lie in these windows, boolean (steps, ...), with 1 for dimensions that windows span."""
        masks = torch.ones([len(numbers)] + [1] * len(self.shape), dtype=torch.bool, device=numbers.device)
        for dim in range(len(self.shape)):
            if self.grid[dim] == 1:
                continue
            place = numbers // math.prod(self.grid[dim + 1 :]) % self.grid[dim]
            view = [len(numbers)] + [1] * len(self.shape)
            view[dim + 1] = self.shape[dim]
            masks = masks & self._inside(dim, numbers.device)[place].view(view)
        return masks

    def mean(self, values: Tensor) -> Tensor:
        """Of each entry the mean of the values of its windows, (B, count) -> (B, ...).

        A window is a product of intervals, so the sum over windows is done dimension by dimension.
        """
        found = values.unflatten(1, self.grid)
        covered = torch.ones([1] * found.ndim, dtype=values.dtype, device=values.device)
        for dim, length in enumerate(self.shape):
            inside = self._inside(dim, values.device).to(values.dtype)
            found = torch.tensordot(found, inside, dims=([1], [0]))
            covered = covered * inside.sum(0).view([length if at == dim + 1 else 1 for at in range(found.ndim)])
        mean: Tensor = found / covered
        return mean

    def _inside(self, dim: int, device: torch.device) -> Tensor:
        """Which positions of a dimension lie in each of its intervals, (intervals, positions)."""
        at = torch.arange(self.shape[dim], device=device)
        starts, stops = (torch.tensor(each[dim], device=device)[:, None] for each in (self.starts, self.stops))
        return (at >= starts) & (at < stops)


def resolve_windows(
    window: Any, stride: Any, varied: Mapping[str, Tensor], *, inside: bool = False
) -> dict[str, Windows]:
    """The windows of each input, from what a user writes as ``window=`` and ``stride=``.

    Inputs that a dict of windows does not name have none.
    """
    for what, given in (("window", window), ("stride", stride)):
        for name in given if isinstance(given, Mapping) else ():
            if name not in varied:
                raise InputError(
                    f"{what}: there is no input {name!r}; there are {', '.join(map(repr, varied))}."
                    f"{nearest(str(name), list(varied))}"
                )
    found = {}
    for name, x in varied.items():
        if isinstance(window, Mapping) and name not in window:
            continue
        size = window[name] if isinstance(window, Mapping) else window
        step = stride.get(name) if isinstance(stride, Mapping) else stride
        found[name] = Windows.sliding(
            default_cells(tuple(x.shape[1:])) if size is None else size, step, name, tuple(x.shape[1:]), inside=inside
        )
    return found


def check_sizes(what: str, sizes: Any) -> None:
    """Refuse a window or stride that is not positive integers."""
    if isinstance(sizes, Mapping):
        if not sizes:
            raise ParameterError(f"{what}={{}} names no input: leave it out, or name the inputs that are meant")
        for name, each in sizes.items():
            check_sizes(f"{what}[{name!r}]", each)
        return
    each = sizes if isinstance(sizes, tuple) else (1 if sizes is None else sizes,)
    if not each or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in each):
        raise ParameterError(
            f"{what}={sizes!r} must be a positive integer, a tuple of them, or a dict of these by input"
        )


def _strides(stride: Sizes | None, sizes: tuple[int, ...], name: str, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of all dimensions; default: half the window, and the whole window over the channels."""
    if stride is None:
        halves = tuple(-(-size // 2) for size in sizes)
        return halves if len(shape) == 1 else (sizes[0], *halves[1:])
    if isinstance(stride, int) and len(shape) > 1:
        return (sizes[0], *cell_sizes(stride, name, shape, "stride")[1:])
    if isinstance(stride, tuple) and len(stride) == len(shape) - 1 > 0:
        return (sizes[0], *cell_sizes(stride, name, shape, "stride")[1:])
    return cell_sizes(stride, name, shape, "stride")
