"""DeepLIFT is complete on models as their authors wrote them: nothing is replaced, reused modules and all."""

from __future__ import annotations

import pytest
import torch
import zoo
from published import Published
from torch import Tensor

import xaicore
from xaicore.analyzers.baselines import Given

FAMILIES = (
    "resnet18",
    "squeezenet1_1",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "transformers_vit",
    "bert",
    "llama",
)


def gap(explanation: xaicore.Explanation) -> float:
    found = explanation.diagnostics
    change = (found.explained - found.reference).double()
    assert found.non_finite == 0
    assert float(change.abs().min()) > 1e-6, "nothing to explain"
    return float(((found.relevance_sum - change).abs() / change.abs()).max())


@pytest.mark.parametrize("published", FAMILIES, indirect=True)
def test_relevance_sums_to_the_difference(published: Published) -> None:
    entry, model, inputs = published.entry, published.model, published.inputs
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for rule in ("rescale", "reveal_cancel"):
        explanation = xaicore.create_analyzer("gradients.deeplift", model, rule=rule).analyze(inputs, entry.target)
        assert gap(explanation) < 1e-3
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])


def test_in_double_precision_nothing_is_missing() -> None:
    entry = zoo.BY_NAME["resnet18"]
    model, inputs = entry.build(torch.float64), entry.inputs(torch.float64)
    explanation = xaicore.create_analyzer("gradients.deeplift", model).analyze(inputs, entry.target)
    assert gap(explanation) < 1e-9


def test_tokens_of_bert_against_padding() -> None:
    entry = zoo.BY_NAME["bert"]
    model, inputs = entry.build(torch.float64), entry.inputs()
    assert isinstance(inputs, dict)
    padding = Given({"input_ids": torch.zeros_like(inputs["input_ids"][:1])})
    explanation = xaicore.create_analyzer("gradients.deeplift", model, baseline=padding).analyze(inputs)
    relevance = (
        explanation.relevance if isinstance(explanation.relevance, Tensor) else explanation.relevance["input_ids"]
    )
    assert relevance.shape == inputs["input_ids"].shape
    assert gap(explanation) < 1e-6
    with torch.no_grad():
        there = model(input_ids=torch.zeros_like(inputs["input_ids"]), attention_mask=inputs["attention_mask"]).logits
    chosen = explanation.prediction.argmax(1)
    torch.testing.assert_close(explanation.diagnostics.reference, there[torch.arange(2), chosen])
