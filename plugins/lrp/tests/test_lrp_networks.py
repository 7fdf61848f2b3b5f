"""Whole networks: what theory says of LRP-0, and books that balance for every method."""

from __future__ import annotations

import networks
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xaicore.errors import MatchError
from xaicore.graph import Kind, kind

METHODS = {
    "lrp.zero": {},
    "lrp.epsilon": {"epsilon": 0.1},
    "lrp.gamma": {},
    "lrp.generalized_gamma": {},
    "lrp.alpha_beta": {"alpha": 1.5, "beta": 0.5},
    "lrp.alpha_1_beta_0": {},
    "lrp.alpha_2_beta_1": {},
    "lrp.z_plus": {},
    "lrp.excitation_backprop": {},
    "lrp.flat": {},
    "lrp.w_square": {},
    "lrp.z_box": {"low": -4, "high": 4},
    "lrp.epsilon_plus": {},
    "lrp.epsilon_gamma_box": {"low": -4, "high": 4},
    "lrp.epsilon_alpha2_beta1": {"epsilon_relative": 0.1},
    "lrp.preset_b_flat": {},
    "lrp.cmp": {"beta": 0.5, "flat_until": 2},
}


def input_times_gradient(model: nn.Module, x: Tensor, target: int) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x)[:, target].sum(), x)
    return (gradient * x).detach()


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_lrp_0_without_biases_is_input_times_gradient(name: str) -> None:
    model, x = networks.build(name, bias=False), networks.images()
    for target in range(3):
        explanation = xaicore.explain(model, x, method="lrp.zero", target=target)
        expected = input_times_gradient(model, x, target)
        torch.testing.assert_close(explanation.relevance, expected, rtol=1e-8, atol=1e-10)
        assert explanation.diagnostics.conservation_gap.max() < 1e-8


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", [*networks.NETWORKS, "constants"])
def test_the_ledger_accounts_for_all_relevance(name: str, method: str) -> None:
    model, x = networks.build(name, bias=True), networks.images()
    explanation = xaicore.explain(model, x, method=method, target=1, ledger=True, **METHODS[method])
    diagnostics = explanation.diagnostics
    rows = diagnostics.ledger
    scale = max(abs(row["relevance_in"]) for row in rows)
    for row in rows:
        assert row["unaccounted"] == pytest.approx(0, abs=1e-9 * scale), row
    absorbed = sum(row["bias"] + row["stabilizer"] for row in rows)
    total = diagnostics.relevance_sum.sum().item() + absorbed
    assert diagnostics.explained.sum().item() == pytest.approx(total, abs=1e-9 * scale)


def test_a_summand_that_does_not_lead_to_the_explained_layer_counts_as_a_constant() -> None:
    model, x = networks.build("residual", bias=True), networks.images()
    explanation = xaicore.explain(model, x, method="lrp.zero", target=1, layer="short", ledger=True)
    rows = explanation.diagnostics.ledger
    assert all(row["unaccounted"] == pytest.approx(0, abs=1e-10) for row in rows)
    assert sum(row["bias"] for row in rows if row["kind"] == "add") != 0


def test_constants_keep_the_share_that_they_contribute() -> None:
    class Shifted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return 3 - x

    x = torch.tensor([[1.0, -2.0], [5.0, 4.0]], dtype=torch.float64)
    explanation = xaicore.explain(Shifted(), x, method="lrp.zero", target=0, ledger=True)
    torch.testing.assert_close(explanation.relevance, torch.tensor([[-1.0, 0.0], [-5.0, 0.0]], dtype=torch.float64))
    assert sum(row["bias"] for row in explanation.diagnostics.ledger) == pytest.approx(6.0)


def test_a_sum_of_zero_passes_nothing_and_says_so() -> None:
    class Difference(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(2, 2).double()
            nn.init.ones_(self.head.weight)
            nn.init.zeros_(self.head.bias)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(x[:, :2] - x[:, 2:])

    x = torch.tensor([[1.0, 3.0, 1.0, 2.0]] * 2, dtype=torch.float64)
    explanation = xaicore.explain(Difference(), x, method="lrp.flat", target=0, ledger=True)
    torch.testing.assert_close(explanation.relevance[0], torch.tensor([0.0, 1.5, 0.0, -1.0], dtype=torch.float64))
    (row,) = [row for row in explanation.diagnostics.ledger if row["kind"] == "add"]
    assert row["stabilizer"] == pytest.approx(1.0)


def test_average_pooling_shares_by_value_and_max_pooling_gives_all_to_the_winner() -> None:
    x = torch.tensor([[[1.0, 3.0, -2.0, 6.0]]] * 2, dtype=torch.float64)
    average = xaicore.explain(nn.Sequential(nn.AvgPool1d(2), nn.Flatten()), x, method="lrp.zero", target=1)
    torch.testing.assert_close(average.relevance[0, 0], torch.tensor([0.0, 0.0, -1.0, 3.0], dtype=torch.float64))
    overlapping = nn.Sequential(nn.MaxPool1d(3, stride=1), nn.Flatten(), nn.Linear(2, 1, bias=False).double())
    nn.init.ones_(overlapping[2].weight)
    y = torch.tensor([[[1.0, 5.0, 2.0, 0.0]]] * 2, dtype=torch.float64)
    winner = xaicore.explain(overlapping, y, method="lrp.z_plus", target=0)
    torch.testing.assert_close(winner.relevance[0, 0], torch.tensor([0.0, 10.0, 0.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.prod(1, keepdim=True),
        lambda x: x.pow(x),
        lambda x: torch.cdist(x.unsqueeze(1), x.unsqueeze(1) * 2),
        lambda x: torch.atan2(x, x.flip(1)),
    ],
    ids=["product of all", "power of a tensor", "distances", "angle"],
)
def test_a_layer_without_a_rule_is_an_error_and_not_a_guess(function) -> None:
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.LazyLinear(2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(function(x).flatten(1))

    model, x = Model(), torch.rand(2, 4) + 0.5
    model(x)
    with pytest.raises(MatchError):
        xaicore.explain(model, x, method="lrp.epsilon")


@pytest.mark.parametrize(
    ("method", "parameters"), [("lrp.flat", {}), ("lrp.w_square", {}), ("lrp.zero", {"bias": "distribute"})]
)
def test_a_convolution_of_one_sample_without_a_batch_is_explained_as_in_a_batch(method: str, parameters) -> None:
    class Unbatched(nn.Module):
        def __init__(self, dims: int) -> None:
            super().__init__()
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(0)
                self.conv = nn.Conv1d(4, 4, 3, padding=1).double()
            self.dims = dims

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x).relu()
            return y if self.dims == 2 else y.flatten(1)

    x = torch.randn(4, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # The rows of the output count as samples, so that the relevance starts at place 2 of each of them.
    relevance = xaicore.explain(Unbatched(2), x, method=method, target=2, **parameters).relevance
    batched = xaicore.create_analyzer(method, Unbatched(3), **parameters)
    rows = [batched.analyze(x[None].repeat(2, 1, 1), target=7 * row + 2).relevance[0] for row in range(4)]
    torch.testing.assert_close(relevance, torch.stack(rows).sum(0))


def test_a_layer_with_a_computed_weight_gives_half_to_the_weight() -> None:
    class Hyper(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = nn.Linear(6, 30)

        def forward(self, x: Tensor) -> Tensor:
            return F.linear(x, self.weights(x.mean(0)).view(5, 6))

    x = torch.rand(4, 6)
    model = Hyper()
    (product,) = xaicore.trace(model, x).select(kind(Kind.MATMUL))
    explanation = xaicore.explain(model, x, method="lrp.zero", target=0, record=[product.inputs[1].layer.name])
    (to_weight,) = explanation.recorded.values()
    torch.testing.assert_close(to_weight.sum(), explanation.prediction[:, 0].sum() / 2)
