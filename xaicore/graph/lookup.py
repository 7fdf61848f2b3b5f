"""Finding a layer by the name a person would use."""

from __future__ import annotations

from collections.abc import Sequence

from xaicore.errors import LayerError, nearest
from xaicore.graph.layer import Layer


def find_layer(layers: Sequence[Layer], name: str | Layer) -> Layer:
    """The layer with this name; else the last layer of the module with this path.

    A module that is called several times is named ``path@0``, ``path@1``, ... by its calls.
    """
    if isinstance(name, Layer):
        name = name.name  # a layer of the graph before a pass stands for its twin after it
    exact = [layer for layer in layers if layer.name == name]
    if exact:
        return exact[0]
    path, _, call = name.partition("@")
    computed = [layer for layer in layers if not layer.constant and layer.arguments]
    own = [layer for layer in computed if layer.module_path == path]
    below = [layer for layer in computed if layer.module_path == path or layer.module_path.startswith(path + ".")]
    if not below or not path:
        known = [layer.name for layer in computed] + sorted({layer.module_path for layer in computed} - {""})
        raise LayerError(
            f"the graph has no layer or module '{name}'.{nearest(name, known)} print(graph) lists all layers."
        )
    if call:
        calls = _calls(own, computed)
        if call.isdigit() and int(call) < len(calls):
            return calls[int(call)][-1]
        raise LayerError(f"no layer '{name}': module '{path}' is called {len(calls)} times")
    calls = _calls(own, computed) if len(own) == len(below) else []
    if len(calls) > 1:
        names = ", ".join(f"'{path}@{number}' ({call[-1].name})" for number, call in enumerate(calls))
        raise LayerError(f"module '{path}' is called {len(calls)} times: choose one of {names}")
    return below[-1]


def _calls(own: Sequence[Layer], computed: Sequence[Layer]) -> list[list[Layer]]:
    """The layers of one module, split into its calls: runs that nothing of another module interrupts."""
    groups: list[list[Layer]] = []
    position = {layer: number for number, layer in enumerate(computed)}
    for layer in own:
        call = groups[-1] if groups else []
        repeated = any(other.source == layer.source and other.op_name == layer.op_name for other in call)
        if call and position[layer] == position[call[-1]] + 1 and not repeated:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return groups
