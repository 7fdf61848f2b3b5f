"""Batch norm becomes part of the linear layer beside it, by data flow; in any case the graph computes the same."""

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


def folded(model: nn.Module, x: Tensor) -> Graph:
    """The folded graph, after the check that it and the plain one compute what the model does."""
    graph = xaicore.trace(shaken(model), x)
    expected = eager(model, x)
    assert_same(graph(x), expected)
    assert_same(graph.folded(x), expected)
    if len(x) > 1:
        assert_same(graph.folded(x[:1]), expected[:1])
    assert "batch_norm" in operators(graph)
    assert "batch_norm" not in operators(graph.folded)
    return graph.folded


NORMS = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}
CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
TRANSPOSED = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d, 3: nn.ConvTranspose3d}


def image(dimensions: int, channels: int = 4) -> Tensor:
    return noise(2, channels, *[5, 6, 4][:dimensions])


@pytest.mark.parametrize("options", [{}, {"bias": False}, {"groups": 2, "padding": 1, "stride": 2, "dilation": 2}])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_after_a_convolution(dimensions: int, options: dict[str, Any]) -> None:
    model = nn.Sequential(CONVOLUTIONS[dimensions](4, 6, 2, **options), NORMS[dimensions](6), nn.ReLU())
    assert operators(folded(model, image(dimensions))) == [f"conv{dimensions}d", "relu"]


@pytest.mark.parametrize("options", [{}, {"groups": 2, "stride": 2, "output_padding": 1, "padding": 1}])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_after_a_transposed_convolution(dimensions: int, options: dict[str, Any]) -> None:
    model = nn.Sequential(TRANSPOSED[dimensions](4, 6, 3, **options), NORMS[dimensions](6))
    assert [layer.kind for layer in folded(model, image(dimensions)).select(xaicore.kind("convolution"))] == [
        Kind.CONVOLUTION
    ]


@pytest.mark.parametrize("bias", [True, False])
def test_after_and_before_a_linear_layer(bias: bool) -> None:
    after = nn.Sequential(nn.Linear(4, 6, bias=bias), nn.BatchNorm1d(6), nn.ReLU())
    before = nn.Sequential(nn.BatchNorm1d(4), nn.Linear(4, 6, bias=bias), nn.ReLU())
    assert operators(folded(after, noise(3, 4))) == ["linear", "relu"]
    assert operators(folded(before, noise(3, 4))) == ["linear", "relu"]


@pytest.mark.parametrize("options", [{}, {"padding": 1}, {"groups": 2, "padding": 1, "stride": 2}, {"bias": False}])
@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_before_a_convolution_zero_padded_or_not(dimensions: int, options: dict[str, Any]) -> None:
    model = nn.Sequential(NORMS[dimensions](4), CONVOLUTIONS[dimensions](4, 6, 3, **options))
    assert operators(folded(model, image(dimensions))) == [f"conv{dimensions}d"]


@pytest.mark.parametrize("options", [{}, {"groups": 2, "stride": 2, "output_padding": 1, "padding": 1}])
def test_before_a_transposed_convolution(options: dict[str, Any]) -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.ConvTranspose2d(4, 6, 3, **options))
    assert operators(folded(model, image(2))) == ["conv_transpose2d"]


def test_on_both_sides_of_one_convolution() -> None:
    model = nn.Sequential(nn.BatchNorm2d(4), nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
    graph = folded(model, image(2))
    assert graph.find("1").kind is Kind.CONVOLUTION


def test_between_two_linear_layers_it_goes_into_the_one_that_feeds_it() -> None:
    model = nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.Conv2d(5, 3, 2))
    graph = folded(model, image(2))
    assert operators(graph) == ["conv2d", "conv2d"]
    assert graph.find("2").parameters["weight"].layer.kind is Kind.PARAMETER


def test_two_batch_norms_after_each_other() -> None:
    folded(nn.Sequential(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5), nn.BatchNorm2d(5), nn.ReLU()), image(2))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(4)
        self.left = nn.Conv2d(4, 3, 3, padding=1)
        self.right = nn.Conv2d(4, 3, 1)
        self.wide = nn.Conv2d(4, 4, 1)


class TwoConsumers(Branches):
    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.left(y) * self.right(y)


class OneConsumerIsNotLinear(Branches):
    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x)
        return self.left(y) + y[:, :3]


class ConvolutionReadElsewhere(Branches):
    def forward(self, x: Tensor) -> Tensor:
        y = self.wide(x)
        return self.norm(y).relu() + y


class ConvolutionReturned(Branches):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.wide(x)
        return {"raw": y, "normed": self.norm(y)}


class NormReturned(Branches):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        y = self.norm(x)
        return {"normed": y, "left": self.left(y)}


class ReusedConvolution(Branches):
    """One convolution, called twice, with another norm after each call."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        return self.other(self.wide(self.norm(self.wide(x)).relu()))


class ReusedNorm(Branches):
    """One norm with two convolutions before it."""

    def __init__(self) -> None:
        super().__init__()
        self.second = nn.Conv2d(4, 4, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.second(self.norm(self.wide(x)).relu()))


class AcrossAnActivation(Branches):
    """conv, relu, norm: registered side by side, but no linear neighbour by data flow."""

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.wide(x).relu()).tanh()


class DenseBlock(nn.Module):
    """As DenseNet has it: norm, relu, convolution, on a concatenation that others read too."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(4, 4, 1)
        self.norms = nn.ModuleList([nn.BatchNorm2d(4), nn.BatchNorm2d(6)])
        self.convs = nn.ModuleList([nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(6, 2, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for norm, conv in zip(self.norms, self.convs, strict=True):
            x = torch.cat([x, conv(norm(x).relu())], 1)
        return x


def test_before_two_linear_consumers_it_goes_into_both() -> None:
    assert sorted(operators(folded(TwoConsumers(), image(2)))) == ["conv2d", "conv2d", "mul"]


def test_one_convolution_called_twice_takes_up_each_norm_in_its_call() -> None:
    assert operators(folded(ReusedConvolution(), image(2))) == ["conv2d", "relu", "conv2d"]


def test_one_norm_called_twice_goes_into_each_convolution() -> None:
    assert operators(folded(ReusedNorm(), image(2))) == ["conv2d", "relu", "conv2d"]


@pytest.mark.parametrize("kind", [OneConsumerIsNotLinear, ConvolutionReadElsewhere, AcrossAnActivation])
def test_where_folding_would_change_what_another_layer_reads_it_is_a_layer_of_its_own(kind: type[nn.Module]) -> None:
    graph = folded(kind(), image(2))
    (own,) = [layer for layer in graph.layers if layer.kind is Kind.BATCH_NORM]
    assert own.op_name == "scale_shift" and set(own.parameters) == {"weight", "bias"}
    untouched = [layer for layer in graph.layers if layer.kind is Kind.CONVOLUTION]
    assert all(layer.parameters["weight"].layer.kind is Kind.PARAMETER for layer in untouched)


@pytest.mark.parametrize("kind", [ConvolutionReturned, NormReturned])
def test_what_the_model_returns_is_not_folded_away(kind: type[nn.Module]) -> None:
    model, x = shaken(kind()), image(2)
    graph = xaicore.trace(model, x).folded
    expected = eager(model, x)
    found = graph(x)
    assert isinstance(found, dict) and found.keys() == expected.keys()
    for name, value in expected.items():
        assert_same(found[name], value)
    assert operators(graph).count("scale_shift") == 1


def test_in_a_dense_block_it_is_a_layer_of_its_own() -> None:
    assert operators(folded(DenseBlock(), image(2))).count("scale_shift") == 2


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d(6, affine=False), nn.BatchNorm2d(6, eps=0.3), nn.BatchNorm2d(6, momentum=None)]
)
def test_without_affine_and_with_another_epsilon(norm: nn.Module) -> None:
    assert operators(folded(nn.Sequential(nn.Conv2d(4, 6, 2), norm), image(2))) == ["conv2d"]


def test_in_half_precision_a_tiny_variance_does_not_become_infinite() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(4, 6, 2), nn.BatchNorm2d(6)))
    model[1].running_var.fill_(1e-9)
    model, x = model.half(), image(2).half()
    result = xaicore.trace(model, x).folded(x)
    assert isinstance(result, Tensor) and bool(torch.isfinite(result).all())
    wide = eager(model.double(), x.double())
    torch.testing.assert_close(result.double(), wide, rtol=0.02, atol=0.02 * float(wide.abs().max()))


def test_a_dense_layer_over_a_sequence_is_not_folded_along_the_wrong_dimension() -> None:
    class Sequence(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(5, 5)
            self.norm = nn.BatchNorm1d(5)  # over dimension 1, the steps; the dense layer's units are dimension 2

        def forward(self, x: Tensor) -> Tensor:
            return self.dense(self.norm(self.dense(x)))

    assert operators(folded(Sequence(), noise(2, 5, 5))).count("scale_shift") == 1


def test_folding_sees_a_change_of_every_tensor_it_uses() -> None:
    model, x = shaken(nn.Sequential(nn.Conv2d(4, 6, 2), nn.BatchNorm2d(6))), image(2)
    graph = xaicore.trace(model, x).folded
    tensors = [model[0].weight, model[0].bias, model[1].weight, model[1].bias, model[1].running_mean]
    for tensor in [*tensors, model[1].running_var]:
        graph(x)
        with torch.no_grad():
            tensor.mul_(1.5)
        assert_same(graph(x), eager(model, x))


def test_the_plain_graph_is_left_as_it_was() -> None:
    graph = xaicore.trace(shaken(TwoConsumers()), image(2))
    before = str(graph)
    folded_graph = graph.folded
    assert str(graph) == before and graph.batch_norm == "plain"
    assert folded_graph.batch_norm == "folded" and graph.folded is folded_graph
