"""The part of a graph from an inner layer on."""

from __future__ import annotations

from xaicore.errors import LayerError
from xaicore.graph.facts import with_facts
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref
from xaicore.graph.removed import among


def cut_graph(graph: Graph, start: Layer) -> Graph:
    """See `Graph.cut`."""
    if start.constant:
        raise LayerError(f"'{start.name}' depends on no input: there is nothing to cut at")
    graph = graph.copy()
    start = graph.find(start.name)
    rest = _descendants(graph, start)
    outputs = {name: ref for name, ref in graph.outputs.items() if ref.layer in rest}
    if not outputs:
        raise LayerError(f"no output of the model depends on '{start.name}'")
    if start in rest and any(ref.layer is start for ref in outputs.values()):
        raise LayerError(f"'{start.name}' is an output of the model: nothing is left to run after it")
    wanted = [Ref(start, index) for index in range(len(start.outputs)) if graph.consumers.get(Ref(start, index))]
    for layer in graph.layers:
        if layer in rest and layer is not start:
            wanted += [ref for ref in layer.inputs if ref.layer not in rest or ref.layer is start]
    wanted = list(dict.fromkeys(wanted))
    inputs = {ref: input_for(ref) for ref in wanted}
    body = [layer for layer in graph.layers if layer.constant or (layer in rest and layer is not start)]
    part = Graph(
        [*inputs.values(), *body],
        list(inputs.values()),
        outputs,
        notes=graph.notes,
        batch_norm=graph.batch_norm,
        aliases=among(graph.aliases, {*body, *(ref.layer for ref in inputs)}),
        absorbed=graph.absorbed,
    )
    return with_facts(part.replaced({ref: layer.ref for ref, layer in inputs.items()}))


def _descendants(graph: Graph, start: Layer) -> set[Layer]:
    found = {start}
    for layer in graph.layers:
        if any(ref.layer in found for ref in layer.inputs):
            found.add(layer)
    return found


def input_for(ref: Ref) -> Layer:
    name = ref.layer.name if len(ref.layer.outputs) == 1 else f"{ref.layer.name}.{ref.index}"
    return Layer(name, Kind.INPUT, ref.layer.op, "input", {}, (ref.info,), module_path=ref.layer.module_path)
