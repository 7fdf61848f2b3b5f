"""Every rule on matrix products with one constant operand, however they are written, against the slow derivation."""

from __future__ import annotations

import copy
from collections.abc import Callable

import jacobian_oracle as oracle
import pytest
import torch
from torch import Tensor, nn

import xaicore
from xai_lrp import rules
from xaicore.graph import Kind, kind

ROUNDING = {"rtol": 1e-8, "atol": 1e-9}


def constant(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)), dtype=torch.float64)


class Operator(nn.Module):
    def __init__(self, function: Callable[[Tensor, Tensor], Tensor], *shape: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(constant(*shape))
        self.bias = nn.Parameter(constant(1))
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return (
            self.function(x, self.weight, self.bias)
            if self.function in BIASED.values()
            else self.function(x, self.weight)
        )


class OneInputOfBilinear(nn.Module):
    def __init__(self, first: bool, bias: bool = True) -> None:
        super().__init__()
        self.bilinear = nn.Bilinear(3, 4, 5, bias=bias)
        self.other = nn.Parameter(constant(4 if first else 3))
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        other = self.other.expand(*x.shape[:-1], -1)
        return self.bilinear(x, other) if self.first else self.bilinear(other, x)


# Of an input (batch, 3, 4) and a weight; with a bias of one element.
BIASED: dict[str, Callable[..., Tensor]] = {
    "baddbmm": lambda x, w, b: torch.baddbmm(b.view(1, 1, 1), x, w.expand(len(x), -1, -1), alpha=0.5, beta=2),
    "addmm with factors": lambda x, w, b: torch.addmm(b, x.flatten(0, 1), w, alpha=2, beta=-3).view(len(x), 3, -1),
    "addmm, constant on the left": lambda x, w, b: torch.addmm(b, w.t(), x[:, 0].t()).t(),
}
OPERATORS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "constant on the right": (lambda: Operator(lambda x, w: x @ w, 4, 5), (3, 4)),
    "constant on the left": (lambda: Operator(lambda x, w: w @ x, 5, 3), (3, 4)),
    "batched constant": (lambda: Operator(lambda x, w: x @ w, 2, 4, 5), (2, 3, 4)),
    "transposed": (lambda: Operator(lambda x, w: (w.t() @ x.t()).t(), 4, 5), (4,)),
    "bmm with an expanded constant": (
        lambda: Operator(lambda x, w: torch.bmm(x, w.expand(len(x), -1, -1)), 4, 5), (3, 4)),
    "bmm with a constant on the left": (
        lambda: Operator(lambda x, w: torch.bmm(w.expand(len(x), -1, -1), x), 1, 5, 3), (3, 4)),
    "mv": (lambda: Operator(lambda x, w: torch.mv(x, w)[:, None], 4), (4,)),
    "einsum": (lambda: Operator(lambda x, w: torch.einsum("bij,jk->bik", x, w), 4, 5), (3, 4)),
    "einsum, constant first": (lambda: Operator(lambda x, w: torch.einsum("kij,bij->bk", w, x), 5, 3, 4), (3, 4)),
    "einsum by heads": (lambda: Operator(lambda x, w: torch.einsum("bhd,hde->bhe", x, w), 3, 4, 2), (3, 4)),
    "einsum without a sum": (lambda: Operator(lambda x, w: torch.einsum("bij,i->bij", x, w), 3), (3, 4)),
    "einsum with dots": (lambda: Operator(lambda x, w: torch.einsum("...j,jk->...k", x, w), 4, 2), (3, 4)),
    "tensordot": (lambda: Operator(lambda x, w: torch.tensordot(x, w, dims=([1, 2], [0, 1])), 3, 4, 5), (3, 4)),
    "bilinear, first": (lambda: OneInputOfBilinear(True), (3,)),
    "bilinear, second": (lambda: OneInputOfBilinear(False, bias=False), (2, 4)),
    "baddbmm": (lambda: Operator(BIASED["baddbmm"], 4, 5), (3, 4)),
    "addmm with factors": (lambda: Operator(BIASED["addmm with factors"], 4, 5), (3, 4)),
    "addmm, constant on the left": (lambda: Operator(BIASED["addmm, constant on the left"], 4, 5), (3, 4)),
}  # fmt: skip
BOX = torch.full((), -3.0), torch.full((), 3.0)
RULES: dict[str, tuple[Callable[[], object], Callable[..., oracle.Shares]]] = {
    "zero": (rules.Zero, oracle.zero),
    "epsilon": (lambda: rules.Epsilon(0.1), lambda w, b, x: oracle.epsilon(w, b, x, 0.1)),
    "gamma": (lambda: rules.Gamma(0.3, epsilon=1e-6), lambda w, b, x: oracle.gamma(w, b, x, 0.3)),
    "alpha-beta": (lambda: rules.AlphaBeta(2, 1), oracle.alpha_beta),
    "z-plus": (rules.ZPlus, oracle.z_plus),
    "flat": (rules.Flat, oracle.flat),
    "w-square": (rules.WSquare, oracle.w_square),
    "z-box": (lambda: rules.ZBox(-3.0, 3.0), lambda w, b, x: oracle.z_box(w, b, x, *BOX)),
}


def make(name: str) -> tuple[nn.Module, tuple[int, ...]]:
    """The operator with its outputs in one row, and the shape of one sample."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        maker, shape = OPERATORS[name]
        return nn.Sequential(maker(), nn.Flatten()).double().eval(), shape


@pytest.mark.parametrize("name", OPERATORS)
def test_every_rule_is_what_its_equation_says(name: str) -> None:
    model, shape = make(name)
    x = constant(3, *shape).clamp(-3, 3)
    assert [layer.kind for layer in xaicore.trace(model, x).layers].count(Kind.LINEAR) == 1
    for rule, published in RULES.values():
        composite = xaicore.Composite([(kind(Kind.LINEAR), rule())])
        explanation = xaicore.explain(model, x, method="lrp.composite", composite=composite, target=0, ledger=True)
        expected = [oracle.explain_every_output(model, sample, published).relevance[0] for sample in x]
        torch.testing.assert_close(explanation.relevance, torch.stack(expected), **ROUNDING)
        scale = max(abs(row["relevance_in"]) for row in explanation.diagnostics.ledger)
        assert all(abs(row["unaccounted"]) <= 1e-9 * scale for row in explanation.diagnostics.ledger)


@pytest.mark.parametrize("name", ["constant on the left", "einsum", "bilinear, first", "baddbmm"])
def test_what_a_rule_derives_from_the_constant_follows_its_updates(name: str) -> None:
    model, shape = make(name)
    x = constant(2, *shape)
    xaicore.explain(model, x, method="lrp.z_plus", target=0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(-1.5)
    after = xaicore.explain(model, x, method="lrp.z_plus", target=0).relevance
    fresh = xaicore.explain(copy.deepcopy(model), x, method="lrp.z_plus", target=0).relevance
    torch.testing.assert_close(after, fresh)


def test_another_batch_size_is_explained_by_the_same_graph() -> None:
    model, _ = make("bmm with an expanded constant")
    x = constant(5, 3, 4)
    whole = xaicore.explain(model, x, method="lrp.z_plus", target=0).relevance
    for count in (1, 2, 5):
        part = xaicore.explain(model, x[:count], method="lrp.z_plus", target=0).relevance
        torch.testing.assert_close(part, whole[:count])


def test_the_rules_are_differentiable_twice_on_an_einsum() -> None:
    model, shape = make("einsum")
    x = constant(1, *shape).requires_grad_()

    def explained(x: Tensor) -> Tensor:
        return xaicore.explain(model, x, method="lrp.epsilon", epsilon=0.1, target=0, create_graph=True).relevance

    assert torch.autograd.gradcheck(explained, (x,))
