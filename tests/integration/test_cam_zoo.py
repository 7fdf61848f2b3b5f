"""Which maps Grad-CAM finds in published architectures, and that the relevance comes from there."""

from __future__ import annotations

import dataclasses

import pytest
import torch
import zoo
from published import Published
from torch import Tensor

import xaicore

# The module whose output is used; its grid.
CHOSEN: dict[str, tuple[str, str]] = {
    "alexnet": ("features.11", "3 x 3"),  # ReLU, before the last pooling
    "vgg16_bn": ("features.42", "4 x 4"),
    "squeezenet1_1": ("classifier.2", "3 x 3"),  # its classifier is a convolution
    "resnet18": ("layer4.1.relu", "2 x 2"),
    "densenet121": ("", "2 x 2"),  # the functional ReLU behind the last norm
    "googlenet": ("inception5b", "2 x 2"),  # the concatenation of the branches
    "inception_v3": ("Mixed_7c", "3 x 3"),
    "mnasnet0_5": ("layers.16", "2 x 2"),
    "regnet_y_400mf": ("trunk_output.block4.block4-5.activation", "2 x 2"),  # has squeeze and excitation
    "shufflenet_v2_x0_5": ("conv5.2", "2 x 2"),
    "efficientnet_b0": ("features.8.2", "2 x 2"),
    "mobilenet_v2": ("features.18.2", "2 x 2"),
    "mobilenet_v3_small": ("features.12.2", "2 x 2"),
    "convnext_tiny": ("features.7.2", "2 x 2"),  # the residual sum, not the last convolution in its block
    "swin": ("norm", "8 x 8"),  # channels last, behind merged patches and shifted windows
    "maxvit": ("blocks.1.layers.0.layers.grid_attention", "8 x 8"),  # in windows
    "vit_b_16": ("encoder.layers.encoder_layer_11.ln_1", "2 x 2"),  # into the last attention
    "transformers_vit": ("vit.layers.1.layernorm_before", "4 x 4"),
}
FUNCTIONAL = {"densenet121": "relu_120"}


@pytest.mark.parametrize("published", CHOSEN, indirect=True)
def test_the_last_maps_of_published_architectures_are_found(published: Published) -> None:
    entry, inputs = published.entry, published.inputs
    module, grid = CHOSEN[published.entry.name]
    analyzer = xaicore.create_analyzer("gradients.grad_cam", published.model)

    explanation = analyzer.analyze(inputs, 3)

    (note,) = [note for note in explanation.diagnostics.notes if "the maps are those" in note]
    assert (f"(module '{module}')" if module else f"'{FUNCTIONAL[published.entry.name]}'") in note
    assert f"a grid of {grid}," in note
    assert not any("beside these" in note for note in explanation.diagnostics.notes)
    relevance = explanation.relevance
    relevance = relevance if isinstance(relevance, Tensor) else relevance[entry.keyword]
    assert relevance.shape == published.images.shape
    assert explanation.diagnostics.non_finite == 0
    assert float(relevance.min()) >= 0

    weighted = analyzer.analyze(inputs, 3, layer=note.split("'")[1]).relevance
    assert float(weighted.abs().max()) > 0


@pytest.mark.parametrize("name", ["squeezenet1_1", "resnet18"])
def test_maps_are_the_output_of_the_module_by_autograd(name: str) -> None:
    module, _ = CHOSEN[name]
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
