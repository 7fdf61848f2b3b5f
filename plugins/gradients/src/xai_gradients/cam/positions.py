"""Where in space each entry of a tensor belongs, followed through the graph.

A convolution lays its output out on a grid. From there on positions are followed as data: coordinates are reshaped,
permuted, cut into windows and joined with class tokens just as the values are. So feature maps are recognised whatever
layout they have: (B, C, h, w), channels last, tokens, windows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Graph, Kind, Layer, Ref

POOLS = frozenset({Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.LP_POOL, Kind.INTERPOLATE})
MIXES_ROWS = frozenset({Kind.ATTENTION, Kind.MATMUL})
MOVES = frozenset({Kind.RESHAPE, Kind.SELECT, Kind.CONCAT, Kind.PAD})

_ELEMENTWISE = frozenset(
    {Kind.ACTIVATION, Kind.BATCH_NORM, Kind.NORM, Kind.ADD, Kind.SCALE, Kind.PRODUCT, Kind.CAST, Kind.SOFTMAX}
)
# They are of kind SELECT, but choose by value: which position is chosen depends on the sample.
_BY_VALUE = frozenset("max min amin aminmax median nanmedian kthvalue topk sort msort cummax cummin".split())
_PRODUCTS_OF_ROWS = {"matmul": 0, "bmm": 0, "mm": 0, "addmm": 1, "baddbmm": 1}


@dataclass(frozen=True)
class Positions:
    """For each entry of a tensor its coordinate along every spatial dimension, between 0 and 1; NaN where it has none.

    Attributes
    ----------
    axes : tuple of Tensor
        One a spatial dimension, each of the shape of the tensor.
    complete : bool
        Whether every entry has a position; class tokens and padding have none.
    """

    axes: tuple[Tensor, ...]
    complete: bool = True

    @property
    def shape(self) -> torch.Size:
        """The shape of the tensor."""
        return self.axes[0].shape

    @property
    def none(self) -> bool:
        """Whether no entry has a position."""
        return not self.complete and bool(self.axes[0].isnan().all())


class Follower:
    """Follows positions through a graph.

    Parameters
    ----------
    graph : Graph
    sizes : mapping
        The sizes of the batch symbols, see `Graph.sizes`.
    dims : int
        Number of spatial dimensions.
    device : torch.device
        Where the model's constants are.
    """

    def __init__(self, graph: Graph, sizes: Mapping[Any, int], dims: int, device: torch.device) -> None:
        self.graph, self.sizes, self.dims, self.device = graph, sizes, dims, device

    def follow(self, starts: Mapping[Ref, Positions] | None = None, *, renew: bool = True) -> dict[Ref, Positions]:
        """The positions of all tensors that have some.

        Parameters
        ----------
        starts : mapping, optional
            Positions to begin with.
        renew : bool
            Whether convolutions and poolings lay out new grids; else positions end there.
        """
        found = dict(starts or {})
        for layer in self.graph.layers:
            if layer.constant or layer.kind is Kind.INPUT:
                continue
            for index, positions in enumerate(self._of(layer, found, renew)):
                if positions is not None and Ref(layer, index) not in found:
                    found[Ref(layer, index)] = positions
        return found

    def shape(self, ref: Ref) -> tuple[int, ...]:
        """The shape for these sizes."""
        return tuple(size if isinstance(size, int) else size.evaluate(self.sizes) for size in ref.info.shape)

    def fresh(self, ref: Ref) -> Positions | None:
        """A new grid on a tensor (B, C, ...); None where it has no extent in space."""
        shape = self.shape(ref)
        extent = shape[2:]
        if len(extent) != self.dims or torch.Size(extent).numel() < 2:
            return None
        return Positions(tuple(self.along(shape, dim) for dim in range(2, len(shape))))

    def along(self, shape: Sequence[int], dim: int) -> Tensor:
        """Coordinates along one dimension: the centres of as many cells as it has entries."""
        centres = (torch.arange(shape[dim], device=self.device) + 0.5) / shape[dim]
        return centres.reshape([-1 if each == dim else 1 for each in range(len(shape))]).expand(tuple(shape))

    def _of(self, layer: Layer, found: Mapping[Ref, Positions], renew: bool) -> Sequence[Positions | None]:
        if layer.kind is Kind.CONVOLUTION or layer.kind in POOLS:
            return [self.fresh(layer.ref) if renew else None]
        if not any(ref in found for ref in layer.inputs):
            return []
        if layer.kind in MOVES:
            return self._moved(layer, found)
        if layer.kind in _ELEMENTWISE:
            return [self._shared(layer, found)]
        if layer.kind is Kind.EMBEDDING:
            return [self._widened(layer, found.get(layer.inputs[0]))]
        if layer.kind is Kind.LINEAR:
            return [self._averaged(layer, found.get(layer.inputs[0]))]
        if layer.kind in MIXES_ROWS:
            return [self._rows(layer, found)]
        return []

    def _moved(self, layer: Layer, found: Mapping[Ref, Positions]) -> Sequence[Positions | None]:
        """Coordinates go where the values go; what comes in beside them has none."""
        if layer.op_name in _BY_VALUE:
            return []
        tensors = list(layer.refs())
        if layer.kind is Kind.CONCAT and (same := self._same_grid(layer, tensors, found)) is not None:
            return [same]
        if any(not ref.layer.constant and not ref.info.differentiable for ref in tensors):
            return []  # places that depend on the sample

        def moved(axis: int) -> tuple[Tensor, ...]:
            def lookup(ref: Ref) -> Tensor:
                if ref in found:
                    return found[ref].axes[axis]
                if ref.info.differentiable:
                    return torch.full(self.shape(ref), torch.nan, device=self.device)
                return self.graph.constants.value(ref, self.sizes)

            return layer.call(lookup, self.sizes)

        results = [moved(axis) for axis in range(self._axes(found))]
        if layer.kind is Kind.PAD:  # no coordinate is 0, nor the value of any padding in use
            filling = layer.options.get("value") or 0.0
            results = [(torch.where(out[0] == filling, torch.nan, out[0]),) for out in results]
        whole = layer.kind is not Kind.PAD and all(found[ref].complete for ref in tensors if ref in found)
        whole &= all(ref in found for ref in tensors if ref.info.differentiable)
        return [Positions(axes, whole or not bool(axes[0].isnan().any())) for axes in zip(*results, strict=True)]

    def _same_grid(self, layer: Layer, tensors: Sequence[Ref], found: Mapping[Ref, Positions]) -> Positions | None:
        """Maps of one grid joined along their channels: without laying out what is the same in all of them."""
        dim = layer.options.get("dim", 0)
        parts = [found.get(ref) for ref in tensors]
        if not all(part is not None and part.complete and len(part.shape) > 1 for part in parts):
            return None
        axes = [[axis.narrow(dim, 0, 1) for axis in part.axes] for part in parts if part is not None]
        constant = all(axis.stride(dim) == 0 for part in parts if part is not None for axis in part.axes)
        alike = constant and all(torch.equal(a, b) for other in axes[1:] for a, b in zip(axes[0], other, strict=True))
        shape = self.shape(layer.ref)
        return (
            Positions(tuple(axis.expand(shape) for axis in axes[0]))
            if alike and len(shape) == axes[0][0].ndim
            else None
        )

    @staticmethod
    def _axes(found: Mapping[Ref, Positions]) -> int:
        return len(next(iter(found.values())).axes)

    def _shared(self, layer: Layer, found: Mapping[Ref, Positions]) -> Positions | None:
        """Elementwise: as the operand that is not broadcast, completed by the others."""
        shape = self.shape(layer.ref)
        operands = [found[ref] for ref in dict.fromkeys(layer.inputs) if ref in found]
        operands = [each for each in operands if each.shape == shape]
        if not operands:
            return None
        result = operands[0]
        for other in operands[1:]:
            if result.complete:
                break
            axes = tuple(torch.where(a.isnan(), b, a) for a, b in zip(result.axes, other.axes, strict=True))
            result = Positions(axes, not bool(axes[0].isnan().any()))
        return result

    def _widened(self, layer: Layer, indices: Positions | None) -> Positions | None:
        """Each looked-up row is where its index is."""
        if indices is None:
            return None
        shape = self.shape(layer.ref)
        return Positions(tuple(axis.unsqueeze(-1).expand(shape) for axis in indices.axes), indices.complete)

    def _averaged(self, layer: Layer, given: Positions | None) -> Positions | None:
        """A linear layer over the last dimension: each output is at the centre of its inputs."""
        if given is None:
            return None
        shape = self.shape(layer.ref)
        # A dimension along which coordinates were expanded needs no mean.
        axes = tuple(axis[..., :1] if axis.stride(-1) == 0 else axis.nanmean(-1, keepdim=True) for axis in given.axes)
        if all(bool((axis.nan_to_num(-1) == axis.nan_to_num(-1).flatten()[0]).all()) for axis in axes) and not (
            given.none
        ):
            return None  # everything went into everything: no position is left
        return Positions(tuple(axis.expand(shape) for axis in axes), given.complete)

    def _rows(self, layer: Layer, found: Mapping[Ref, Positions]) -> Positions | None:
        """Attention and matrix products: what is computed for a row (a query) is where the row is."""
        row = row_operand(layer)
        if row is None or row not in found:
            return None
        shape = self.shape(layer.ref)
        given = found[row]
        if given.shape[:-1] != shape[:-1]:
            return None
        return Positions(tuple(axis[..., :1].expand(shape) for axis in given.axes), given.complete)


def row_operand(layer: Layer) -> Ref | None:
    """The operand of attention or of a matrix product whose rows are those of the result."""
    if layer.kind is Kind.ATTENTION:
        return layer.inputs[0] if layer.input_names[0] == "query" else None
    place = _PRODUCTS_OF_ROWS.get(layer.op_name)
    values = list(layer.arguments.values())
    return values[place] if place is not None and isinstance(values[place], Ref) else None
