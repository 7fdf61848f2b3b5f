"""Which maps Grad-CAM finds in published architectures, and that the relevance comes from there."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import zoo
from torch import Tensor

import xaicore

# Sizes at which the last stage has an extent; the module whose output is used; its grid.
CHOSEN: dict[str, tuple[int, str, str]] = {
    "alexnet": (64, "features.11", "3 x 3"),  # ReLU, before the last pooling
    "vgg16_bn": (64, "features.42", "4 x 4"),
    "squeezenet1_1": (64, "classifier.2", "3 x 3"),  # its classifier is a convolution
    "resnet18": (64, "layer4.1.relu", "2 x 2"),
    "densenet121": (64, "", "2 x 2"),  # the functional ReLU behind the last norm
    "googlenet": (64, "inception5b", "2 x 2"),  # the concatenation of the branches
    "inception_v3": (139, "Mixed_7c", "3 x 3"),
    "mnasnet0_5": (64, "layers.16", "2 x 2"),
    "regnet_y_400mf": (64, "trunk_output.block4.block4-5.activation", "2 x 2"),  # has squeeze and excitation
    "shufflenet_v2_x0_5": (64, "conv5.2", "2 x 2"),
    "efficientnet_b0": (64, "features.8.2", "2 x 2"),
    "mobilenet_v2": (64, "features.18.2", "2 x 2"),
    "mobilenet_v3_small": (64, "features.12.2", "2 x 2"),
    "convnext_tiny": (64, "features.7.2", "2 x 2"),  # the residual sum, not the last convolution in its block
    "swin": (64, "norm", "8 x 8"),  # channels last, behind merged patches and shifted windows
    "maxvit": (64, "blocks.1.layers.0.layers.grid_attention", "8 x 8"),  # in windows
    "vit_b_16": (32, "encoder.layers.encoder_layer_11.ln_1", "2 x 2"),  # into the last attention
    "transformers_vit": (32, "vit.layers.1.layernorm_before", "4 x 4"),
}
FUNCTIONAL = {"densenet121": "relu_120"}


@pytest.mark.parametrize("name", CHOSEN)
def test_the_last_maps_of_published_architectures_are_found(name: str) -> None:
    size, module, grid = CHOSEN[name]
    entry = dataclasses.replace(zoo.BY_NAME[name], size=size)
    model, inputs = entry.build(), entry.inputs()
    analyzer = xaicore.create_analyzer("gradients.grad_cam", model)

    explanation = analyzer.analyze(inputs, 3)

    (note,) = [note for note in explanation.diagnostics.notes if "the maps are those" in note]
    assert (f"(module '{module}')" if module else f"'{FUNCTIONAL[name]}'") in note
    assert f"a grid of {grid}," in note
    assert not any("beside these" in note for note in explanation.diagnostics.notes)
    images = inputs if isinstance(inputs, Tensor) else inputs[entry.keyword]
    relevance = explanation.relevance
    relevance = relevance if isinstance(relevance, Tensor) else relevance[entry.keyword]
    assert relevance.shape == images.shape
    assert explanation.diagnostics.non_finite == 0
    assert float(relevance.min()) >= 0

    weighted = analyzer.analyze(inputs, 3, layer=note.split("'")[1]).relevance
    assert float(weighted.abs().max()) > 0


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_maps_are_the_output_of_the_module_by_autograd(name: str) -> None:
    _, module, _ = CHOSEN[name]
    entry = dataclasses.replace(zoo.BY_NAME[name], size=64)
    model, images = entry.build(torch.float64), entry.inputs(torch.float64)
    outputs: list[Tensor] = []
    handle = model.get_submodule(module).register_forward_hook(lambda _, __, out: outputs.append(out))
    try:
        scores = model(images)[:, 3].sum()
    finally:
        handle.remove()
    (gradients,) = torch.autograd.grad(scores, outputs[-1])
    cam = (outputs[-1] * gradients.mean((2, 3), keepdim=True)).sum(1, keepdim=True).relu().detach()
    expected = torch.nn.functional.interpolate(cam, size=images.shape[2:], mode="bilinear", align_corners=False)
    found = xaicore.explain(model, images, method="gradients.grad_cam", target=3).relevance
    torch.testing.assert_close(found.sum(1, keepdim=True), expected, rtol=1e-8, atol=1e-12)
