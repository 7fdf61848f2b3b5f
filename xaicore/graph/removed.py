"""The names of layers that a pass removes: what they stand for afterwards."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from xaicore.graph.layer import Layer, Ref

if TYPE_CHECKING:
    from xaicore.graph.graph import Graph


def names_of_removed(
    graph: Graph, changes: Mapping[Ref, Ref], absorbed: Mapping[Ref, Sequence[Layer]]
) -> tuple[dict[str, Ref], dict[str, str]]:
    """The aliases and the absorbed names of a graph once these changes are made.

    A removed layer, and a call of a module that it was the result of, stand for the tensor that has the same value;
    where it became part of the layers that read it, no tensor has.
    """
    aliases: dict[str, Ref] = {}
    gone: dict[str, str] = dict(graph.absorbed)
    removed = [(name, ref) for ref in changes if not ref.layer.constant for name in _names(graph, ref)]
    for name, ref in [*graph.aliases.items(), *removed]:
        while ref in changes and ref not in absorbed:
            ref = changes[ref]
        if ref in absorbed:
            aliases.pop(name, None)
            gone[name] = ", ".join(f"'{layer.name}'" for layer in absorbed[ref])
        elif not ref.layer.constant:
            aliases[name] = ref
    return aliases, gone


def _names(graph: Graph, ref: Ref) -> Iterator[str]:
    yield repr(ref)
    readers = graph.consumers.get(ref, [])
    for path, number in ref.layer.calls.items():
        if ref in graph.outputs.values() or any(reader.calls.get(path) != number for reader in readers):
            yield f"{path}@{number}"


def among(aliases: Mapping[str, Ref], layers: Collection[Layer]) -> dict[str, Ref]:
    """The aliases of tensors that these layers compute."""
    return {name: ref for name, ref in aliases.items() if ref.layer in layers}
