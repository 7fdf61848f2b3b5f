"""Gradient methods agree with captum, on networks written the way captum needs them.

captum replaces the gradient of ``nn.ReLU`` modules by hooks, so its Guided Backprop and Deconvnet see neither
functional nor reused nor in-place activations; the networks below use none of these.
"""

from __future__ import annotations

import copy
import functools
import warnings
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

attr = pytest.importorskip("captum.attr")


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu_1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.second, self.norm, self.relu_2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu_1(self.first(x))
        return self.head(self.relu_2(x + self.norm(self.second(x))).mean((2, 3)))


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8),
        nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 5),
    )  # fmt: skip


NETWORKS = {"plain": plain, "residual": Residual}
METHODS: dict[str, tuple[str, type, dict[str, Any]]] = {
    "saliency": ("gradients.saliency", attr.Saliency, {"abs": False}),
    "input_x_gradient": ("gradients.input_x_gradient", attr.InputXGradient, {}),
    "guided_backprop": ("gradients.guided_backprop", attr.GuidedBackprop, {}),
    "deconvnet": ("gradients.deconvnet", attr.Deconvolution, {}),
}


@functools.cache
def build(network: str) -> tuple[nn.Module, Tensor]:
    """The same for all tests, which give copies to captum: it is captured once."""
    with zoo.seeded():
        model = NETWORKS[network]()
        zoo.randomise_constants(model)
        zoo.calibrate_batch_norm(model, torch.randn(8, 3, 12, 12))
        images = torch.randn(4, 3, 12, 12)
    return model.double().eval(), images.double()


def by_captum(model: nn.Module, images: Tensor, method: type, target: Any, options: dict[str, Any]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks
        theirs = method(copy.deepcopy(model))
        return theirs.attribute(images.clone().requires_grad_(), target=target, **options).detach()


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("target", [3, [0, 4, 2, 2]], ids=["one class", "a class a sample"])
def test_relevance_agrees_with_captum(name: str, network: str, target: Any) -> None:
    method, theirs, options = METHODS[name]
    model, images = build(network)
    actual = xaicore.explain(model, images, method=method, target=target).relevance
    expected = by_captum(model, images, theirs, target, options)
    assert float(expected.abs().max()) > 1e-6
    torch.testing.assert_close(actual, expected, rtol=1e-9, atol=1e-12)


def test_absolute_saliency_agrees_with_captum() -> None:
    model, images = build("plain")
    actual = xaicore.explain(model, images, method="gradients.saliency", target=1, postprocess="abs").relevance
    torch.testing.assert_close(actual, by_captum(model, images, attr.Saliency, 1, {}), rtol=1e-9, atol=1e-12)
