"""LRP accounts for the whole output of every model of the zoo, without a word of model-specific code."""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

ACCOUNTED = 1e-4  # of the explained output
Example = tuple[nn.Module, Tensor | dict[str, Tensor], tuple[int, ...] | None]


@pytest.fixture(scope="module", params=zoo.names("lrp"))
def example(request: pytest.FixtureRequest) -> Example:
    """A model, what it is explained on, and the target; the tests share it, so that it is captured once."""
    entry = zoo.BY_NAME[request.param]
    return entry.build(torch.float64), entry.inputs(torch.float64), entry.target


def test_relevance_and_absorbed_shares_add_up_to_the_output(example: Example) -> None:
    model, inputs, target = example

    explanation = xaicore.explain(model, inputs, method="lrp.zero", target=target, ledger=True)

    diagnostics = explanation.diagnostics
    explained = diagnostics.explained
    with torch.no_grad():
        expected = zoo.explained_value(zoo.call(model, inputs), target)
    torch.testing.assert_close(explained, expected, rtol=1e-6, atol=1e-9)  # some compute in float32 here and there
    absorbed = sum(row["bias"] + row["stabilizer"] for row in diagnostics.ledger)
    # Scores of either sign may cancel over the batch.
    allowed = ACCOUNTED * float(explained.abs().sum())
    assert float(_all_of(explanation.relevance).sum()) + absorbed == pytest.approx(float(explained.sum()), abs=allowed)
    assert absorbed != 0.0  # these models have biases, or units without contributions
    assert not diagnostics.fallbacks
    assert diagnostics.non_finite == 0


@pytest.mark.parametrize("method", ["lrp.zero", "lrp.epsilon_plus"])
def test_each_layer_passes_on_what_it_does_not_absorb(example: Example, method: str) -> None:
    model, inputs, target = example
    ledger = xaicore.explain(model, inputs, method=method, target=target, ledger=True).diagnostics.ledger
    assert len(ledger) > 10
    for row in ledger:
        gap = row["relevance_in"] - row["relevance_out"] - row["bias"] - row["stabilizer"]
        size = max(abs(row[column]) for column in ("relevance_in", "relevance_out", "bias", "stabilizer"))
        # A model may compute in float32 here and there, whatever its parameters are (the norms of Llama).
        rounding = 1e-6 if row["kind"] == "cast" else 1e-9
        assert abs(gap) <= rounding * max(1.0, size), row
        assert row["unaccounted"] == pytest.approx(gap, abs=rounding * max(1.0, size))


def _all_of(relevance: Tensor | dict[str, Tensor]) -> Tensor:
    parts = relevance.values() if isinstance(relevance, dict) else [relevance]
    return torch.cat([part.flatten() for part in parts])


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
