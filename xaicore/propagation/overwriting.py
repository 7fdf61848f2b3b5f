"""Which ReLU layers may write over their input, as they do in most models: one tensor less to write and to hold."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from xaicore.graph import Graph, Kind, Layer, Ref
from xaicore.propagation.coefficient import hands_on, only_coefficients
from xaicore.propagation.direct import is_relu
from xaicore.propagation.matching import Matching

# Their results are in memory of their own, and their derivatives do not read them.
_FRESH = (Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM, Kind.ADD)


def relus_in_place(
    graph: Graph, walks: Sequence[tuple[Matching, bool]], named: Collection[Ref] = ()
) -> frozenset[Layer]:
    """The ReLU layers whose input nothing else reads, in the forward or on any of these walks.

    Where relevance behind a ReLU is known as coefficients, the layer before needs its own output only where it is
    positive, and that is what the ReLU leaves.

    Parameters
    ----------
    graph : Graph
    walks : sequence of (Matching, bool)
        The walks over one tape, and whether each is factored.
    named : collection of Ref
        Tensors that were asked for or have a filter.
    """
    kept = {*named, *graph.outputs.values(), *(ref for matching, _ in walks for ref in matching.starts)}
    alone = [layer for layer in graph.layers if is_relu(layer) and _reads_alone(graph, layer, kept)]
    for matching, factored in walks:
        coefficients = only_coefficients(matching, {*named, *matching.ends}) if factored else set()
        alone = [layer for layer in alone if _may_overwrite(matching, layer, coefficients)]
    return frozenset(alone)


def _reads_alone(graph: Graph, relu: Layer, kept: Collection[Ref]) -> bool:
    if len(relu.inputs) != 1:
        return False
    ref = relu.inputs[0]
    return ref.layer.kind in _FRESH and graph.consumers[ref] == [relu] and ref not in kept


def _may_overwrite(matching: Matching, relu: Layer, coefficients: Collection[Ref]) -> bool:
    """Whether this walk can do without what stood before the ReLU."""
    match, before = matching.matches.get(relu), matching.matches.get(relu.inputs[0].layer)
    if Ref(relu) in coefficients and match is not None and hands_on(match.mapping, relu) is not None:
        return before is None or hands_on(before.mapping, before.layer) is not None
    return "xs" not in matching.needs(relu) and "ys" not in matching.needs(relu.inputs[0].layer)
