"""A graph in few boxes: layers one by one, or put together by the module that they lie in."""

from __future__ import annotations

from dataclasses import dataclass

from xaicore.errors import ParameterError
from xaicore.graph import Graph, Layer


@dataclass(frozen=True)
class Box:
    """Layers that are drawn as one."""

    label: str
    layers: tuple[Layer, ...]


def boxes_of(graph: Graph, most: int, depth: int | None) -> list[Box]:
    """Put the layers of a graph into boxes, in topological order.

    Parameters
    ----------
    most : int
        Where there are more layers, those of one module become one box: the innermost modules first, until there are
        no more boxes than this, or only the outermost are left.
    depth : int, optional
        Put together by this many parts of the module path instead: 1 makes one box of ``layer1.0.conv1``,
        ``layer1.1.conv1``, ...; 0 keeps the layers apart.
    """
    if most < 1 or (depth is not None and depth < 0):
        raise ParameterError(f"most={most}, depth={depth}: at least one box, and a depth from 0 on.")
    layers = [layer for layer in graph.layers if not layer.constant]
    if depth is not None:
        return _grouped(layers, depth)
    deepest = max((layer.module_path.count(".") + 1 for layer in layers if layer.module_path), default=0)
    found = _grouped(layers, 0)
    for parts in range(deepest, 0, -1):
        if len(found) <= most:
            break
        found = _grouped(layers, parts)
    return found


def edges_of(boxes: list[Box]) -> list[tuple[int, int]]:
    """From which box to which something flows, by their numbers; always from a lower to a higher one."""
    home = {layer: number for number, box in enumerate(boxes) for layer in box.layers}
    found = {
        (home[ref.layer], number)
        for number, box in enumerate(boxes)
        for layer in box.layers
        for ref in layer.inputs
        if home[ref.layer] != number
    }
    return sorted(found)


def _grouped(layers: list[Layer], parts: int) -> list[Box]:
    """Runs of layers under one module path, cut to this many parts; runs in topological order make no cycles."""
    runs: list[tuple[str, list[Layer]]] = []
    for layer in layers:
        path = ".".join(layer.module_path.split(".")[:parts]) if parts else ""
        if path and runs and runs[-1][0] == path:
            runs[-1][1].append(layer)
        else:
            runs.append((path, [layer]))
    return [Box(_label(path, run), tuple(run)) for path, run in runs]


def _label(path: str, run: list[Layer]) -> str:
    """The module, or of a layer that stands alone its own name and module."""
    if len(run) > 1:
        return path
    (layer,) = run
    module = layer.module_path
    return f"{module} ({layer.kind.value})" if module else layer.name
