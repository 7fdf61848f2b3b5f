"""Batch norm as one linear layer or as two: the graph computes the same, and names keep their meaning."""

from __future__ import annotations

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import ParameterError
from xaicore.graph import Graph, Kind
from xaicore.propagation import Composite

FORMS = ("plain", "folded", "one", "two")


class Model(nn.Module):
    """Batch norm after a convolution, after an activation, and called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)
        self.shared = nn.BatchNorm2d(4)
        self.head, self.last = nn.Linear(4, 3), nn.BatchNorm1d(3, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.shared(self.first(self.stem(x)).relu()).tanh()
        return self.last(self.head(self.shared(x).sigmoid().mean((2, 3))))


@pytest.fixture(scope="module")
def plain() -> Graph:
    return xaicore.trace(shaken(Model()), noise(3, 2, 6, 6))


def operators(graph: Graph) -> list[str]:
    return [layer.op_name for layer in graph.layers if layer.inputs]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_computes_what_the_model_does(plain: Graph, form: str) -> None:
    model, x = shaken(Model()), noise(3, 2, 6, 6)
    graph = plain.form(form)
    assert graph.batch_norm == form
    assert_same(graph(x), eager(model, x))
    assert_same(graph(x[:1]), eager(model, x[:1]))


@pytest.mark.parametrize("form", ["plain", "one", "two"])  # folded, the convolution computes something else
def test_from_an_inner_layer_on_the_rest_computes_what_the_model_does(plain: Graph, form: str) -> None:
    model, x = shaken(Model()), noise(3, 2, 6, 6)
    assert_same(plain.form(form).cut("stem")(eager(model.stem, x)), eager(model, x))  # type: ignore[arg-type]


def test_as_one_each_is_a_linear_layer_and_none_is_folded(plain: Graph) -> None:
    norms = [layer for layer in plain.form("one").layers if layer.kind is Kind.BATCH_NORM]
    assert [layer.op_name for layer in norms] == ["scale_shift"] * 4
    assert all(set(layer.parameters) == {"weight", "bias"} for layer in norms)


def test_as_two_each_is_a_scale_and_then_a_shift(plain: Graph) -> None:
    graph = plain.form("two")
    found = operators(graph)
    assert "batch_norm" not in found and "scale_shift" not in found
    assert [found[place + 1] for place, name in enumerate(found) if name == "scale"] == ["shift"] * 4
    kinds = {layer.op_name: layer.kind for layer in graph.layers}
    assert kinds["scale"] is Kind.SCALE and kinds["shift"] is Kind.ADD


@pytest.mark.parametrize("form", ["one", "two"])
def test_the_name_of_the_module_and_of_the_layer_name_what_leaves_the_norm(plain: Graph, form: str) -> None:
    graph = plain.form(form)
    result = graph.find("first")
    assert graph.find_ref("first") == graph.find_ref("batch_norm") == result.ref
    assert graph.find(plain.find("first")) is result
    assert result.op_name == {"one": "scale_shift", "two": "shift"}[form]
    assert graph.find_ref("shared@1") != graph.find_ref("shared@0")
    (reader,) = graph.consumers[graph.find_ref("shared@1")]
    assert reader.op_name == "sigmoid"


def test_a_form_is_made_once_and_the_plain_graph_is_left_as_it_was(plain: Graph) -> None:
    before = str(plain)
    assert plain.form("two") is plain.form("two") and plain.form("plain") is plain
    assert plain.form("folded") is plain.folded
    assert str(plain) == before


def test_a_graph_in_one_form_is_not_brought_to_another(plain: Graph) -> None:
    two = plain.form("two")
    assert two.form("two") is two
    with pytest.raises(ParameterError, match="the form 'two' in this graph already"):
        two.form("one")
    assert two.cut("first").batch_norm == "two"


def test_an_unknown_form_is_refused_with_the_nearest(plain: Graph) -> None:
    with pytest.raises(ParameterError, match="Did you mean 'folded'"):
        plain.form("fold")
    with pytest.raises(ParameterError, match="no form of batch norm"):
        Composite(batch_norm="three")


def test_a_composite_works_on_the_form_it_asks_for_and_keeps_it_with_a_fallback(plain: Graph) -> None:
    composite = Composite(batch_norm="two").with_fallback("gradient")
    assert composite.match(plain).graph is plain.form("two")
    assert Composite(fallback="gradient").match(plain).graph is plain.folded
    assert Composite(family="gradient", batch_norm="two").match(plain).graph is plain


def test_a_change_of_the_norm_is_seen_in_every_form() -> None:
    model, x = shaken(nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU())), noise(2, 2, 4, 4)
    graph = xaicore.trace(model, x)
    for tensor in [*model[1].parameters(), model[1].running_mean, model[1].running_var]:
        for form in FORMS:
            graph.form(form)(x)
        with torch.no_grad():
            tensor.mul_(1.5)
        for form in FORMS:
            assert_same(graph.form(form)(x), eager(model, x))
