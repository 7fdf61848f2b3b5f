"""Conditions that name layers: what they hold for, and names that the graph does not have."""

from __future__ import annotations

import pytest
from oracles import noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore import Graph, kind, named, under, up_to
from xaicore.errors import LayerError
from xaicore.graph import Condition


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout())
        self.side = nn.Conv2d(2, 3, 2)
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.features(x) + self.side(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return xaicore.trace(shaken(Net()), noise(2, 2, 4, 4)).form("folded")


def paths(graph: Graph, condition: Condition) -> list[str]:
    return [layer.module_path for layer in graph.select(condition) if not layer.constant and layer.module_path]


def test_up_to_a_layer_holds_for_it_and_all_that_leads_to_it(graph: Graph) -> None:
    assert paths(graph, up_to("features.2")) == ["features.0", "features.2"]
    assert paths(graph, up_to("features")) == ["features.0", "features.2"]
    assert paths(graph, up_to("head")) == ["features.0", "features.2", "side", "head"]
    assert paths(graph, up_to("head") & ~up_to("features") & kind("linear", "convolution")) == ["side", "head"]


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        (named("features.0", "haed"), r"no layer or module 'haed'. Did you mean 'head'\?"),
        (under("feature"), r"under\('feature'\): the graph has no module 'feature'. Did you mean 'features'\?"),
        (kind("linear") & ~under("sides"), r"Did you mean 'side'\?"),
        (kind("linear") | named("sid"), r"Did you mean 'side'\?"),
        (up_to("features.9"), "no layer or module 'features.9'"),
        (named("features"), r"'features' is a module of several layers: under\('features'\)"),
        (named("features.1"), "'features.1' is no layer of its own here: it became part of 'conv2d'"),
    ],
)
def test_a_name_that_is_no_layer_is_refused_with_the_nearest(graph: Graph, condition: Condition, message: str) -> None:
    with pytest.raises(LayerError, match=message):
        condition.check(graph)


@pytest.mark.parametrize(
    "condition", [named("conv2d", "side"), under("feat*"), under("features.1"), up_to("features.3"), kind("pad")]
)
def test_names_that_the_graph_has_pass_the_check(graph: Graph, condition: Condition) -> None:
    condition.check(graph)
