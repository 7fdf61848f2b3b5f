"""Products of tensors that both depend on the input: gates, matrix products, attention."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xaicore.errors import ParameterError

EXACT = {"rtol": 1e-9, "atol": 1e-10}


class Two(nn.Module):
    """A function of two inputs, as its outputs in one row."""

    def __init__(self, function: Callable[..., Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.function(a, b).flatten(1)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


BILINEAR, BIAS = noise(3, 4, 4, seed=5), noise(3, seed=6)


def relevance_of(
    function: Callable[..., Tensor], a: Tensor, b: Tensor, target: int = 1, **structure: str
) -> tuple[Tensor, Tensor]:
    """The relevance of both inputs; the books must balance."""
    explanation = xaicore.explain(
        Two(function), (a, b), method="lrp.zero", target=target, structure=structure, ledger=True
    )
    for row in explanation.diagnostics.ledger:
        assert row["unaccounted"] == pytest.approx(0, abs=1e-10), row
    return explanation.relevance["a"], explanation.relevance["b"]


def output_of(function: Callable[..., Tensor], a: Tensor, b: Tensor, target: int = 1) -> Tensor:
    """The explained number of each sample, where it stands among the outputs."""
    y = function(a, b)
    kept = torch.zeros_like(y).flatten(1)
    kept[:, target] = 1
    return y * kept.view_as(y)


def gated(a: Tensor, b: Tensor) -> Tensor:
    return a * b.sigmoid()


def test_all_relevance_goes_to_the_signal_and_none_to_its_gate() -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    signal, gate = relevance_of(gated, a, b)
    torch.testing.assert_close(signal, output_of(gated, a, b), **EXACT)
    assert gate.abs().max() == 0


def test_without_a_gate_both_operands_get_half() -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    for relevance in relevance_of(torch.mul, a, b):
        torch.testing.assert_close(relevance, output_of(torch.mul, a, b) / 2, **EXACT)


def test_half_gives_the_gate_its_half() -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    for relevance in relevance_of(gated, a, b, product="half"):
        torch.testing.assert_close(relevance, output_of(gated, a, b) / 2, **EXACT)


def test_proportional_shares_by_the_size_of_the_factors() -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    a[0, 1], gate = 0.0, b.sigmoid()
    first, second = relevance_of(gated, a, b, product="proportional")
    y = output_of(gated, a, b)
    torch.testing.assert_close(first, y * a.abs() / (a.abs() + gate), **EXACT)
    torch.testing.assert_close(second, y * gate / (a.abs() + gate), **EXACT)


def test_proportional_of_a_quotient_compares_with_the_reciprocal() -> None:
    a, b = noise(3, 4), 1 + noise(3, 4, seed=1).abs()
    first, second = relevance_of(torch.div, a, b, product="proportional")
    y = output_of(torch.div, a, b)
    torch.testing.assert_close(first, y * a.abs() / (a.abs() + 1 / b), **EXACT)
    torch.testing.assert_close(first + second, y, **EXACT)


def test_two_factors_of_zero_share_equally_and_stay_finite() -> None:
    a = torch.zeros(2, 3, dtype=torch.float64)
    seen = relevance_of(lambda a, b: 1 + a * b, a, a.clone(), product="proportional")
    assert all(torch.isfinite(relevance).all() for relevance in seen)


@pytest.mark.parametrize("choice", ["signal", "half", "proportional"])
def test_a_broadcast_operand_gets_the_sum_over_where_it_went(choice: str) -> None:
    a, b = noise(2, 3, 4, 4), noise(2, 3, 1, 1, seed=1)
    for function in (torch.mul, gated, lambda a, b: b.sigmoid() * a, lambda a, b: b / a.abs()):
        first, second = relevance_of(lambda a, b, f=function: f(a, b).sum((2, 3)), a, b, product=choice)
        assert first.shape == a.shape and second.shape == b.shape
        expected = function(a, b).sum((2, 3))[:, 1]
        total = first.flatten(1).sum(1) + second.flatten(1).sum(1)
        torch.testing.assert_close(total, expected, **EXACT)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x * x,
        lambda x: x * x.sigmoid(),
        lambda x: 0.5 * x * (1 + torch.tanh(0.8 * (x + 0.045 * x**3))),
        lambda x: x * F.relu6(x + 3) / 6,
        lambda x: x / (1 + x.abs()),
        lambda x: F.silu(x),
    ],
)  # fmt: skip
def test_a_function_of_single_numbers_written_as_a_product_passes_relevance_unchanged(
    function: Callable[[Tensor], Tensor],
) -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    first, _ = relevance_of(lambda a, b: torch.cat([function(a), b], 1), a, b)
    torch.testing.assert_close(first, output_of(lambda a, b: function(a), a, b), **EXACT)


def test_a_gated_linear_unit_passes_relevance_to_its_first_half() -> None:
    a, b = noise(3, 4), noise(3, 4, seed=1)
    first, second = relevance_of(lambda a, b: F.glu(torch.cat([a, b], 1), 1), a, b)
    torch.testing.assert_close(first, output_of(gated, a, b), **EXACT)
    assert second.abs().max() == 0


def _rms_norm(x: Tensor) -> Tensor:
    return x * torch.rsqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


def _layer_norm(x: Tensor) -> Tensor:
    centred = x - x.mean(1, keepdim=True)
    return centred / (x.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()


@pytest.mark.parametrize("norm", [_rms_norm, _layer_norm, lambda x: F.normalize(x, dim=1)])
def test_statistics_of_a_norm_written_by_hand_are_constants(norm: Callable[[Tensor], Tensor]) -> None:
    a, b = noise(3, 6), noise(3, 6, seed=1)
    first, _ = relevance_of(lambda a, b: torch.cat([norm(a), b], 1), a, b)
    if norm is _layer_norm:
        weights = torch.full((6,), -1 / 6, dtype=torch.float64)
        weights[1] += 1
        expected = a * weights / (a.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    else:
        expected = output_of(lambda a, b: norm(a), a, b)
    torch.testing.assert_close(first, expected, **EXACT)


def attend(a: Tensor, b: Tensor) -> Tensor:
    return (a @ a.mT).softmax(-1) @ b


ATTENTION = {
    "by hand": attend,
    "bmm": lambda a, b: torch.bmm(torch.softmax(torch.bmm(a, a.transpose(1, 2)), -1), b),
    "einsum": lambda a, b: torch.einsum("bij,bjd->bid", torch.einsum("bid,bjd->bij", a, a).softmax(-1), b),
    "torch": lambda a, b: F.scaled_dot_product_attention(a, a, b, scale=1.0),
    "torch with heads": lambda a, b: F.scaled_dot_product_attention(a[:, None], a[:, None], b[:, None], scale=1.0)[
        :, 0
    ],
}


@pytest.mark.parametrize("name", ATTENTION)
def test_attention_gives_its_relevance_to_the_values_by_their_contributions(name: str) -> None:
    a, b = noise(2, 3, 4), noise(2, 3, 4, seed=1)
    looking, values = relevance_of(ATTENTION[name], a, b, target=5)
    expected = torch.zeros_like(b)
    weights = (a @ a.mT).softmax(-1)
    expected[:, :, 1] = weights[:, 1] * b[:, :, 1]  # the output at position 1 and feature 1
    torch.testing.assert_close(values, expected, rtol=1e-7, atol=1e-9)
    assert looking.abs().max() == 0


@pytest.mark.parametrize("structure", [{}, {"matmul": "half"}])
def test_a_matrix_product_without_a_gate_gives_each_operand_half_by_contribution(structure: dict[str, str]) -> None:
    a, b = noise(2, 3, 4), noise(2, 4, 5, seed=1)
    first, second = relevance_of(torch.matmul, a, b, target=7, **structure)
    expected_first, expected_second = torch.zeros_like(a), torch.zeros_like(b)
    expected_first[:, 1] = a[:, 1] * b[:, :, 2] / 2
    expected_second[:, :, 2] = a[:, 1] * b[:, :, 2] / 2
    torch.testing.assert_close(first, expected_first, **EXACT)
    torch.testing.assert_close(second, expected_second, **EXACT)


@pytest.mark.parametrize(
    "function",
    [
        lambda a, b: torch.einsum("bij,bj->bi", a, b[:, 0]),
        lambda a, b: torch.einsum("bij,bij,bij->b", a, a, b)[:, None].expand(-1, 2),
        lambda a, b: torch.baddbmm(b, a, b, alpha=0.5, beta=2),
        lambda a, b: torch.baddbmm(BIAS[:1], a, b, beta=3),
        lambda a, b: F.bilinear(a, b, BILINEAR, BIAS),
        lambda a, b: F.linear(a[0], b[0]).expand(2, -1, -1),
        lambda a, b: torch.addmm(b[0], a[0], BILINEAR[0]).expand(2, -1, -1),
    ],
)  # fmt: skip
@pytest.mark.parametrize("structure", [{}, {"matmul": "half"}])
def test_products_with_summands_and_of_more_operands_keep_the_books(
    function: Callable[..., Tensor], structure: dict[str, str]
) -> None:
    a, b = noise(2, 4, 4), noise(2, 4, 4, seed=1)
    explanation = xaicore.explain(Two(function), (a, b), method="lrp.zero", target=1, structure=structure, ledger=True)
    rows = explanation.diagnostics.ledger
    assert all(abs(row["unaccounted"]) < 1e-10 for row in rows)
    absorbed = sum(row["bias"] + row["stabilizer"] for row in rows)
    relevance = sum(float(part.sum()) for part in explanation.relevance.values())
    assert relevance + absorbed == pytest.approx(float(function(a, b).flatten(1)[:, 1].sum()), abs=1e-9)


def test_a_softmax_that_feeds_a_dense_layer_hands_relevance_on_unchanged() -> None:
    weight, a, b = noise(3, 4, seed=2), noise(2, 4), noise(2, 4, seed=1)
    first, _ = relevance_of(lambda a, b: torch.cat([a.softmax(1) @ weight.t(), b], 1), a, b)
    torch.testing.assert_close(first, a.softmax(1) * weight[1], **EXACT)


def test_squeeze_excite_passes_relevance_as_if_the_gate_were_constant() -> None:
    class SqueezeExcite(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(2, 4, 3, bias=False)
            self.gate = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(4, 2, 1), nn.ReLU(), nn.Conv2d(2, 4, 1))
            self.head = nn.Linear(4, 3, bias=False)

        def forward(self, x: Tensor) -> Tensor:
            h = self.conv(x).relu()
            return self.head((h * self.gate(h).sigmoid()).mean((2, 3)))

    torch.manual_seed(0)
    model, x = SqueezeExcite().double(), noise(2, 2, 5, 5).requires_grad_()
    h = model.conv(x).relu()
    frozen = model.head((h * model.gate(h).sigmoid().detach()).mean((2, 3)))
    (gradient,) = torch.autograd.grad(frozen[:, 2].sum(), x)
    explanation = xaicore.explain(model, x.detach(), method="lrp.zero", target=2)
    torch.testing.assert_close(explanation.relevance, (x * gradient).detach(), **EXACT)


def test_a_cell_of_an_lstm_written_by_hand_gives_relevance_to_what_is_gated() -> None:
    a, b = noise(2, 3), noise(2, 3, seed=1)

    def cell(a: Tensor, b: Tensor) -> Tensor:
        memory = b.sigmoid() * a.tanh()
        return (b * 2).sigmoid() * memory.tanh()

    first, second = relevance_of(cell, a, b)
    torch.testing.assert_close(first, output_of(cell, a, b), **EXACT)
    assert second.abs().max() == 0


@pytest.mark.parametrize("structure", [{"product": "signals"}, {"attention": "half"}, {"matmul": "proportional"}])
def test_a_treatment_that_there_is_none_of_is_refused(structure: dict[str, str]) -> None:
    with pytest.raises(ParameterError, match="choose among"):
        xaicore.create_analyzer("lrp.zero", nn.Linear(2, 2), structure=structure)


@pytest.mark.parametrize("choice", ["signal", "half", "proportional"])
def test_explanations_through_products_are_differentiable_twice(choice: str) -> None:
    model = Two(lambda a, b: gated(a, b) + a * b)
    b = noise(1, 3, seed=1)

    def explained(a: Tensor) -> Tensor:
        explanation = xaicore.explain(
            model, (a, b), method="lrp.epsilon", target=1, structure={"product": choice}, create_graph=True
        )
        return explanation.relevance["a"]

    assert torch.autograd.gradcheck(explained, (noise(1, 3).requires_grad_(),))


@pytest.mark.parametrize("name", ["by hand", "torch"])
def test_explanations_through_attention_are_differentiable_twice(name: str) -> None:
    b, model = noise(1, 2, 3, seed=1), Two(ATTENTION[name])

    def explained(a: Tensor) -> Tensor:
        return xaicore.explain(model, (a, b), method="lrp.epsilon", target=1, create_graph=True).relevance["b"]

    assert torch.autograd.gradcheck(explained, (noise(1, 2, 3).requires_grad_(),))
