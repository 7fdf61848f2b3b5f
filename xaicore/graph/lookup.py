"""Finding a layer, or one tensor, by the name a person would use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xaicore.errors import LayerError, nearest
from xaicore.graph.layer import Layer, Ref

if TYPE_CHECKING:
    from xaicore.graph.graph import Graph

_OUTPUT = re.compile(r"(?P<layer>.+)\[(?P<index>\d+)\]")


def find_layer(graph: Graph, name: str | Layer) -> Layer:
    """See `Graph.find`."""
    name = _checked(name)
    return _named(graph, name) or _call(graph, name)[-1].layer


def find_ref(graph: Graph, name: str | Layer) -> Ref:
    """See `Graph.find_ref`."""
    name = _checked(name)
    if name in graph.aliases:
        return graph.aliases[name]
    if layer := _named(graph, name):
        return _only_output(layer)
    chosen = _OUTPUT.fullmatch(name)
    if chosen and (layer := _named(graph, chosen["layer"])):
        return _output(layer, int(chosen["index"]))
    return _result(graph, name, _call(graph, name))


def _checked(name: str | Layer) -> str:
    """The name; a layer of the graph before a pass stands for its twin after it."""
    if isinstance(name, Layer):
        return name.name
    if not isinstance(name, str):
        raise LayerError(f"a layer is named by a string, such as 'conv2d_1' or 'features.3', not {name!r}")
    return name


def _named(graph: Graph, name: str) -> Layer | None:
    """The layer of this name, or what is left of it."""
    if name in graph.absorbed:
        raise _absorbed(graph, name)
    if name in graph.aliases:
        return graph.aliases[name].layer
    return next((layer for layer in graph.layers if layer.name == name), None)


def _output(layer: Layer, index: int) -> Ref:
    if index >= len(layer.outputs):
        raise LayerError(f"'{layer.name}[{index}]' does not exist: '{layer.name}' has {_many(layer.outputs, 'output')}")
    return Ref(layer, index)


def _only_output(layer: Layer) -> Ref:
    """The one output that can carry relevance (a max pooling may return indices beside it)."""
    refs = [Ref(layer, index) for index in range(len(layer.outputs))]
    tensors = [ref for ref in refs if ref.info.differentiable] or refs[:1]
    if len(tensors) > 1:
        raise LayerError(
            f"'{layer.name}' has {len(tensors)} outputs: name one of them, '{tensors[0]!r}' to '{tensors[-1]!r}'"
        )
    return tensors[0]


def _result(graph: Graph, name: str, call: Sequence[Ref]) -> Ref:
    """The tensor that leaves this call of a module."""
    if len(call) == 1:
        return call[0]
    inside = {ref.layer for ref in call}
    returned = set(graph.outputs.values())
    leaving = [
        ref for ref in call if ref in returned or any(reader not in inside for reader in graph.consumers.get(ref, []))
    ]
    leaving = [ref for ref in leaving if ref.info.differentiable] or leaving
    if len(leaving) > 1:
        names = ", ".join(f"'{ref!r}'" for ref in leaving)
        raise LayerError(f"module '{name}' passes on {len(leaving)} tensors: choose one of {names}")
    return leaving[0] if leaving else _only_output(call[-1].layer)


def _call(graph: Graph, name: str) -> list[Ref]:
    """The outputs of the layers in one call of a module, which is named by its path or as ``path@1``."""
    path, _, wanted = name.partition("@")
    calls = _calls(graph, path) if path else {}
    if not calls:
        computed = _computed(graph)
        known = [layer.name for layer in computed] + sorted({layer.module_path for layer in computed} - {""})
        raise LayerError(
            f"the graph has no layer or module '{name}'.{nearest(name, known)} print(graph) lists all layers."
        )
    number = next(iter(calls)) if len(calls) == 1 and not wanted else int(wanted) if wanted.isdigit() else -1
    if number not in calls:
        choices = ", ".join(f"'{path}@{each}'" + (f" ({refs[-1]!r})" if refs else "") for each, refs in calls.items())
        problem = f"no layer '{name}': " if wanted else ""
        raise LayerError(f"{problem}module '{path}' is called {_many(calls, 'time')}: choose one of {choices}")
    if f"{path}@{number}" in graph.absorbed:
        raise _absorbed(graph, f"{path}@{number}", name)
    return calls[number]


def _calls(graph: Graph, path: str) -> dict[int, list[Ref]]:
    """The calls of a module by number, each with the outputs of its layers."""
    found: dict[int, list[Ref]] = {}
    computed = _computed(graph)
    for layer in computed:
        if path in layer.calls:
            found.setdefault(layer.calls[path], []).extend(_outputs(layer))
    for key in [*graph.aliases, *graph.absorbed]:
        owner, _, number = key.rpartition("@")
        if owner == path:  # a module of which nothing else is left
            found.setdefault(int(number), [graph.aliases[key]] if key in graph.aliases else [])
    if not found:  # a list of modules is never called itself: all that is below it
        below = [layer for layer in computed if any(inner.startswith(f"{path}.") for inner in layer.calls)]
        return {0: [ref for layer in below for ref in _outputs(layer)]} if below else {}
    return dict(sorted(found.items()))


def _computed(graph: Graph) -> list[Layer]:
    return [layer for layer in graph.layers if not layer.constant and layer.arguments]


def _outputs(layer: Layer) -> list[Ref]:
    return [Ref(layer, index) for index in range(len(layer.outputs))]


def _many(things: Sequence[object] | dict[int, list[Ref]], word: str) -> str:
    return f"{len(things)} {word}" + ("s" if len(things) != 1 else "")


def _absorbed(graph: Graph, key: str, name: str = "") -> LayerError:
    return LayerError(
        f"'{name or key}' became part of {graph.absorbed[key]}, so that its output does not exist by itself. Choose "
        "another layer."
    )
