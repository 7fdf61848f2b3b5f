"""Relevance maps can be differentiated twice, with respect to inputs and weights."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore

METHODS: dict[str, dict[str, Any]] = {
    "lrp.zero": {},
    "lrp.epsilon": {"epsilon": 0.1},
    "lrp.gamma": {"epsilon": 0.1},
    "lrp.alpha_beta": {},
    "lrp.z_plus": {},
    "lrp.w_square": {},
    "lrp.flat": {},
    "lrp.z_box": {"low": -3.0, "high": 3.0},
}
ACTIVATIONS: dict[str, nn.Module] = {"softplus": nn.Softplus(), "tanh": nn.Tanh(), "relu": nn.ReLU()}


class Net(nn.Module):
    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.one, self.activation, self.two = nn.Conv1d(1, 2, 2), activation, nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.two(self.activation(self.one(x)).flatten(1))


def net(activation: str) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return Net(ACTIVATIONS[activation]).double().eval()


def inputs() -> Tensor:
    """One sample, at which no unit of the networks is near a kink."""
    return torch.tensor([[[0.9, -0.6, 1.3]]], dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("method", METHODS)
def test_first_and_second_derivatives_with_respect_to_inputs_are_those_of_finite_differences(
    method: str, activation: str
) -> None:
    analyzer = xaicore.create_analyzer(method, net(activation), **METHODS[method])

    def relevance(x: Tensor) -> Tensor:
        return analyzer.analyze(x, 1, create_graph=True).relevance

    assert relevance(inputs()).requires_grad
    assert torch.autograd.gradcheck(relevance, inputs())
    assert torch.autograd.gradgradcheck(relevance, inputs())


@pytest.mark.parametrize("method", METHODS)
def test_first_and_second_derivatives_with_respect_to_weights_are_those_of_finite_differences(method: str) -> None:
    model = net("softplus")
    analyzer = xaicore.create_analyzer(method, model, **METHODS[method])
    # gradcheck perturbs the parameters where they lie.
    weights = (model.one.weight, model.one.bias, model.two.weight)
    x = inputs().detach()

    def relevance(*_: Tensor) -> Tensor:
        return analyzer.analyze(x, 1, create_graph=True).relevance

    assert torch.autograd.gradcheck(relevance, weights)
    assert torch.autograd.gradgradcheck(relevance, weights)
