"""Passes that drop what does nothing and bring equivalent operations to one form, without a change of the result."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.graph import Graph, Kind


def operators(graph: Graph) -> list[str]:
    return [layer.op_name for layer in graph.layers if not layer.constant and layer.kind is not Kind.INPUT]


class Returns(nn.Module):
    """A model around one function of its input."""

    def __init__(self, function: Any, *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.inner = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x, *self.inner)


@pytest.mark.parametrize(
    "drop", [nn.Dropout(0.5), nn.Dropout2d(0.5), nn.AlphaDropout(0.5), nn.FeatureAlphaDropout(0.5), nn.Identity()]
)
def test_dropout_and_identity_leave_no_layer(drop: nn.Module) -> None:
    model = nn.Sequential(nn.Conv2d(2, 3, 3), drop, nn.ReLU())
    x = noise(2, 2, 5, 5)
    graph = xaicore.trace(shaken(model), x)
    assert operators(graph) == ["conv2d", "relu"]
    assert_same(graph(x), eager(model, x))


def test_dropout_that_is_always_on_is_no_part_of_a_graph() -> None:
    model = Returns(lambda x, dense: nn.functional.dropout(dense(x), 0.5, training=True), nn.Linear(4, 3))
    with pytest.raises(xaicore.XaicoreError, match="random"):
        xaicore.trace(shaken(model), noise(3, 4))


def test_copies_and_casts_to_the_same_type_leave_no_layer() -> None:
    model = Returns(lambda x, dense: dense(x.clone().contiguous().double().to(x.dtype)).relu(), nn.Linear(4, 3))
    x = noise(3, 4)
    graph = xaicore.trace(shaken(model), x)
    assert operators(graph) == ["linear", "relu"]
    assert_same(graph(x), eager(model, x))


def test_a_cast_that_rounds_stays() -> None:
    model = Returns(lambda x, dense: dense(x.float().double()), nn.Linear(4, 3))
    x = noise(3, 4)
    graph = xaicore.trace(shaken(model), x)
    assert graph.layers[-1].op_name == "linear" and len(operators(graph)) == 3
    assert_same(graph(x), eager(model, x))


def test_a_view_after_a_dropped_copy_still_works() -> None:
    def function(x: Tensor) -> Tensor:
        return x.permute(0, 2, 3, 1).contiguous().view(len(x), -1)  # without the copy, a view of this is impossible

    x = noise(2, 2, 3, 4)
    graph = xaicore.trace(Returns(function), x)
    assert "contiguous" not in operators(graph) and "clone" not in operators(graph)
    assert_same(graph(x), eager(Returns(function), x))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 1), (4, 1), (2, 3), (3, 2)])
def test_same_padding_becomes_numbers(dimensions: int, kernel: int, dilation: int) -> None:
    convolution = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[dimensions]
    model = shaken(nn.Sequential(convolution(2, 3, kernel, padding="same", dilation=dilation)))
    x = noise(2, 2, *[6, 7, 5][:dimensions])
    graph = xaicore.trace(model, x)
    uneven = dilation * (kernel - 1) % 2
    assert operators(graph) == ["constant_pad_nd"] * uneven + [f"conv{dimensions}d"]
    assert graph.find("0").options["padding"] == [dilation * (kernel - 1) // 2] * dimensions
    assert graph.find("0").inputs[0].info.describe() == "x".join(
        ["B", "2", *[str(size + uneven) for size in [6, 7, 5][:dimensions]]]
    )
    assert_same(graph(x), eager(model, x))


def test_same_padding_with_unlike_sides_and_valid_padding() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 3, (2, 5), padding="same"), nn.Conv2d(3, 2, 3, padding="valid")))
    x = noise(2, 2, 6, 7)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert not any(isinstance(layer.options.get("padding"), str) for layer in graph.layers)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [1, "same"])
def test_other_padding_modes_are_layers_before_the_convolution(mode: str, padding: Any) -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 3, 3, padding=padding, padding_mode=mode)))
    x = noise(2, 2, 5, 5)
    graph = xaicore.trace(model, x)
    assert_same(graph(x), eager(model, x))
    assert operators(graph)[-1] == "conv2d" and len(operators(graph)) > 1


WEIGHT = noise(4, 3)
BIAS = noise(3, seed=5)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x @ WEIGHT,
        lambda x: torch.matmul(x, WEIGHT),
        lambda x: torch.mm(x, WEIGHT),
        lambda x: torch.addmm(BIAS, x, WEIGHT),
    ],
)
def test_a_product_with_a_constant_matrix_is_a_linear_layer(function: Any) -> None:
    x = noise(2, 4)
    graph = xaicore.trace(Returns(function), x)
    (layer,) = [layer for layer in graph.layers if layer.kind is Kind.LINEAR]
    assert "weight" in layer.parameters
    assert_same(graph(x), eager(Returns(function), x))


@pytest.mark.parametrize(
    ("function", "kind"),
    [
        (lambda x: x * 3.0, Kind.SCALE),
        (lambda x: 3.0 * x, Kind.SCALE),
        (lambda x: x / 3.0, Kind.SCALE),
        (lambda x: x * BIAS[0], Kind.SCALE),
        (lambda x: -x, Kind.SCALE),
        (lambda x: x * x, Kind.PRODUCT),
        (lambda x: x * x.sum(), Kind.PRODUCT),
        (lambda x: BIAS[0] / (x + 9), Kind.PRODUCT),
        (lambda x: x / (x.abs() + 1), Kind.PRODUCT),
        (lambda x: x.div(x.abs() + 1, rounding_mode="floor"), Kind.OTHER),
        (lambda x: torch.addmm(BIAS, x, WEIGHT, alpha=2), Kind.LINEAR),
        (lambda x: WEIGHT.t() @ x.t(), Kind.LINEAR),
        (lambda x: x @ x.t(), Kind.MATMUL),
        (lambda x: x.pow(2), Kind.ACTIVATION),
        (lambda x: x.abs().pow(x), Kind.OTHER),
        (lambda x: torch.maximum(x, x.flip(1)), Kind.SELECT),
        (lambda x: torch.maximum(x, WEIGHT[:, 0]), Kind.ACTIVATION),
        (lambda x: torch.lerp(x, x.flip(1), x.abs()), Kind.PRODUCT),
    ],
)
def test_products_are_told_apart_by_what_depends_on_the_input(function: Any, kind: Kind) -> None:
    x = noise(2, 4)
    graph = xaicore.trace(Returns(function), x)
    assert kind in [layer.kind for layer in graph.layers if not layer.constant]
    assert (kind is Kind.SCALE) == (Kind.SCALE in [layer.kind for layer in graph.layers])
    assert_same(graph(x), eager(Returns(function), x))


def test_batch_norm_that_normalises_by_the_batch_is_a_norm() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, track_running_stats=False)))
    x = noise(4, 2, 5, 5)
    graph = xaicore.trace(model, x)
    assert graph.find("1").kind is Kind.NORM
    (note,) = graph.notes
    assert "in module '1' (BatchNorm2d)" in note and "which samples share its batch" in note
    assert_same(graph(x), eager(model, x))
    assert graph.folded.find("1").kind is Kind.NORM
    assert_same(graph.folded(x), eager(model, x))


RELUS: dict[str, Any] = {
    "clamp": lambda x: x.clamp(min=0),
    "clamp_min": lambda x: torch.clamp_min(x, 0.0),
    "threshold": lambda x: nn.functional.threshold(x, 0, 0),
    "leaky relu without a slope": lambda x: nn.functional.leaky_relu(x, 0.0),
}
NO_RELUS: dict[str, Any] = {
    "clamp on both sides": lambda x: x.clamp(0, 1),
    "clamp from one": lambda x: x.clamp(min=1),
    "clamp from above": lambda x: x.clamp(max=0),
    "threshold at one": lambda x: nn.functional.threshold(x, 1, 0),
    "threshold to one": lambda x: nn.functional.threshold(x, 0, 1),
    "leaky relu": lambda x: nn.functional.leaky_relu(x),
    "hardtanh from zero": lambda x: nn.functional.hardtanh(x, 0, 1),
}


@pytest.mark.parametrize("name", RELUS | NO_RELUS)
def test_what_computes_a_relu_is_called_relu_and_nothing_else_is(name: str) -> None:
    function, x = (RELUS | NO_RELUS)[name], noise(5, 4)
    graph = xaicore.trace(Returns(function), x)
    assert (operators(graph) == ["relu"]) == (name in RELUS)
    assert_same(graph(x), function(x))


def test_a_clamp_called_relu_keeps_its_derivative_at_zero() -> None:
    gradient = xaicore.explain(Returns(RELUS["clamp"]), torch.zeros(2, 3), method="gradients.saliency", target=1)
    assert gradient.relevance.tolist() == [[0.0, 1.0, 0.0]] * 2


@pytest.mark.parametrize(
    "function",
    [
        lambda x: nn.functional.linear(x, (x.mean(0) * WEIGHT.t())),
        lambda x: nn.functional.linear(x, WEIGHT.t(), x.sum(0)[:3]),
        lambda x: nn.functional.conv1d(x.unsqueeze(1), x.mean(0)[:2].view(1, 1, 2), padding="same"),
    ],
)
def test_a_layer_whose_weight_or_bias_is_computed_is_a_matrix_product(function: Any) -> None:
    x = noise(5, 4)
    graph = xaicore.trace(Returns(function), x)
    kinds = [layer.kind for layer in graph.layers if not layer.constant]
    assert Kind.MATMUL in kinds and not {Kind.LINEAR, Kind.CONVOLUTION} & set(kinds)
    assert_same(graph(x), function(x))


@pytest.mark.parametrize("accumulate", [True, False])
def test_putting_values_in_places_selects_but_adding_them_there_does_not(accumulate: bool) -> None:
    def function(x: Tensor) -> Tensor:
        return x.t().index_put((torch.arange(2),), x.t()[2:], accumulate=accumulate).t()

    x = noise(3, 4)
    graph = xaicore.trace(Returns(function), x)
    (layer,) = [layer for layer in graph.layers if layer.op_name == "index_put"]
    assert layer.kind is (Kind.ADD if accumulate else Kind.SELECT)
    assert_same(graph(x), function(x))
