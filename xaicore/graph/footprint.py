"""How much memory a sample takes on its way through a graph."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Ref

_VIEWS = (Kind.RESHAPE, Kind.SELECT)


def bytes_of_forward(graph: Graph, sizes: Mapping[Any, int]) -> int:
    """The most that live at once while the graph runs forward, for inputs of these sizes."""
    live: dict[Ref, int] = {layer.ref: bytes_of(layer.ref, sizes) for layer in graph.inputs}
    most = sum(live.values())
    for layer in graph.layers:
        if layer.constant or layer.kind is Kind.INPUT:
            continue
        for index in range(len(layer.outputs)):
            ref = Ref(layer, index)
            live[ref] = 0 if layer.kind in _VIEWS else bytes_of(ref, sizes)
        most = max(most, sum(live.values()))
        for ref in graph.last_uses.get(layer, ()):
            live.pop(ref, None)
    return most


def bytes_of_backward(graph: Graph, sizes: Mapping[Any, int]) -> int:
    """What a forward leaves behind for a walk back, and the walk itself: all that is computed, and its gradients."""
    computed = [
        0 if layer.kind in _VIEWS else bytes_of(Ref(layer, index), sizes)
        for layer in graph.layers
        if not layer.constant
        for index in range(len(layer.outputs))
    ]
    return sum(computed) + 2 * max(computed, default=0)


def bytes_of(ref: Ref, sizes: Mapping[Any, int]) -> int:
    """The bytes of one tensor."""
    shape = (size if isinstance(size, int) else size.evaluate(sizes) for size in ref.info.shape)
    return int(prod(shape)) * ref.info.dtype.itemsize
