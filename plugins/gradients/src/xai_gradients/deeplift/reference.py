"""What the layers compute from the reference, beside which a walk sees what they compute from the sample."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Graph, Layer, Ref
from xaicore.propagation import Matching


class Reference:
    """The values of a graph at a reference, for the layers whose mappings read them.

    They are held as they come out of the forward, apart from the tape of the samples: where the batch lies in a tensor
    (in front, in the middle, folded into another dimension) then does not matter.

    Parameters
    ----------
    graph : Graph
    starts : collection of Ref
        What is varied.
    """

    def __init__(self, graph: Graph, starts: Collection[Ref]) -> None:
        self.graph = graph
        self.reached = graph.after(starts)
        self._values: Mapping[Ref, Tensor] = {}
        self._sizes: Mapping[Any, int] = {}
        self._copies = 1

    def run(self, tensors: Sequence[Tensor], matching: Matching, end: Ref, sizes: Mapping[Any, int]) -> Tensor:
        """Run the graph and keep what the mappings read; returns the value at ``end``.

        Parameters
        ----------
        tensors : sequence of Tensor
            One for each input of the graph.
        sizes : mapping
            `Graph.sizes` of the samples' tensors.
        """
        wanted = {end: None}
        for layer, match in matching.matches.items():
            if getattr(match.mapping, "compares", False):
                wanted |= dict.fromkeys([*layer.inputs, *(Ref(layer, index) for index in range(len(layer.outputs)))])
        with torch.no_grad():
            self._values = self.graph.values(tensors, list(wanted))
        self._sizes = sizes
        self._copies = 1
        return self._values[end].detach()

    def repeat(self, copies: int) -> None:
        """Let the values, of some rows, stand for those rows ``copies`` times over, one round after the other."""
        self._copies = copies

    def xs(self, layer: Layer) -> list[Tensor]:
        """The layer's inputs at the reference."""
        return [self._at(ref) for ref in layer.inputs]

    def ys(self, layer: Layer) -> list[Tensor]:
        """The layer's outputs at the reference."""
        return [self._at(Ref(layer, index)) for index in range(len(layer.outputs))]

    def _at(self, ref: Ref) -> Tensor:
        value = self._values[ref].detach()
        if self._copies == 1:
            return value
        others = value.shape[1:]
        return (
            value.expand(self._copies, *others) if len(value) == 1 else value.repeat(self._copies, *[1] * len(others))
        )

    def evaluate(self, layer: Layer, xs: Iterable[Tensor]) -> tuple[Any, ...]:
        """The layer at other inputs, with its own parameters."""
        remaining = iter(xs)

        def lookup(ref: Ref) -> Tensor:
            return self.graph.constants.value(ref, self._sizes) if ref.layer.constant else next(remaining)

        return layer.call(lookup, self._sizes)

    def pull(self, layer: Layer, xs: Sequence[Tensor], rs: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The vector-Jacobian product of the layer at other inputs; None where nothing flows."""
        active = [x.is_floating_point() and ref.layer in self.reached for x, ref in zip(xs, layer.inputs, strict=True)]
        with torch.enable_grad():
            points = [x.detach().requires_grad_() if flag else x for x, flag in zip(xs, active, strict=True)]
            ys = self.evaluate(layer, points)
        pairs = [(y, r.to(y.dtype)) for y, r in zip(ys, rs, strict=False) if r is not None and y.requires_grad]
        leaves = [point for point, flag in zip(points, active, strict=True) if flag]
        if not pairs or not leaves:
            return [None] * len(points)
        ends, seeds = zip(*pairs, strict=True)
        found = iter(torch.autograd.grad(ends, leaves, seeds, allow_unused=True))
        return [next(found) if flag else None for flag in active]


def is_shareable(graph: Graph, matching: Matching) -> bool:
    """Whether one reference row can stand for many: what mappings compare has the batch in front, and only there."""
    batch = graph.inputs[0].outputs[0].shape[0]
    if isinstance(batch, int):
        return False
    for layer, match in matching.matches.items():
        if not getattr(match.mapping, "compares", False):
            continue
        for ref in (*layer.inputs, *(Ref(layer, index) for index in range(len(layer.outputs)))):
            shape = ref.info.shape
            if not shape or shape[0] != batch or not all(isinstance(size, int) for size in shape[1:]):
                return False
    return True
