"""Every model of the zoo is traced as its authors wrote it, and its saliency is autograd's gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from published import Published
from torch import Tensor

import xaicore

TOLERANCE = 1e-5

IMAGES = [name for name in zoo.names() if name not in zoo.names("tokens")]


def relative_error(actual: Tensor, expected: Tensor) -> float:
    assert actual.shape == expected.shape
    scale = float(expected.abs().max())
    assert scale > 1e-12, "the reference is zero: nothing would be compared"
    return float((actual - expected).abs().max()) / scale


def of_single_input(value: Any) -> Tensor:
    """Relevance of the one input that can be explained, whether or not it comes under its name."""
    if isinstance(value, Tensor):
        return value
    return value["input_ids"] if "input_ids" in value else value["pixel_values"]


@pytest.mark.parametrize("published", IMAGES, indirect=True)
def test_saliency_of_an_image_model_is_autograds_gradient(published: Published) -> None:
    entry, model, inputs = published.entry, published.model, published.inputs
    values, images, gradient = zoo.autograd_gradient(model, inputs, entry.target)

    explanation = xaicore.explain(model, inputs, method="gradients.saliency", target=entry.target)

    relevance = of_single_input(explanation.relevance)
    assert (relevance.shape, relevance.dtype) == (images.shape, images.dtype)
    assert relative_error(relevance, gradient) < TOLERANCE
    torch.testing.assert_close(explanation.diagnostics.explained, values, rtol=1e-4, atol=1e-6)
    assert explanation.diagnostics.non_finite == 0


@pytest.mark.parametrize("published", zoo.names("tokens"), indirect=True)
def test_gradient_of_a_token_model_is_autograds_at_the_embedding(published: Published) -> None:
    entry, model, inputs = published.entry, published.model, published.inputs
    assert isinstance(inputs, dict)
    values, looked_up, gradient = zoo.autograd_gradient(model, inputs, entry.target)
    tokens = inputs["input_ids"].shape

    analyzer = xaicore.create_analyzer("gradients.input_x_gradient", model)
    explanation = analyzer.analyze(inputs, target=entry.target)
    relevance = of_single_input(explanation.relevance)
    assert relevance.shape == tokens
    assert relative_error(relevance, (looked_up * gradient).sum(-1)) < TOLERANCE
    torch.testing.assert_close(explanation.diagnostics.explained, values, rtol=1e-4, atol=1e-6)

    # Layer normalisation right behind an embedding makes its gradient sum to zero over the features, so the plain
    # gradient has something to say only feature by feature, or up to rounding error that the scale makes visible.
    saliency = of_single_input(
        xaicore.explain(model, inputs, method="gradients.saliency", target=entry.target).relevance
    )
    assert saliency.shape == tokens
    assert float((saliency - gradient.sum(-1)).abs().max() / gradient.abs().sum(-1).max()) < TOLERANCE


@pytest.mark.parametrize("published", ["resnet18", "transformers_vit", "bert", "gpt2_language", "llama"], indirect=True)
def test_trace_reads_as_a_table_of_the_users_modules(published: Published) -> None:
    model, inputs = published.model, published.inputs
    graph = xaicore.trace(model, **inputs) if isinstance(inputs, dict) else xaicore.trace(model, inputs)

    modules = {path for path, _ in model.named_modules()}
    strangers = {layer.module_path for layer in graph.layers} - modules
    assert not strangers, f"not modules of the model: {sorted(strangers)[:5]}"
    table = str(graph)
    weighted = [layer for layer in graph.layers if layer.kind in (xaicore.Kind.LINEAR, xaicore.Kind.CONVOLUTION)]
    assert weighted
    assert all(layer.module_path in table for layer in weighted)
