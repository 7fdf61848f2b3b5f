"""The graph for people: text, Mermaid, DOT."""

from __future__ import annotations

import re

import pytest
import torch
from oracles import noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.graph import Graph


class Gated(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x).relu()
        h = h * h.mean((2, 3), keepdim=True).sigmoid()
        return torch.softmax(self.head(h.mean((2, 3))), 1)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return xaicore.trace(shaken(Gated()), noise(2, 2, 5, 5))


def shown(graph: Graph) -> list[str]:
    return [layer.name for layer in graph.layers if not layer.constant]


def edges(graph: Graph) -> list[tuple[str, str]]:
    return [(ref.layer.name, layer.name) for layer in graph.layers if not layer.constant for ref in layer.inputs]


def test_the_printed_table_has_one_line_a_layer_in_aligned_columns(graph: Graph) -> None:
    header, rule, *lines = str(graph).splitlines()
    rows = lines[: lines.index("")]
    assert [row.split()[0] for row in rows] == shown(graph)
    starts = [match.start() for match in re.finditer(r"-+", rule)]
    assert [header[start:].split()[0] for start in starts] == ["layer", "kind", "module", "shape", "inputs", "facts"]
    for row in rows:
        assert all(start >= len(row) or row[start - 1] == " " for start in starts[1:])


def test_the_printed_table_tells_facts_outputs_and_notes(graph: Graph) -> None:
    text = str(graph)
    assert re.search(r"^relu .*never negative", text, re.M)
    assert re.search(r"^mul .*gate: sigmoid", text, re.M)
    assert re.search(r"^conv2d .* conv .*Bx3x3x3", text, re.M)
    assert "outputs: output = linear" in text
    assert "note: the model ends in softmax" in text


def test_rows_name_the_line_of_the_users_code(graph: Graph) -> None:
    (row,) = [row for row in graph.table() if row["layer"] == "mul"]
    assert row["source"].startswith("test_drawing.py:")
    assert row["source"].endswith("h = h * h.mean((2, 3), keepdim=True).sigmoid()")
    assert row["operator"] == "mul" and row["kind"] == "product" and row["inputs"] == "relu, sigmoid"


def test_mermaid_has_every_layer_and_every_edge(graph: Graph) -> None:
    text = graph.to_mermaid()
    assert text.startswith("flowchart TD\n")
    nodes = dict(re.findall(r'^    (n\d+)\["(\w+)', text, re.M))
    assert list(nodes.values()) == shown(graph)
    drawn = re.findall(r'^    (n\d+) -->\|"[^"|]+"\| (n\d+)$', text, re.M)
    assert [(nodes[a], nodes[b]) for a, b in drawn] == edges(graph)


def test_dot_has_every_layer_and_every_edge(graph: Graph) -> None:
    text = graph.to_dot()
    assert text.startswith("digraph model {\n") and text.endswith("}\n")
    nodes = dict(re.findall(r'^    (n\d+) \[label="(\w+)', text, re.M))
    assert list(nodes.values()) == shown(graph)
    drawn = re.findall(r'^    (n\d+) -> (n\d+) \[label="[^"]+"\];$', text, re.M)
    assert [(nodes[a], nodes[b]) for a, b in drawn] == edges(graph)


class Quoted(nn.Module):
    """Module names may hold anything but a dot."""

    def __init__(self) -> None:
        super().__init__()
        self.add_module('say "hi" \\ <b> | [x]', nn.Linear(4, 3))

    def forward(self, x: Tensor) -> Tensor:
        (inner,) = self.children()
        return inner(x)


def test_quotes_and_backslashes_in_names_do_not_break_the_drawings() -> None:
    graph = xaicore.trace(shaken(Quoted()), noise(2, 4))
    name = 'say "hi" \\ <b> | [x]'
    assert graph.find(name).module_path == name
    for line in graph.to_dot().splitlines():
        without_escapes = re.sub(r"\\.", "", line)
        assert without_escapes.count('"') % 2 == 0
    assert 'say \\"hi\\" \\\\ <b>' in graph.to_dot()
    (node,) = [line for line in graph.to_mermaid().splitlines() if "say" in line]
    inside = re.fullmatch(r'    n\d+\["(.*)"\]', node)
    assert inside is not None
    assert '"' not in inside[1] and "<b>" not in inside[1]


def test_shapes_without_dimensions_have_a_word() -> None:
    class Summed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.sum() * x

    assert "scalar" in str(xaicore.trace(Summed(), noise(2, 4)))


def test_the_short_form_names_inputs_and_outputs(graph: Graph) -> None:
    assert repr(graph) == f"<Graph of {len(shown(graph))} layers: x -> output>"
