"""Model -> DAG: capture, layers and their kinds, conditions, passes, drawing."""

from xaicore.graph.conditions import Condition, anything, depth, first_on_path, kind, last, named, op, under, up_to
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.part_words import channels, heads, neurons, region
from xaicore.graph.parts import Part
from xaicore.graph.trace import trace

__all__ = [
    "Condition",
    "Graph",
    "Kind",
    "Layer",
    "Part",
    "Ref",
    "TensorInfo",
    "anything",
    "channels",
    "depth",
    "first_on_path",
    "heads",
    "kind",
    "last",
    "named",
    "neurons",
    "op",
    "region",
    "trace",
    "under",
    "up_to",
]
