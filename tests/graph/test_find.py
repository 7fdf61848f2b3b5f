"""Finding layers by name or module path; conditions that choose them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import LayerError, ParameterError
from xaicore.graph import Graph, Kind, Ref, anything, depth, first_on_path, kind, last, named, op, under


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(4, 4, 1), nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.conv(x)) + x


class Net(nn.Module):
    """Registered in an order that has nothing to do with the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.aside = nn.Conv2d(2, 4, 1)
        self.relu = nn.ReLU()
        self.stem = nn.Conv2d(2, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.relu(self.stem(x))
        for block in self.blocks:
            h = block(h)
        h = self.relu(h + self.aside(x))
        return self.head(self.relu(h.mean((2, 3))))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return xaicore.trace(shaken(Net()), noise(2, 2, 3, 3))


def paths(graph: Graph, condition: Any) -> list[str]:
    return [layer.module_path for layer in graph.select(condition)]


def test_by_name_by_module_and_by_the_layer_itself(graph: Graph) -> None:
    assert graph.find("conv2d").module_path == "stem"
    assert graph.find("stem").name == "conv2d"
    assert graph.find(graph.find("stem")) is graph.find("stem")
    assert graph.find("blocks.1.conv").module_path == "blocks.1.conv"


def test_a_module_with_modules_in_it_is_its_last_layer(graph: Graph) -> None:
    assert graph.find("blocks.0").kind is Kind.ADD and graph.find("blocks.0").module_path == "blocks.0"
    assert graph.find("blocks").name == graph.find("blocks.1").name


def test_a_layer_of_the_plain_graph_is_found_in_the_folded_one() -> None:
    plain = xaicore.trace(shaken(nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3))), noise(2, 2, 3, 3))
    twin = plain.folded.find(plain.find("0"))
    assert twin is not plain.find("0") and twin.name == plain.find("0").name


def test_a_module_that_is_called_several_times_is_numbered_by_its_calls(graph: Graph) -> None:
    with pytest.raises(LayerError, match=r"called 3 times: choose one of 'relu@0' \(relu_\)"):
        graph.find("relu")
    found = [graph.find(f"relu@{number}") for number in range(3)]
    assert [layer.module_path for layer in found] == ["relu"] * 3
    assert len(set(found)) == 3 and found == sorted(found, key=graph.layers.index)
    with pytest.raises(LayerError, match="called 3 times"):
        graph.find("relu@3")


def test_a_name_means_one_thing() -> None:
    """Modules may be called like operators; a layer then gets another name."""

    class Crossed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.relu_1, self.linear, self.relu = nn.ReLU(), nn.Linear(4, 4), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.linear(self.relu_1(x)))

    graph = xaicore.trace(shaken(Crossed()), noise(2, 4))
    for path in ("relu_1", "linear", "relu"):
        assert graph.find(path).module_path == path
    names = [layer.name for layer in graph.layers]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("name", "meant"), [("stm", "stem"), ("conv2", "conv2d"), ("blocks.1.cnv", "blocks.1.conv")])
def test_an_unknown_name_gets_the_nearest_known_one(graph: Graph, name: str, meant: str) -> None:
    with pytest.raises(LayerError, match=f"no layer or module '{name}'. Did you mean '{meant}'?"):
        graph.find(name)


@pytest.mark.parametrize("name", ["", "no such thing at all", "@0"])
def test_names_that_resemble_nothing_are_refused(graph: Graph, name: str) -> None:
    with pytest.raises(LayerError, match="no layer"):
        graph.find(name)


def test_first_on_path_goes_by_data_flow_not_by_registration(graph: Graph) -> None:
    assert sorted(paths(graph, first_on_path)) == ["aside", "stem"]


def test_last_goes_by_data_flow(graph: Graph) -> None:
    assert paths(graph, last) == ["head"]


def test_depth_counts_the_linear_layers_before_on_the_longest_way(graph: Graph) -> None:
    assert sorted(paths(graph, kind("convolution", "linear") & (depth < 1))) == ["aside", "stem"]
    assert paths(graph, kind("convolution") & (depth > 1)) == ["blocks.1.conv"]
    assert paths(graph, kind("convolution") & (depth >= 1)) == ["blocks.0.conv", "blocks.1.conv"]
    assert sorted(paths(graph, kind("convolution", "linear") & (depth <= 1))) == ["aside", "blocks.0.conv", "stem"]
    assert paths(graph, kind("linear") & (depth > 2)) == ["head"]
    assert paths(graph, kind("linear") & (depth > 3)) == []


def test_conditions_combine(graph: Graph) -> None:
    convolutions = kind(Kind.CONVOLUTION)
    assert paths(graph, convolutions & ~first_on_path) == ["blocks.0.conv", "blocks.1.conv"]
    assert paths(graph, convolutions & under("blocks")) == ["blocks.0.conv", "blocks.1.conv"]
    assert paths(graph, kind("linear") | (convolutions & under("*.1"))) == ["blocks.1.conv", "head"]
    assert len(graph.select(anything)) == len([layer for layer in graph.layers if not layer.constant])
    assert graph.select(~anything) == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("blocks.*.conv", ["blocks.0.conv", "blocks.1.conv"]),
        ("blocks.?", ["blocks.0.conv", "blocks.1.conv"]),
        ("block", []),
        ("stem", ["stem"]),
        ("s*", ["stem"]),
    ],
)
def test_under_takes_patterns_of_module_paths(graph: Graph, pattern: str, expected: list[str]) -> None:
    assert paths(graph, kind("convolution") & under(pattern)) == expected


def test_named_and_op(graph: Graph) -> None:
    assert paths(graph, named("stem", "linear")) == ["stem", "head"]
    assert {layer.op_name for layer in graph.select(op("relu", "mean"))} == {"relu", "mean"}


def test_kinds_are_members_or_words_in_either_case(graph: Graph) -> None:
    expected = graph.select(kind(Kind.CONVOLUTION))
    assert len(expected) == 4
    for word in ("convolution", "CONVOLUTION", xaicore.Kind.CONVOLUTION):
        assert graph.select(kind(word)) == expected


def test_an_unknown_kind_is_refused_with_the_nearest() -> None:
    with pytest.raises(ParameterError, match="'convolutoin' is not a kind of layer. Did you mean 'convolution'?"):
        kind("convolutoin")


def test_conditions_say_what_they_are() -> None:
    condition = (kind(Kind.LINEAR, "add") & ~last) | under("features.*") | (depth < 3)
    assert repr(condition) == "(((kind(linear, add) & ~last) | under('features.*')) | depth < 3)"


def test_and_or_not_in_words_are_refused() -> None:
    with pytest.raises(TypeError, match="combine conditions with &, | and ~"):
        kind("linear") and last


def test_conditions_answer_for_the_graph_they_are_asked_about() -> None:
    """The same first layer is not first in another model; a cut graph has a first layer of its own."""
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3))
    whole = xaicore.trace(shaken(model), noise(2, 4))
    assert paths(whole, first_on_path) == ["0"]
    assert paths(whole.cut("1"), first_on_path) == ["2"]
    assert paths(whole, first_on_path) == ["0"]


def test_an_integer_model_has_its_first_layer_behind_the_embedding() -> None:
    class Tokens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.one, self.two = nn.Embedding(9, 4), nn.Linear(4, 4), nn.Linear(4, 3)

        def forward(self, ids: Tensor) -> Tensor:
            return self.two(self.one(self.words(ids)).relu().mean(1))

    assert paths(xaicore.trace(shaken(Tokens()), torch.arange(6).reshape(2, 3)), first_on_path) == ["one"]


class Reused(nn.Module):
    """One layer and one container, each called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.block = nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        x = self.one(self.one(x))  # on one line
        for _ in range(2):
            x = self.block(x)
        return self.block[0](x)


def test_calls_in_a_row_are_told_apart() -> None:
    graph = xaicore.trace(shaken(Reused()), noise(2, 4))
    with pytest.raises(LayerError, match=r"called 2 times: choose one of 'one@0' \(linear\), 'one@1' \(linear_1\)"):
        graph.find("one")
    with pytest.raises(LayerError, match=r"'block' is called 2 times: .*'block@0' \(relu\), 'block@1' \(relu_1\)"):
        graph.find_ref("block")
    assert [graph.find(name).name for name in ("one@1", "block@1", "block.0@2")] == ["linear_1", "relu_1", "linear_4"]
    assert graph.copy().find("block@0").name == "relu"


class Parts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.pair, self.inner, self.head = Pair(), nn.Linear(4, 6), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.inner(x).chunk(2, 1)
        y, z = self.pair(x)
        return self.head(one.relu() + two.sigmoid()) + y.mean(1, keepdim=True) * z.mean(1, keepdim=True)


class Pair(nn.Module):
    """Its last operation is not what it returns; it returns two tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.inside, self.aside = Aside(), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.inside(x)
        return y, self.aside(x)


class Aside(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        values, _ = torch.sort(x, dim=1)
        return values


def test_one_of_several_outputs_is_named_by_its_number() -> None:
    graph = xaicore.trace(shaken(Parts()), noise(2, 4))
    with pytest.raises(LayerError, match=r"'chunk' has 2 outputs: name one of them, 'chunk\[0\]' to 'chunk\[1\]'"):
        graph.find_ref("chunk")
    assert graph.find_ref("chunk[1]") == Ref(graph.find("chunk"), 1)
    with pytest.raises(LayerError, match=r"'chunk\[2\]' does not exist: 'chunk' has 2 outputs"):
        graph.find_ref("chunk[2]")
    assert graph.find_ref("sort").index == 0  # indices beside the values are no choice


def test_a_module_is_the_tensor_that_leaves_it() -> None:
    graph = xaicore.trace(shaken(Parts()), noise(2, 4))
    assert graph.find_ref("pair.inside") == Ref(graph.find("sort"), 0)
    assert graph.find_ref("pair.aside").layer.module_path == "pair.aside"
    with pytest.raises(LayerError, match=r"'pair' passes on 2 tensors: choose one of 'sort\[0\]', 'linear_1'"):
        graph.find_ref("pair")


def test_what_does_nothing_is_the_tensor_that_it_passes_on() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(), nn.Sequential(nn.Dropout(), nn.Dropout()), nn.Linear(4, 3))
    graph = xaicore.trace(shaken(model), noise(2, 4))
    for name in ("1", "2", "2.0", "2.1", "dropout", "dropout_2", "1@0"):
        assert graph.find_ref(name) == graph.find_ref("0"), name
        assert graph.copy().find(name).name == graph.find(name).name == "linear"
        assert graph.cut(name).find(name).kind is Kind.INPUT


def test_batch_norm_in_the_layer_before_it_is_found_there() -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 1), nn.BatchNorm2d(3), nn.Dropout(), nn.ReLU())
    graph = xaicore.trace(shaken(model), noise(2, 2, 3, 3))
    assert graph.find("2").kind is Kind.BATCH_NORM
    for name in ("1", "2", "batch_norm"):
        assert graph.folded.find_ref(name) == graph.folded.find_ref("0")
    assert graph.folded.find(graph.find("1")) is graph.folded.find("0")


def test_batch_norm_in_the_layer_after_it_has_no_tensor() -> None:
    block = nn.Sequential(nn.ReLU(), nn.BatchNorm2d(3))
    model = nn.Sequential(nn.Conv2d(2, 3, 1), block, nn.Dropout(), nn.Conv2d(3, 3, 1))
    graph = xaicore.trace(shaken(model), noise(2, 2, 3, 3))
    for name in ("1", "1.1", "2", "batch_norm", "dropout"):
        assert graph.find(name).kind is Kind.BATCH_NORM
        with pytest.raises(LayerError, match=f"'{name}' became part of 'conv2d_1'"):
            graph.folded.find_ref(name)
    assert graph.folded.find("1.0").name == "relu"
