"""The custom operation, and how relevance passes it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from xai_absolute.networks import small
from xai_absolute.shrinkage import soft_threshold

import xaicore
from xaicore.analyzers import PropagationAnalyzer
from xaicore.plugins import reset_registry


class Once(nn.Module):
    """A soft threshold with a given threshold, and a sum."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(threshold, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        return soft_threshold(x, self.threshold).sum(1, keepdim=True)


class OfAConstant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.constant = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor) -> Tensor:
        return soft_threshold(self.constant, x.abs())


class Gradient(PropagationAnalyzer):
    """The gradient itself, by the family's default mapping."""

    family = "gradient"


@pytest.fixture
def without_the_mapping(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if xai-absolute were not installed."""
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "absolute")
    reset_registry()
    yield
    monkeypatch.undo()
    reset_registry()


def test_the_operation_and_its_derivatives_are_what_they_say() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    threshold = torch.full((3, 1), 0.3, dtype=torch.float64, requires_grad=True)
    expected = torch.where(x.abs() > 0.3, x - 0.3 * x.sign(), 0)
    torch.testing.assert_close(soft_threshold(x, threshold), expected)
    torch.library.opcheck(soft_threshold, (x, threshold), test_utils=("test_schema", "test_faketensor"))
    assert torch.autograd.gradcheck(soft_threshold, (x, threshold))


def test_what_passes_gets_all_relevance() -> None:
    x = torch.tensor([[2.0, -1.5, 0.2]], dtype=torch.float64)
    explanation = xaicore.explain(Once(0.5), x, method="lrp.zero", ledger=True)
    torch.testing.assert_close(explanation.relevance, torch.tensor([[1.5, -1.0, 0.0]], dtype=torch.float64))


def test_what_a_rule_sends_to_a_closed_unit_is_kept_and_in_the_ledger() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Identity(), small()[0][1], nn.Flatten(), nn.Linear(3 * 4, 2)).double()
    x = torch.randn(2, 3, 2, 2, dtype=torch.float64)
    explanation = xaicore.explain(
        model, x, method="lrp.flat", ledger=True
    )  # to all inputs alike, also where they are 0
    rows = explanation.diagnostics.ledger or ()
    (row,) = [row for row in rows if row["layer"] == "soft_threshold"]
    assert abs(row["stabilizer"]) > 1e-3
    assert max(abs(row["unaccounted"]) for row in rows) < 1e-12


def test_every_relevance_method_passes_it_and_the_threshold_gets_nothing() -> None:
    model, x = small()
    for method in ("lrp.epsilon", "lrp.epsilon_plus", "absolute.shares"):
        before, behind = (xaicore.explain(model, x, method=method, layer=layer).relevance for layer in ("0", "1"))
        torch.testing.assert_close(before, behind)


def test_gradients_pass_by_the_registered_derivative() -> None:
    model, x = small()
    found = Gradient(model).analyze(x, target=1).relevance
    x.requires_grad_()
    torch.testing.assert_close(found, torch.autograd.grad(model(x)[:, 1].sum(), x)[0])


@pytest.mark.usefixtures("without_the_mapping")
def test_without_the_mapping_the_error_says_what_is_missing() -> None:
    model, x = small()
    with pytest.raises(xaicore.errors.MatchError) as raised:
        xaicore.explain(model, x, method="lrp.epsilon")
    message = str(raised.value)
    assert "1 of" in message and "in module '1' (Shrinkage), at shrinkage.py:" in message
    assert "ops=('shrinkage::soft_threshold',)" in message


def test_a_soft_threshold_of_a_constant_is_refused() -> None:
    with pytest.raises(xaicore.errors.MatchError, match="shrinks a constant"):
        xaicore.explain(OfAConstant(), torch.rand(3, 3) / 2, method="lrp.epsilon")
