"""Model -> DAG: capture, layers and their kinds, conditions, passes, drawing."""

from xaicore.graph.conditions import Condition, anything, depth, first_on_path, kind, last, named, op, under
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.trace import trace

__all__ = [
    "Condition",
    "Graph",
    "Kind",
    "Layer",
    "Ref",
    "TensorInfo",
    "anything",
    "depth",
    "first_on_path",
    "kind",
    "last",
    "named",
    "op",
    "trace",
    "under",
]
