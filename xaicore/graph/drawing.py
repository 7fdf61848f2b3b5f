"""The graph for people: a table, Mermaid, DOT."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer

_COLORS = {
    Kind.INPUT: "#dfe8f5",
    Kind.CONVOLUTION: "#f6d9b8",
    Kind.LINEAR: "#f6d9b8",
    Kind.RECURRENT: "#f6d9b8",
    Kind.EMBEDDING: "#f6d9b8",
    Kind.BATCH_NORM: "#e3dcf2",
    Kind.NORM: "#e3dcf2",
    Kind.ACTIVATION: "#d8ecd6",
    Kind.OTHER: "#f4cccc",
}


def rows(graph: Graph) -> list[dict[str, str]]:
    """One row for each layer that depends on an input."""
    return [
        {
            "layer": layer.name,
            "kind": layer.kind.value,
            "operator": layer.op_name,
            "module": layer.module_path,
            "shape": ", ".join(info.describe() for info in layer.outputs),
            "inputs": ", ".join(repr(ref) for ref in layer.inputs),
            "facts": ", ".join(_facts(layer, graph)),
            "source": layer.source,
        }
        for layer in _shown(graph)
    ]


def text_table(graph: Graph) -> str:
    """The rows in columns, the notes below."""
    columns = ("layer", "kind", "module", "shape", "inputs", "facts")
    lines = aligned([{name: row[name] for name in columns} for row in rows(graph)], columns)
    outputs = ", ".join(f"{name} = {ref!r}" for name, ref in graph.outputs.items())
    return "\n".join([*lines, "", f"outputs: {outputs}", *(f"note: {note}" for note in graph.notes)])


def aligned(table: Sequence[dict[str, str]], columns: Sequence[str]) -> list[str]:
    """Rows as lines of equal columns, a header and a rule first."""
    widths = [max(len(name), *(len(row[name]) for row in table), 0) for name in columns]
    header = "  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip()
    lines = [
        "  ".join(row[name].ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip() for row in table
    ]
    return [header, "  ".join("-" * width for width in widths), *lines]


def mermaid(graph: Graph) -> str:
    """A Mermaid flowchart, one node a layer, edges with the shapes that flow."""
    ids = {layer: f"n{number}" for number, layer in enumerate(_shown(graph))}
    lines = ["flowchart TD"]
    for layer, node in ids.items():
        label = "<br/>".join(escape(line, quote=False).replace('"', "#quot;") for line in _label(layer))
        lines.append(f'    {node}["{label}"]')
    lines += [f'    {ids[start]} -->|"{shape}"| {ids[end]}' for start, end, shape in _edges(graph)]
    lines += [f"    style {node} fill:{_COLORS[layer.kind]}" for layer, node in ids.items() if layer.kind in _COLORS]
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """A DOT digraph, one node a layer, edges with the shapes that flow."""
    ids = {layer: f"n{number}" for number, layer in enumerate(_shown(graph))}
    lines = ["digraph model {", '    node [shape=box, style="rounded,filled", fontname="sans-serif", fillcolor=white];']
    for layer, node in ids.items():
        label = "\\n".join(line.replace("\\", "\\\\").replace('"', '\\"') for line in _label(layer))
        lines.append(f'    {node} [label="{label}", fillcolor="{_COLORS.get(layer.kind, "white")}"];')
    lines += [f'    {ids[start]} -> {ids[end]} [label="{shape}"];' for start, end, shape in _edges(graph)]
    return "\n".join([*lines, "}"]) + "\n"


def _shown(graph: Graph) -> list[Layer]:
    return [layer for layer in graph.layers if not layer.constant]


def _edges(graph: Graph) -> Iterator[tuple[Layer, Layer, str]]:
    for layer in _shown(graph):
        for ref in layer.inputs:
            yield ref.layer, layer, ref.info.describe()


def _label(layer: Layer) -> list[str]:
    kind = layer.kind.value if layer.op_name in (layer.kind.value, "input") else f"{layer.kind.value}: {layer.op_name}"
    return [layer.name, *([kind] if kind != layer.name else []), *([layer.module_path] if layer.module_path else [])]


def _facts(layer: Layer, graph: Graph) -> Iterator[str]:
    if any(info.nonnegative for info in layer.outputs):
        yield "never negative"
    if layer.gates:
        yield f"gate: {', '.join(repr(layer.inputs[number]) for number in layer.gates)}"
    if layer.kind is not Kind.INPUT and layer not in graph.path:
        yield "off the path"
