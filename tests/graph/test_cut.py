"""The part of a network from any inner layer on computes what the rest of the network does."""

from __future__ import annotations

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import LayerError
from xaicore.graph import Graph, Kind, Layer, Ref


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.left = nn.Conv2d(4, 4, 3, padding=1)
        self.right = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x)).relu()
        x = x + self.left(x).relu() + self.right(x)
        a, b = x.chunk(2, 1)
        x = torch.cat([a * b.sigmoid(), b - a], 1)
        return self.head(x.mean((2, 3)))


def values_of(graph: Graph, x: Tensor) -> dict[Ref, Tensor]:
    """Every tensor of the graph, by running its operators one by one."""
    (start,) = graph.inputs
    values: dict[Ref, Tensor] = {start.ref: x}
    sizes = graph.sizes([x])
    for layer in graph.layers:
        if layer.constant or layer.kind is Kind.INPUT:
            continue
        results = layer.call(
            lambda ref: graph.constants.value(ref, sizes) if ref.layer.constant else values[ref], sizes
        )
        values.update({Ref(layer, index): result for index, result in enumerate(results)})
    return values


def inner_layers(graph: Graph) -> list[Layer]:
    return [layer for layer in graph.layers if not layer.constant and layer is not graph.outputs["output"].layer]


@pytest.mark.parametrize("form", ["plain", "folded"])
def test_at_every_layer_the_rest_gives_the_models_output(form: str) -> None:
    model, x = shaken(Residual()), noise(3, 2, 5, 5)
    graph = xaicore.trace(model, x)
    graph = graph.folded if form == "folded" else graph
    values, expected = values_of(graph, x), eager(model, x)
    layers = inner_layers(graph)
    assert len(layers) > 10
    for layer in layers:
        rest = graph.cut(layer)
        by_name = {_name(ref): value for ref, value in values.items()}
        assert_same(rest(*(by_name[start.name] for start in rest.inputs)), expected)


def _name(ref: Ref) -> str:
    return ref.layer.name if len(ref.layer.outputs) == 1 else f"{ref.layer.name}.{ref.index}"


def test_the_cut_comes_first_among_the_inputs_and_the_other_branch_after_it() -> None:
    graph = xaicore.trace(shaken(Residual()), noise(3, 2, 5, 5))
    assert [layer.name for layer in graph.cut("left").inputs] == ["conv2d_1", "relu", "conv2d_2"]
    (only,) = graph.cut("relu").inputs
    assert only.name == "relu"


def test_a_change_at_the_cut_changes_the_output_as_in_the_model() -> None:
    model, x = shaken(Residual()), noise(3, 2, 5, 5)
    rest = xaicore.trace(model, x).cut("norm")
    replaced = noise(4, 4, 5, 5, seed=8)
    model.stem, model.norm = nn.Identity(), nn.Identity()
    assert_same(rest(replaced), eager(model, replaced))


def test_a_layer_with_several_outputs_gives_one_input_each() -> None:
    rest = xaicore.trace(shaken(Residual()), noise(3, 2, 5, 5)).cut("chunk")
    assert [layer.name for layer in rest.inputs] == ["chunk.0", "chunk.1"]


def test_the_whole_graph_is_left_as_it_was() -> None:
    model, x = shaken(Residual()), noise(3, 2, 5, 5)
    graph = xaicore.trace(model, x)
    before = str(graph)
    graph.cut("left")
    assert str(graph) == before
    assert_same(graph(x), eager(model, x))


def test_facts_at_the_cut_are_those_of_the_whole() -> None:
    graph = xaicore.trace(shaken(Residual()), noise(3, 2, 5, 5))
    assert graph.cut("relu").inputs[0].outputs[0].nonnegative
    assert not graph.cut("left").inputs[0].outputs[0].nonnegative


def test_the_rest_of_a_folded_graph_is_folded() -> None:
    graph = xaicore.trace(shaken(nn.Sequential(nn.Conv2d(2, 4, 1), nn.ReLU(), nn.BatchNorm2d(4))), noise(3, 2, 5, 5))
    rest = graph.folded.cut("0")
    assert rest.batch_norm == "folded" and graph.cut("0").batch_norm == "plain"
    x = noise(3, 4, 5, 5)
    assert_same(graph.cut("0").folded(x), rest(x))  # type: ignore[arg-type]


def test_several_outputs_are_kept_where_the_cut_reaches_them() -> None:
    class Two(Residual):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            x = self.stem(x)
            return {"left": self.left(x), "both": self.left(x) * self.right(x)}

    model, x = shaken(Two()), noise(3, 2, 5, 5)
    graph = xaicore.trace(model, x)
    assert set(graph.cut("stem").outputs) == {"left", "both"}
    assert set(graph.cut("right").outputs) == {"both"}


@pytest.mark.parametrize(
    ("name", "message"), [("head", "nothing is left"), ("head.weight", "depends on no input"), ("hed", "head")]
)
def test_places_that_cannot_be_cut_at_are_refused(name: str, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        xaicore.trace(shaken(Residual()), noise(3, 2, 5, 5)).cut(name)


def test_a_layer_that_no_output_needs_is_refused() -> None:
    class Idle(Residual):
        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"a": self.head(self.stem(x).mean((2, 3))), "unused": x}

    graph = xaicore.trace(shaken(Idle()), noise(3, 2, 5, 5))
    with pytest.raises(LayerError):
        graph.cut("right")
