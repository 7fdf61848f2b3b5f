"""The rule on numbers worked out by hand, and what it promises on a network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from xai_absolute.rules import Absolute

import xaicore
from xaicore import Composite, Kind, kind

MODES = ("absorb", "ignore", "distribute", "conserve")


def layer() -> nn.Linear:
    """A layer of one output, ``3 x_1 - x_2 + 2``."""
    linear = nn.Linear(2, 1).double()
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[3.0, -1.0]]))
        linear.bias.fill_(2.0)
    return linear


def network() -> nn.Module:
    torch.manual_seed(0)
    layers = (nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Conv1d(4, 4, 3, padding=1), nn.Flatten(), nn.Linear(4 * 5, 3))
    return nn.Sequential(*layers).double()


SERIES = torch.randn(3, 2, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(
    ("bias", "shares"),
    [
        ("absorb", [3 / 10, 4 / 10]),  # sizes 3 and 4, of the bias 2, of the stabilizer 1
        ("ignore", [3 / 8, 4 / 8]),
        ("distribute", [(3 + 1) / 10, (4 + 1) / 10]),
        ("conserve", [(3 + 1.5) / 10, (4 + 1.5) / 10]),
    ],
)
def test_relevance_is_shared_by_size(bias: str, shares: list[float]) -> None:
    x = torch.tensor([[1.0, 4.0]], dtype=torch.float64)
    found = xaicore.explain(layer(), x, method="absolute.shares", target=0, epsilon=1.0, bias=bias).relevance
    torch.testing.assert_close(found, (3 - 4 + 2) * torch.tensor([shares], dtype=torch.float64))


@pytest.mark.parametrize("bias", MODES)
def test_the_ledger_accounts_for_everything(bias: str) -> None:
    explanation = xaicore.explain(network(), SERIES, method="absolute.shares", epsilon=0.1, bias=bias, ledger=True)
    assert max(abs(row["unaccounted"]) for row in explanation.diagnostics.ledger or ()) < 1e-12


def test_nothing_is_absorbed_where_all_is_conserved() -> None:
    model = network()
    relevance = xaicore.explain(model, SERIES, method="absolute.shares", bias="conserve", target=1).relevance
    torch.testing.assert_close(relevance.sum((1, 2)), model(SERIES)[:, 1].detach())


def test_coefficients_and_relevance_itself_give_the_same() -> None:
    # A walk hands on coefficients, unless it keeps a ledger.
    options = {"method": "absolute.shares", "epsilon": 0.1}
    found = xaicore.explain(network(), SERIES, **options).relevance
    torch.testing.assert_close(found, xaicore.explain(network(), SERIES, ledger=True, **options).relevance)


def test_the_second_method_has_the_rule_in_convolutions_only() -> None:
    matching = xaicore.create_analyzer("absolute.epsilon_absolute", network(), epsilon=0.1).match(SERIES)
    rules = [row["mapping"].partition("(")[0] for row in matching.rows() if row["kind"] in ("convolution", "linear")]
    assert rules == ["Absolute", "Absolute", "Epsilon"]


def test_the_rule_stands_in_a_composite_beside_others() -> None:
    composite = Composite([(kind(Kind.CONVOLUTION, Kind.LINEAR), Absolute(0.1))])
    found = xaicore.explain(network(), SERIES, method="lrp.composite", composite=composite).relevance
    expected = xaicore.explain(network(), SERIES, method="absolute.shares", epsilon=0.1).relevance
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("parameters", [{"epsilon": -1.0}, {"epsilon": float("nan")}, {"bias": "absorbed"}])
def test_parameters_that_cannot_be_are_refused(parameters: dict[str, object]) -> None:
    with pytest.raises(xaicore.errors.ParameterError, match=next(iter(parameters))):
        Absolute(**parameters)  # type: ignore[arg-type]
