"""LRP accounts for the whole output of every ReLU network of the zoo, without a word of model-specific code."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

ACCOUNTED = 1e-4  # of the explained output


@pytest.fixture(scope="module", params=zoo.names("lrp"))
def example(request: pytest.FixtureRequest) -> tuple[nn.Module, Tensor]:
    """A model and its images; the tests share it, so that it is captured once."""
    entry = zoo.BY_NAME[request.param]
    return entry.build(torch.float64), entry.inputs(torch.float64)


def test_relevance_and_absorbed_shares_add_up_to_the_output(example: tuple[nn.Module, Tensor]) -> None:
    model, images = example

    explanation = xaicore.explain(model, images, method="lrp.zero", ledger=True)

    diagnostics = explanation.diagnostics
    explained = float(diagnostics.explained.sum())
    with torch.no_grad():
        assert explained == pytest.approx(float(model(images).amax(1).sum()), rel=1e-9)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in diagnostics.ledger)
    assert float(explanation.relevance.sum()) + absorbed == pytest.approx(explained, rel=ACCOUNTED)
    assert absorbed != 0.0  # these models have biases
    assert not diagnostics.fallbacks
    assert diagnostics.non_finite == 0


@pytest.mark.parametrize("method", ["lrp.zero", "lrp.epsilon_plus"])
def test_each_layer_passes_on_what_it_does_not_absorb(example: tuple[nn.Module, Tensor], method: str) -> None:
    model, images = example
    ledger = xaicore.explain(model, images, method=method, ledger=True).diagnostics.ledger
    assert len(ledger) > 10
    for row in ledger:
        gap = row["relevance_in"] - row["relevance_out"] - row["bias"] - row["stabilizer"]
        size = max(abs(row[column]) for column in ("relevance_in", "relevance_out", "bias", "stabilizer"))
        assert abs(gap) <= 1e-9 * max(1.0, size), row
        assert row["unaccounted"] == pytest.approx(gap, abs=1e-9 * max(1.0, size))


def _without_biases(model: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
    return model


def _normless_resnet() -> nn.Module:
    resnet = zoo.import_torchvision().models.resnet18
    with zoo.seeded():
        return _without_biases(resnet(weights=None, num_classes=zoo.CLASSES, norm_layer=nn.Identity))


HOMOGENEOUS = {
    "alexnet": lambda: _without_biases(zoo.BY_NAME["alexnet"].build()),
    "squeezenet1_1": lambda: _without_biases(zoo.BY_NAME["squeezenet1_1"].build()),
    "resnet18_without_norm": _normless_resnet,
}


@pytest.mark.parametrize("name", HOMOGENEOUS)
def test_without_biases_the_zero_rule_is_input_times_gradient(name: str) -> None:
    model = HOMOGENEOUS[name]().double().eval()
    images = zoo.BY_NAME["alexnet"].inputs(torch.float64)
    values, point, gradient = zoo.autograd_gradient(model, images)

    explanation = xaicore.explain(model, images, method="lrp.zero", ledger=True)

    expected = point * gradient
    assert float((explanation.relevance - expected).abs().max() / expected.abs().max()) < 1e-6
    torch.testing.assert_close(explanation.relevance.flatten(1).sum(1), values, rtol=1e-6, atol=0.0)
    assert sum(abs(row["bias"]) for row in explanation.diagnostics.ledger) == 0.0
