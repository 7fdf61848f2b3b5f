"""Prototypes of published architectures: climbed, measured on the model itself, and the model left as it was."""

from __future__ import annotations

import pytest
import torch
import zoo
from published import Published
from torch import Tensor

from xai_activation_max import PrototypeSearch
from xaicore.errors import InputError

CHOSEN = {
    "resnet18": "layer2",
    "googlenet": "inception3a",
    "densenet121": "features.denseblock1",
    "mobilenet_v3_small": "features.3",
    "convnext_tiny": "features.1",
    "transformers_vit": "vit.layers.0.layernorm_after",
}


@pytest.mark.parametrize("published", CHOSEN, indirect=True)
def test_a_class_and_a_channel_of_a_published_architecture_are_climbed(published: Published) -> None:
    entry, model, inputs, images = published.entry, published.model, published.inputs, published.images
    before = {key: value.clone() for key, value in model.state_dict().items()}
    example = images[:1] if isinstance(inputs, Tensor) else {entry.keyword: images[:1]}

    search = PrototypeSearch(model, prior="none", steps=6, learning_rate=0.02, start="input", patience=None)
    found = search.analyze(example, [1, 4])
    given = found.inputs if isinstance(inputs, Tensor) else {entry.keyword: found.inputs}
    with torch.no_grad():
        logs = zoo.call(model, given).log_softmax(1)
    assert found.inputs.shape == (2, *images.shape[1:])
    assert torch.allclose(found.score, logs[[0, 1], [1, 4]], atol=1e-4)
    assert bool((found.objective > found.trace[0].float()).all())

    channel = search.analyze(example, 2, layer=CHOSEN[published.entry.name])
    assert channel.target == (f"channel 2 of {CHOSEN[published.entry.name]}",)
    assert float(channel.objective) > float(channel.trace[0])
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_a_language_model_is_searched_among_its_embeddings_only() -> None:
    entry = zoo.BY_NAME["bert"]
    model = entry.build()
    with pytest.raises(InputError, match="such as tokens"):
        PrototypeSearch(model).analyze(entry.inputs(), 1)
    embedded = {"inputs_embeds": torch.zeros(1, 6, 32)}
    found = PrototypeSearch(model, prior="none", steps=5, patience=None).analyze(embedded, [1, 3])
    assert found.inputs.shape == (2, 6, 32) and bool((found.objective > found.trace[0].float()).all())
