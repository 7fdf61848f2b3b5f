"""Explanations that are themselves differentiated, and how often a forward runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import OperatorCounter, assert_same, noise, shaken
from torch import Tensor, nn

import xaicore


class Smooth(nn.Module):
    """Twice differentiable, with a batch norm, a residual sum, a product and a weight that is computed."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.second = nn.Conv2d(4, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.zeros(4))
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = nn.functional.softplus(self.norm(self.conv(x)))
        h = h + self.second(h).tanh() * h
        return self.head(h.mean((2, 3)) * self.scale.exp())


def saliency_by_autograd(model: nn.Module, x: Tensor, target: int) -> Tensor:
    (gradient,) = torch.autograd.grad(model(x)[:, target].sum(), x, create_graph=True)
    return gradient


def tracked(x: Tensor) -> Tensor:
    return x.clone().requires_grad_()


@pytest.mark.parametrize("target", [1, lambda output: output.square().sum(1)])
def test_the_gradient_of_a_saliency_map_is_the_second_derivative(target: Any) -> None:
    model = shaken(Smooth())
    one, two = tracked(noise(2, 2, 4, 4)), tracked(noise(2, 2, 4, 4))
    direction = noise(2, 2, 4, 4, seed=3)
    explanation = xaicore.explain(model, one, method="gradients.saliency", target=target, create_graph=True)
    score = model(two)[:, 1].sum() if target == 1 else target(model(two)).sum()
    (expected,) = torch.autograd.grad(score, two, create_graph=True)
    assert_same(explanation.relevance.detach(), expected.detach())
    tensors = ("conv.weight", "conv.bias", "norm.weight", "second.weight", "scale", "head.weight")
    parameters = [model.get_parameter(name) for name in tensors]
    found = torch.autograd.grad((explanation.relevance * direction).sum(), [one, *parameters], allow_unused=True)
    wanted = torch.autograd.grad((expected * direction).sum(), [two, *parameters], allow_unused=True)
    for name, mine, other in zip(("x", *tensors), found, wanted, strict=True):
        assert mine is not None and other is not None, name
        assert_same(mine, other, 1e-9)


def test_the_derivative_of_relevance_agrees_with_finite_differences() -> None:
    model = shaken(Smooth())

    def total(x: Tensor) -> Tensor:
        explanation = xaicore.explain(model, x, method="lrp.epsilon", epsilon=0.1, target=1, create_graph=True)
        return (explanation.relevance * noise(2, 2, 4, 4, seed=3)).sum()

    # A product of two branches has no rule; the plain gradient stands in for it.
    class Simple(Smooth):
        def forward(self, x: Tensor) -> Tensor:
            h = nn.functional.softplus(self.norm(self.conv(x)))
            return self.head((h + self.second(h).tanh()).mean((2, 3)))

    model = shaken(Simple())
    x, step, direction = noise(2, 2, 4, 4), 1e-6, noise(2, 2, 4, 4, seed=5)
    at = tracked(x)
    (gradient,) = torch.autograd.grad(total(at), at)
    with torch.no_grad():
        slope = (total(x + step * direction) - total(x - step * direction)) / (2 * step)
    assert float((gradient * direction).sum()) == pytest.approx(float(slope), rel=1e-5)


def test_training_on_an_explanation_moves_the_parameters_and_is_seen_by_the_next_call() -> None:
    model, x = shaken(Smooth()), noise(2, 2, 4, 4)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    sizes = []
    for _ in range(3):
        explanation = xaicore.explain(model, x, method="gradients.saliency", target=1, create_graph=True)
        size = explanation.relevance.square().sum()
        sizes.append(float(size.detach()))
        optimizer.zero_grad()
        size.backward()
        optimizer.step()
    assert sizes[2] < sizes[1] < sizes[0]


def test_without_create_graph_nothing_is_tracked() -> None:
    x = tracked(noise(2, 2, 4, 4))
    explanation = xaicore.explain(shaken(Smooth()), x, method="gradients.saliency", target=1)
    for tensor in (explanation.relevance, explanation.prediction, explanation.target["values"]):
        assert not tensor.requires_grad
    assert x.grad is None


class Convolutions(nn.Module):
    """Convolutions of every kind that a network may have, five in all."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.two = nn.Conv2d(4, 4, 3, padding=1, groups=2)
        self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.down = nn.Conv2d(4, 4, 2, stride=2)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.one(x)).relu()
        h = h + self.two(h).relu()
        h = self.down(self.up(h).relu()).relu()
        h = h + self.two(h)  # called a second time
        return self.head(h.mean((2, 3)))


@pytest.mark.parametrize(
    "method", ["gradients.saliency", "gradients.guided_backprop", "gradients.deconvnet", "lrp.epsilon", "lrp.zero"]
)
def test_no_convolution_runs_its_forward_more_than_once_and_its_backward_once(method: str) -> None:
    model, x = shaken(Convolutions()), noise(2, 2, 6, 6)
    analyzer = xaicore.create_analyzer(method, model)
    analyzer.analyze(x, 1)  # the capture, the comparison with the model, and derived weights belong to the first call
    with OperatorCounter() as counter:
        analyzer.analyze(x, 1)
    assert counter.of(["convolution", "convolution_backward"]) == [5, 5]


def test_a_walk_to_an_inner_layer_stops_there() -> None:
    model, x = shaken(Convolutions()), noise(2, 2, 6, 6)
    analyzer = xaicore.create_analyzer("gradients.saliency", model)
    analyzer.analyze(x, 1, layer="up")
    with OperatorCounter() as counter:
        analyzer.analyze(x, 1, layer="up")
    assert counter.of(["convolution", "convolution_backward"]) == [5, 2]  # down, and two's second call
