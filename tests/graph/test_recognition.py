"""What export takes apart is found again by data flow, and nothing that only looks like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import LayerError
from xaicore.graph import Graph, Kind


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def traced(model: nn.Module, x: Tensor) -> Graph:
    """The graph, which computes what the model does."""
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert_same(graph(x[:1]), eager(model, x[:1]))
    return graph


def operators(graph: Graph) -> list[str]:
    return [layer.op_name for layer in graph.layers if layer.inputs]


def by_padded_pool(x: Tensor) -> Tensor:
    """Local response norm as ports of Caffe models write it."""
    mean = F.avg_pool3d(x.pow(2).unsqueeze(1), (5, 1, 1), stride=1, padding=(2, 0, 0)).squeeze(1)
    return x.div(mean.mul(0.1).add(2.0).pow(0.75))


def other_order(x: Tensor) -> Tensor:
    squares = F.pad(x.square().unsqueeze(1), (0, 0, 0, 0, 1, 1))
    return x / (1.0 + 0.5 * F.avg_pool3d(squares, (3, 1, 1), 1).squeeze(1)) ** 0.75


RESPONSE_NORMS = {
    "1-d": (nn.LocalResponseNorm(3), (2, 5, 4), (3, 1e-4, 0.75, 1.0)),
    "2-d": (nn.LocalResponseNorm(4, alpha=0.1, beta=0.5, k=2), (2, 5, 4, 3), (4, 0.1, 0.5, 2.0)),
    "3-d": (nn.LocalResponseNorm(2), (2, 5, 3, 2, 3), (2, 1e-4, 0.75, 1.0)),
    "by a padded pool": (Function(by_padded_pool), (2, 6, 3, 3), (5, 0.1, 0.75, 2.0)),
    "in another order": (Function(other_order), (2, 6, 3, 3), (3, 0.5, 0.75, 1.0)),
}


@pytest.mark.parametrize("name", RESPONSE_NORMS)
def test_local_response_norm_is_one_layer(name: str) -> None:
    model, shape, options = RESPONSE_NORMS[name]
    graph = traced(model, noise(*shape))
    (layer,) = [layer for layer in graph.layers if layer.inputs]
    assert layer.kind is Kind.NORM and layer.op_name == "local_response_norm"
    assert tuple(layer.options[key] for key in ("size", "alpha", "beta", "k")) == options


def over_places(x: Tensor) -> Tensor:
    mean = F.avg_pool3d(F.pad(x.square().unsqueeze(1), (1, 1)), (1, 1, 3), 1).squeeze(1)
    return x / (1.0 + mean) ** 0.75


def shifted_window(x: Tensor) -> Tensor:
    mean = F.avg_pool3d(F.pad(x.square().unsqueeze(1), (0, 0, 0, 0, 2, 0)), (3, 1, 1), 1).squeeze(1)
    return x / (1.0 + 0.1 * mean) ** 0.75


LOOKALIKES = {
    "over places": over_places,
    "a shifted window": shifted_window,
    "of another tensor": lambda x: x / (1.0 + 0.1 * squares_of(x + 1)) ** 0.75,
    "of cubes": lambda x: x / (1.0 + 0.1 * squares_of(x.abs() ** 0.5 * x)) ** 0.75,
    "another numerator": lambda x: (x + 1) / (1.0 + 0.1 * squares_of(x)) ** 0.75,
    "transposed": lambda x: x / (1.0 + 0.1 * squares_of(x.transpose(2, 3)).transpose(2, 3).flip(1)) ** 0.75,
}


def squares_of(x: Tensor) -> Tensor:
    return F.avg_pool3d(F.pad(x.square().unsqueeze(1), (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1).squeeze(1)


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_only_looks_like_local_response_norm_is_left_as_it_is(name: str) -> None:
    graph = traced(Function(LOOKALIKES[name]), noise(2, 5, 4, 4))
    assert "local_response_norm" not in operators(graph) and "div" in operators(graph)


LP_POOLS = {
    "1-d": (nn.LPPool1d(1.5, 2), (2, 3, 7), [2]),
    "2-d": (nn.LPPool2d(2, 3, stride=2), (2, 3, 7, 7), [3, 3]),
    "rounded up": (nn.LPPool2d(2.0, 3, ceil_mode=True), (2, 3, 8, 8), [3, 3]),
    "not square": (nn.LPPool2d(3, (2, 3)), (2, 3, 7, 7), [2, 3]),
    "3-d": (nn.LPPool3d(2, 2), (2, 3, 4, 4, 4), [2, 2, 2]),
}


@pytest.mark.parametrize("name", LP_POOLS)
def test_lp_pooling_is_one_layer(name: str) -> None:
    model, shape, kernel = LP_POOLS[name]
    graph = traced(model, noise(*shape).abs())
    (layer,) = [layer for layer in graph.layers if layer.inputs]
    assert layer.kind is Kind.LP_POOL and layer.op_name == "lp_pool"
    assert layer.options["kernel_size"] == kernel and layer.options["norm_type"] == float(model.norm_type)


def test_roots_of_other_powers_are_not_lp_pooling() -> None:
    def function(x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x.pow(2.0), 2)
        return (torch.sign(mean) * F.relu(mean.abs())).mul(4).pow(1 / 3)

    assert "lp_pool" not in operators(traced(Function(function), noise(2, 1, 4, 4)))


class Inside(nn.Module):
    """What lies inside a local response norm is read elsewhere too."""

    def forward(self, x: Tensor) -> Tensor:
        squares = x * x
        mean = F.avg_pool3d(F.pad(squares.unsqueeze(1), (0, 0, 0, 0, 1, 1)), (3, 1, 1), 1).squeeze(1)
        return x / (mean * 0.1 + 1.0).pow(0.75) + squares


def test_what_is_read_elsewhere_stays() -> None:
    graph = traced(Inside(), noise(2, 4, 3, 3))
    assert operators(graph) == ["mul", "local_response_norm", "add"]
    assert graph.find("mul").op_name == "mul"


def test_the_module_names_the_layer_and_what_became_part_of_it_says_so() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.LocalResponseNorm(3, alpha=0.1), nn.Conv2d(4, 2, 1)))
    graph = traced(model, noise(2, 2, 5, 5))
    assert graph.find("2").op_name == "local_response_norm"
    with pytest.raises(LayerError, match="became part of"):
        graph.find_ref("pow")
    assert graph.find("2").outputs[0].nonnegative  # as what it is given
    assert_same(graph.folded(noise(2, 2, 5, 5)), eager(model, noise(2, 2, 5, 5)))


def test_memory_in_another_order_is_normalised_too() -> None:
    model, x = nn.Sequential(nn.Conv2d(2, 4, 3), nn.LocalResponseNorm(3)), noise(2, 2, 5, 5)
    model = shaken(model).to(memory_format=torch.channels_last)
    graph = xaicore.trace(model, x)
    assert_same(graph(x.to(memory_format=torch.channels_last)), eager(model, x))


class Dense(nn.Module):
    """A dense layer written as a matrix product and a sum."""

    def __init__(self, form: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3).double()
        self.form = form

    def forward(self, x: Tensor) -> Tensor:
        return self.form(x, self.linear.weight, self.linear.bias)


@pytest.mark.parametrize(
    "form",
    [
        lambda x, w, b: x @ w.T + b,
        lambda x, w, b: b + x @ w.T,
        lambda x, w, b: F.linear(x, w) + b,
        lambda x, w, b: torch.mm(x, w.t()).add(2 * b),
    ],
)
def test_a_product_and_the_bias_that_is_added_are_one_dense_layer(form: Callable[..., Tensor]) -> None:
    graph = traced(Dense(form), noise(3, 4))
    (layer,) = [layer for layer in graph.layers if layer.inputs]
    assert layer.kind is Kind.LINEAR and layer.op_name == "linear"
    assert set(layer.parameters) == {"weight", "bias"}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (lambda x, w, b: (x @ w.T).relu() + (x @ w.T + b), None),  # each product is read once
        (lambda x, w, b: (lambda y: y.relu() + (y + b))(x @ w.T), ["linear", "relu", "add", "add"]),
        (lambda x, w, b: torch.add(x @ w.T, b, alpha=2), ["linear", "add"]),
        (lambda x, w, b: x @ w.T + b.sum(), ["linear", "add"]),
        (lambda x, w, b: F.linear(x, w, b) + b, ["linear", "add"]),
    ],
)
def test_a_sum_that_is_more_than_a_bias_stays_a_sum(form: Callable[..., Tensor], expected: list[str] | None) -> None:
    found = operators(traced(Dense(form), noise(3, 4)))
    assert found == (expected or ["linear", "relu", "linear", "add"])


class BiasOfItsOwn(nn.Module):
    """The product is the output of a module, and the bias belongs to another one."""

    def __init__(self) -> None:
        super().__init__()
        self.product, self.bias = nn.Linear(4, 3, bias=False).double(), nn.Parameter(noise(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.product(x) + self.bias


def test_a_module_keeps_its_output_where_a_bias_is_added_outside_of_it() -> None:
    model, x = BiasOfItsOwn(), noise(2, 4)
    graph = traced(model, x)
    assert operators(graph) == ["linear", "add"]
    assert graph.find("product").op_name == "linear"
    relevance = xaicore.explain(model, x, method="lrp.zero", target=0, layer="product").relevance
    assert_same(relevance[:, 0], model.product(x)[:, 0])


def test_relevance_of_a_dense_layer_does_not_depend_on_how_it_is_written() -> None:
    whole = nn.Linear(4, 3).double()
    written = Dense(lambda x, w, b: x @ w.T + b)
    written.linear = whole
    x = noise(5, 4)
    for method in ("lrp.gamma", "lrp.alpha_beta", "lrp.w_square"):
        found, expected = (xaicore.explain(model, x, method=method, target=1).relevance for model in (written, whole))
        torch.testing.assert_close(found, expected)
