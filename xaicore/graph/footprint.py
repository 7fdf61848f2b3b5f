"""How much memory the samples of a batch take on their way through a graph."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Ref

_VIEWS = (Kind.RESHAPE, Kind.SELECT)


def bytes_computed(graph: Graph, sizes: Mapping[Any, int]) -> tuple[int, int]:
    """The bytes of all that a forward computes, inputs of these sizes included, and those of the largest tensor.

    That is what it leaves behind for a walk back, and more than lives at once without one.
    """
    computed = [
        bytes_of(Ref(layer, index), sizes)
        for layer in graph.layers
        if not layer.constant and layer.kind not in _VIEWS
        for index in range(len(layer.outputs))
    ]
    return sum(computed), max(computed, default=0)


def bytes_of(ref: Ref, sizes: Mapping[Any, int]) -> int:
    """The bytes of one tensor."""
    shape = (size if isinstance(size, int) else size.evaluate(sizes) for size in ref.info.shape)
    return int(prod(shape)) * ref.info.dtype.itemsize
