"""The windows of a pooling layer: sums over them, and the transposed map."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State


class Windows(ABC):
    """Which inputs of a pooling layer lie in the window of which output."""

    @abstractmethod
    def sum(self, values: Tensor) -> Tensor:
        """The sum over each window, in the shape of the output."""

    @abstractmethod
    def spread(self, values: Tensor) -> Tensor:
        """For each input the sum over the windows that it lies in, in the shape of the input."""


class GridWindows(Windows):
    """Boxes over the last dimensions, which may be dilated or overlap, of equal size or adaptive.

    A box is the product of intervals, so that one matrix a dimension, (outputs x inputs) of ones and zeros, says all.
    """

    def __init__(self, matrices: Sequence[Tensor]) -> None:
        self.matrices = tuple(matrices)

    def sum(self, values: Tensor) -> Tensor:
        """See `Windows.sum`."""
        return self._along_each(values, self.matrices)

    def spread(self, values: Tensor) -> Tensor:
        """See `Windows.spread`."""
        return self._along_each(values, [matrix.T for matrix in self.matrices])

    def _along_each(self, values: Tensor, matrices: Sequence[Tensor]) -> Tensor:
        values = torch.matmul(values, matrices[-1].T)
        for behind, matrix in enumerate(reversed(matrices[:-1]), start=1):
            # What lies behind this dimension stays in one piece, so that no memory is rearranged.
            rest = values.shape[-behind:]
            values = torch.matmul(matrix, values.flatten(-behind)).unflatten(-1, rest)
        return values


class WholeDimensions(Windows):
    """One window over all of some dimensions, which the output lacks unless it keeps them with size one."""

    def __init__(self, shape: Sequence[int], dims: Sequence[int], keepdim: bool) -> None:
        self.shape, self.dims, self.keepdim = tuple(shape), tuple(dims), keepdim

    def sum(self, values: Tensor) -> Tensor:
        """See `Windows.sum`."""
        return values.sum(self.dims, keepdim=self.keepdim)

    def spread(self, values: Tensor) -> Tensor:
        """See `Windows.spread`."""
        kept = [1 if dim in self.dims else size for dim, size in enumerate(self.shape)]
        return values.reshape(kept).expand(self.shape)


def windows_of(x: Tensor, y: Tensor, state: State) -> Windows:
    """The windows of a max pooling, lp-pooling or maximum over dimensions."""
    layer = state.layer
    if layer.op_name in ("amax", "max"):
        dims = layer.arguments.get("dim")
        chosen = [dims] if isinstance(dims, int) else list(dims or range(x.ndim))
        return WholeDimensions(x.shape, [dim % x.ndim for dim in chosen], bool(layer.arguments.get("keepdim")))
    pooled = _pooled_dimensions(layer)
    options = [_interval(layer, number, pooled) for number in range(pooled)]
    matrices = []
    for inputs, outputs, option in zip(x.shape[-pooled:], y.shape[-pooled:], options, strict=True):
        key = ("windows", inputs, outputs, option, x.dtype, x.device)
        matrices.append(state.cached(key, lambda i=inputs, o=outputs, w=option: _membership(i, o, w).to(x)))  # type: ignore[misc]
    return GridWindows(matrices)


Interval = tuple[int, int, int, int] | None  # kernel size, stride, padding, dilation; None: adaptive


def _pooled_dimensions(layer: Layer) -> int:
    digits = [int(character) for character in layer.op_name if character.isdigit()]
    return digits[0] if digits else len(layer.arguments["kernel_size"])


def _interval(layer: Layer, number: int, dimensions: int) -> Interval:
    if layer.op_name.startswith("adaptive"):
        return None

    def option(name: str, default: int) -> int:
        value: Any = layer.arguments.get(name)
        values = list(value) if isinstance(value, (list, tuple)) else [default if value is None else value]
        values = values or [default]  # an empty stride is the kernel size
        return int(values[number if len(values) == dimensions else 0])

    kernel = option("kernel_size", 1)
    return kernel, option("stride", kernel), option("padding", 0), option("dilation", 1)


def _membership(inputs: int, outputs: int, interval: Interval) -> Tensor:
    """Ones where an input lies in the window of an output: (outputs, inputs)."""
    i, o = torch.arange(inputs), torch.arange(outputs).unsqueeze(1)
    if interval is None:
        start, end = o * inputs // outputs, -(-(o + 1) * inputs // outputs)
        return (i >= start) & (i < end)
    kernel, stride, padding, dilation = interval
    offset = i - (o * stride - padding)
    return (offset >= 0) & (offset < kernel * dilation) & (offset % dilation == 0)
