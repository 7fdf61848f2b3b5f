"""A graph that takes inner tensors as inputs."""

from __future__ import annotations

from collections.abc import Sequence

from xaicore.errors import LayerError
from xaicore.graph.cut import input_for
from xaicore.graph.facts import with_facts
from xaicore.graph.graph import Graph
from xaicore.graph.layer import Layer, Ref


def opened_graph(graph: Graph, refs: Sequence[Ref]) -> Graph:
    """See `Graph.opened`."""
    twin = graph.copy()
    copies = dict(zip(graph.layers, twin.layers, strict=True))
    at = [Ref(copies[ref.layer], ref.index) for ref in refs]
    new = {ref: input_for(ref) for ref in at if ref.layer not in twin.inputs}
    twin.layers = (*new.values(), *twin.layers)
    changed = twin.replaced({ref: layer.ref for ref, layer in new.items()})
    needed = {layer for layer in changed.layers if any(changed.consumers.get(Ref(layer, i)) for i in _outputs(layer))}
    needed |= {ref.layer for ref in changed.outputs.values()}
    for ref in at:
        if new.get(ref, ref.layer) not in needed:
            raise LayerError(f"no output of the model depends on '{ref!r}'")
    starts = [new.get(ref, ref.layer) for ref in at]
    others = [layer for layer in changed.inputs if layer in needed and layer not in starts]
    unused = set(changed.inputs) - needed
    part = Graph(
        [layer for layer in changed.layers if layer not in unused],
        [*starts, *others],
        changed.outputs,
        notes=changed.notes,
        batch_norm=changed.batch_norm,
        aliases=changed.aliases,
        absorbed=changed.absorbed,
    )
    return with_facts(part)


def _outputs(layer: Layer) -> range:
    return range(len(layer.outputs))
