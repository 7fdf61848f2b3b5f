"""Grad-CAM and Guided Grad-CAM agree with captum, at layers that are named for both."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

attr = pytest.importorskip("captum.attr")

LAYERS = ["1", "4", "5"]


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with zoo.seeded():
        made = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1),
            nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 4 * 6, 12), nn.ReLU(), nn.Linear(12, 5),
        )  # fmt: skip
        zoo.randomise_constants(made)
        zoo.calibrate_batch_norm(made, torch.randn(8, 3, 17, 25))
    return made.double().eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(4, 3, 17, 25, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_captum(model: nn.Module, method: type, layer: str, images: Tensor, target: Any, **options: Any) -> Tensor:
    twin = copy.deepcopy(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # captum announces its hooks
        theirs = method(twin, twin.get_submodule(layer))
        return theirs.attribute(images.clone().requires_grad_(), target=target, **options).detach()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("target", [3, [0, 4, 2, 2]], ids=["one class", "a class a sample"])
def test_grad_cam_agrees_with_captum(model: nn.Module, images: Tensor, layer: str, target: Any) -> None:
    expected = by_captum(model, attr.LayerGradCam, layer, images, target)
    assert float(expected.abs().max()) > 1e-6
    found = xaicore.explain(model, images, method="gradients.grad_cam", target=target, layer=layer).relevance
    torch.testing.assert_close(found.sum(1, keepdim=True), expected, rtol=1e-9, atol=1e-12)

    enlarged = attr.LayerAttribution.interpolate(expected.relu(), images.shape[2:], "bilinear")
    at_input = xaicore.explain(model, images, method="gradients.grad_cam", target=target, at=layer).relevance
    torch.testing.assert_close(at_input.sum(1, keepdim=True), enlarged, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("mode", ["nearest", "bilinear", "bicubic"])
@pytest.mark.parametrize("layer", LAYERS)
def test_guided_grad_cam_agrees_with_captum(model: nn.Module, images: Tensor, layer: str, mode: str) -> None:
    expected = by_captum(model, attr.GuidedGradCam, layer, images, 2, interpolate_mode=mode)
    assert float(expected.abs().max()) > 1e-6
    found = xaicore.explain(
        model, images, method="gradients.guided_grad_cam", target=2, at=layer, interpolation=mode
    ).relevance
    if mode == "bicubic":  # captum lets the curve go below zero; there the map is zero here
        below = (found == 0) & (expected != 0)
        assert float(below.double().mean()) < 0.5
        found, expected = found[~below], expected[~below]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


def test_the_layer_that_is_found_is_the_one_to_give_captum(model: nn.Module, images: Tensor) -> None:
    found = xaicore.explain(model, images, method="gradients.guided_grad_cam", target=1).relevance
    expected = by_captum(model, attr.GuidedGradCam, "5", images, 1, interpolate_mode="bilinear")
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
