"""How inputs, weights and units of a layer belong together: the sums over data that patterns are made of.

A *unit* is an output channel: all positions of a convolution, all tokens of a linear layer count as samples of it.
An *entry* is one of its inputs; there is one for each entry of the weight. Tensors of units have a shape that
broadcasts to that of entries. All sums are in float64.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from xai_patternnet.layers import signs
from xaicore.graph import Layer


class Layout(ABC):
    """Sums over the samples and positions of a layer.

    Attributes
    ----------
    shape : tuple of int
        Of the entries.
    """

    def __init__(self, weight: Tensor, shape: Sequence[int]) -> None:
        self.shape = tuple(shape)
        self._weight = weight

    @property
    def weight(self) -> Tensor:
        """The weights, float64, in the shape of the entries."""
        return self._weight.double().reshape(self.shape)

    @abstractmethod
    def entries(self, xs: Sequence[Tensor], gs: Sequence[Tensor]) -> list[Tensor]:
        """For each g, shaped like the output: the sum of ``x_i g`` for each entry i of a unit."""

    @abstractmethod
    def units(self, g: Tensor) -> Tensor:
        """The sum of g, shaped like the output, for each unit."""

    @abstractmethod
    def outputs(self, units: Tensor) -> Tensor:
        """One number a unit, shaped to broadcast against the output."""

    @abstractmethod
    def total(self, entries: Tensor) -> Tensor:
        """The sum over the entries of each unit."""

    def count(self, units: Tensor) -> int:
        """How many units a flag is set for."""
        return int(units.sum())

    def places(self, x: Tensor, y: Tensor) -> float:
        """For how many samples and positions a unit is computed, with all of its entries."""
        return float(self.units(torch.ones_like(y, dtype=torch.float64)).flatten()[0])

    def all_entries(self, xs: Sequence[Tensor], y: Tensor) -> Tensor:
        """The sum of ``x_i`` for each entry."""
        return self.entries(xs, [torch.ones_like(y)])[0]


class DenseLayout(Layout):
    """``y_k = sum_i w_ki x_i`` over the last dimension."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__(weight, weight.shape)

    def entries(self, xs: Sequence[Tensor], gs: Sequence[Tensor]) -> list[Tensor]:
        """See `Layout.entries`."""
        rows = torch.cat([g.reshape(-1, g.shape[-1]) for g in gs], 1)
        x = xs[0].reshape(-1, xs[0].shape[-1]).double()
        return list((rows.T @ x).split([g.shape[-1] for g in gs]))

    def units(self, g: Tensor) -> Tensor:
        """See `Layout.units`."""
        return g.reshape(-1, g.shape[-1]).sum(0)[:, None]

    def outputs(self, units: Tensor) -> Tensor:
        """See `Layout.outputs`."""
        return units[:, 0]

    def total(self, entries: Tensor) -> Tensor:
        """See `Layout.total`."""
        return entries.sum(1, keepdim=True)

    def all_entries(self, xs: Sequence[Tensor], y: Tensor) -> Tensor:
        """See `Layout.all_entries`; the same for all units."""
        return xs[0].reshape(-1, xs[0].shape[-1]).double().sum(0).expand(self.shape)


class ProductLayout(Layout):
    """Any product of an input and a constant, such as an einsum or a matrix on the left.

    Which outputs a weight takes part in is asked of the product itself: it is applied to an input of ones.
    Units are as many as entries here; those of one unit hold the same number.
    """

    def __init__(self, layer: Layer, weight: Tensor, x: Tensor) -> None:
        super().__init__(weight, weight.shape)
        self._product: Callable[[Tensor, Tensor], Tensor] = layer.op
        self._ones = torch.ones_like(x, dtype=torch.float64)
        self._one_each = self._ones.new_ones(self.shape)

    def _pulled(self, x: Tensor, g: Tensor) -> Tensor:
        # The product is linear in the weight: at which one it is transposed does not matter.
        pull: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(lambda each: self._product(x, each), self._one_each)[1]
        return pull(g)[0]

    def entries(self, xs: Sequence[Tensor], gs: Sequence[Tensor]) -> list[Tensor]:
        """See `Layout.entries`."""
        return [self._pulled(xs[0].double(), g) for g in gs]

    def units(self, g: Tensor) -> Tensor:
        """See `Layout.units`."""
        return self._pulled(self._ones, g)

    def outputs(self, units: Tensor) -> Tensor:
        """See `Layout.outputs`."""
        return self._product(self._ones, units) / self._product(self._ones, self._one_each)

    def total(self, entries: Tensor) -> Tensor:
        """See `Layout.total`."""
        sums = self._product(self._ones, entries)
        return self.units(sums) / self.units(torch.ones_like(sums))

    def count(self, units: Tensor) -> int:
        """See `Layout.count`; by fractions, one for each entry of a unit."""
        return round(float((units / self.total(self._one_each)).sum()))


class AdditionLayout(Layout):
    """A sum of two tensors, channel by channel: entries have the shape (2, channels), units (1, channels)."""

    def __init__(self, layer: Layer, y: Tensor, dimension: int) -> None:
        self.dimension = dimension
        self._broadcast = [-1 if each == dimension else 1 for each in range(y.ndim)]
        self._others = [each for each in range(y.ndim) if each != dimension]
        channels = y.shape[dimension]
        weight = torch.tensor(signs(layer), dtype=torch.float64, device=y.device)
        super().__init__(weight[:, None].expand(2, channels), (2, channels))

    def entries(self, xs: Sequence[Tensor], gs: Sequence[Tensor]) -> list[Tensor]:
        """See `Layout.entries`."""
        return [torch.stack([(x.double() * g).sum(self._others) for x in xs]) for g in gs]

    def units(self, g: Tensor) -> Tensor:
        """See `Layout.units`."""
        return g.sum(self._others)[None]

    def outputs(self, units: Tensor) -> Tensor:
        """See `Layout.outputs`."""
        return units[0].view(self._broadcast)

    def total(self, entries: Tensor) -> Tensor:
        """See `Layout.total`."""
        return entries.sum(0, keepdim=True)
