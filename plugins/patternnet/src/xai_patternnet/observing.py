"""A forward run of the graph that shows the inputs and outputs of some layers, and keeps none of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Graph, Kind, Layer, Ref


@dataclass(frozen=True)
class Seen:
    """One layer in a forward run: its inputs, its output, and its constant arguments by name."""

    layer: Layer
    xs: tuple[Tensor, ...]
    y: Tensor
    parameters: Mapping[str, Tensor]


def observe(graph: Graph, tensors: Sequence[Tensor], layers: Collection[Layer]) -> Iterator[Seen]:
    """Run the graph on one tensor for each input, as far as these layers need it, and show each when it has run.

    Each value is freed after its last use.
    """
    sizes = graph.sizes(tensors)
    graph.constants.refresh()
    values = {layer.ref: tensor for layer, tensor in zip(graph.inputs, tensors, strict=True)}

    def value(ref: Ref) -> Tensor:
        return graph.constants.value(ref, sizes) if ref.layer.constant else values[ref]

    needed = graph.before([layer.ref for layer in layers])
    for layer in graph.layers:
        if layer.constant or layer.kind is Kind.INPUT or layer not in needed:
            continue
        outputs: tuple[Any, ...] = layer.call(value, sizes)
        values.update({Ref(layer, index): each for index, each in enumerate(outputs)})
        if layer in layers:
            parameters = {name: value(ref) for name, ref in layer.parameters.items()}
            yield Seen(layer, tuple(value(ref) for ref in layer.inputs), outputs[0], parameters)
        for ref in graph.last_uses.get(layer, ()):
            values.pop(ref, None)


def largest_of_a_sample(graph: Graph, tensors: Sequence[Tensor], batch: int) -> int:
    """Bytes that a sample takes in the largest tensor of the run."""
    sizes = graph.sizes(tensors)
    largest = 0
    for layer in graph.layers:
        if layer.constant:
            continue
        for info in layer.outputs:
            shape = [size if isinstance(size, int) else size.evaluate(sizes) for size in info.shape]
            largest = max(largest, torch.Size(shape).numel() * info.dtype.itemsize)
    return -(-largest // batch)
