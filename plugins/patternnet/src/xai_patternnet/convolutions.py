"""The layout of convolutions: sums over the patches that units see, without cutting patches out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xai_patternnet.layouts import Layout
from xaicore.graph import Layer

_MOST_UNFOLDED = 2**24  # numbers that the patches of a few samples may take at once


class ConvolutionLayout(Layout):
    """A convolution or transposed convolution of any number of dimensions; entries are those of a patch.

    The sum of ``x_i g`` over all positions is what the gradient with respect to the weight is, for the gradient g at
    the output, so that no patch is ever cut out here. Padded positions are part of a patch, with the value zero.

    Entries have the shape (groups, units, inputs, ...), transposed convolutions (groups, inputs, units, ...).
    """

    def __init__(self, layer: Layer, weight: Tensor) -> None:
        self.spatial = weight.ndim - 2
        self.weight_shape = tuple(weight.shape)
        options = layer.arguments
        self.transposed = layer.op_name.startswith("conv_transpose") or bool(options.get("transposed", False))
        self.groups = int(options.get("groups") or 1)
        self.options = [
            self._sizes(options.get("stride", 1)),
            self._sizes(options.get("padding", 0)),
            self._sizes(options.get("dilation", 1)),
            self.transposed,
            self._sizes(options.get("output_padding", 0)),
            self.groups,
        ]
        super().__init__(weight, (self.groups, len(weight) // self.groups, *weight.shape[1:]))

    def _sizes(self, value: Any) -> list[int]:
        values = list(value) if isinstance(value, list | tuple) else [value]
        return values * self.spatial if len(values) == 1 else values

    def entries(self, xs: Sequence[Tensor], gs: Sequence[Tensor]) -> list[Tensor]:
        """See `Layout.entries`."""
        x = self._batched(xs[0])
        # Several g at once are more output channels, of each group.
        by_group = [self._batched(g).unflatten(1, (self.groups, -1)) for g in gs]
        sizes = [g.shape[2] for g in by_group]
        total: Tensor | None = None
        for rows in torch.arange(len(x)).split(self._samples_at_once(x, by_group[0])):
            part = slice(int(rows[0]), int(rows[-1]) + 1)
            found = self._weight_gradient(x[part].double(), torch.cat([g[part] for g in by_group], 2).flatten(1, 2))
            total = found if total is None else total.add_(found)
        assert total is not None
        return list(total.unflatten(0, (self.groups, -1)).split(sizes, dim=2 if self.transposed else 1))

    def places(self, x: Tensor, y: Tensor) -> float:
        """See `Layout.places`; a transposed convolution spreads each input, whatever the stride."""
        return float(self._batched(x)[:, 0].numel()) if self.transposed else super().places(x, y)

    def _weight_gradient(self, x: Tensor, g: Tensor) -> Tensor:
        channels = g.shape[1]
        first = (x.shape[1], channels // self.groups) if self.transposed else (channels, self.weight_shape[1])
        # Only the shape of the weight matters for the gradient with respect to it.
        weight = x.new_zeros(()).expand(*first, *self.weight_shape[2:])
        found: Tensor = torch.ops.aten.convolution_backward.default(
            g, x, weight, None, *self.options, [False, True, False]
        )[1]
        return found

    def _samples_at_once(self, x: Tensor, g: Tensor) -> int:
        """So many that their patches, which the CPU's kernel cuts out all at once, take a bounded memory."""
        positions = x.shape[2:] if self.transposed else g.shape[3:]
        channels = g.shape[1] * g.shape[2] if self.transposed else x.shape[1]
        return max(1, _MOST_UNFOLDED // (channels * math.prod(positions) * math.prod(self.weight_shape[2:])))

    def _batched(self, value: Tensor) -> Tensor:
        return value.unsqueeze(0) if value.ndim == self.spatial + 1 else value

    def units(self, g: Tensor) -> Tensor:
        """See `Layout.units`."""
        g = self._batched(g)
        sums = g.sum([0, *range(2, g.ndim)])
        shape = (self.groups, 1, -1) if self.transposed else (self.groups, -1, 1)
        return sums.reshape(*shape, *[1] * self.spatial)

    def outputs(self, units: Tensor) -> Tensor:
        """See `Layout.outputs`."""
        return units.reshape(-1, *[1] * self.spatial)

    def total(self, entries: Tensor) -> Tensor:
        """See `Layout.total`."""
        return entries.sum([1 if self.transposed else 2, *range(3, entries.ndim)], keepdim=True)

    def all_entries(self, xs: Sequence[Tensor], y: Tensor) -> Tensor:
        """See `Layout.all_entries`; the same for all units of a group, so that one each is enough."""
        y = self._batched(y)
        one = y.new_ones(()).expand(y.shape[0], self.groups, *y.shape[2:])
        return self.entries(xs, [one])[0].expand(self.shape)
