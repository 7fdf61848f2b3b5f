"""Integrated gradients: published and analytic values, completeness, and as many gradients as are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore
from xai_gradients.quadrature import RULES, piece_rule, quadrature
from xai_gradients.refinement import Refinement
from xaicore.analyzers import create_analyzer
from xaicore.analyzers.baselines import Data, UniformNoise
from xaicore.engine import Engine
from xaicore.errors import ParameterError
from xaicore.explanation import Explanation

METHOD = "gradients.integrated"


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class Residual(nn.Module):
    """Two branches, a module used twice, normalization and pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x))
        y = y + F.relu(self.norm(self.again(y)))
        y = y + F.gelu(self.again(y))
        return self.head(F.max_pool2d(y, 2).mean((2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.head = nn.Linear(3, 5), nn.Linear(4, 5), nn.Linear(5, 2)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        return self.head(torch.tanh(self.left(a)) * torch.sigmoid(self.right(b)))


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.mix, self.head = nn.Embedding(12, 4), nn.Linear(4, 6), nn.Linear(6, 2)

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(torch.tanh(self.mix(self.embedding(ids).cumsum(1))).mean(1))


def build(kind: Callable[[], nn.Module], dtype: torch.dtype = torch.float64) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return kind().to(dtype).eval()


def numbers(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def by_autograd(model: nn.Module, x: Tensor, start: Tensor, target: int, steps: int = 1000) -> Tensor:
    """The definition, by the midpoint rule, step by step in float64."""
    total = torch.zeros_like(x)
    for step in range(steps):
        point = (start + (step + 0.5) / steps * (x - start)).requires_grad_()
        total += torch.autograd.grad(model(point)[:, target].sum(), point)[0]
    return (x - start) * total / steps


def gap(explanation: Explanation) -> float:
    assert explanation.diagnostics.conservation_gap is not None
    return float(explanation.diagnostics.conservation_gap.max())


@pytest.mark.parametrize("options", [{"steps": 300}, {"tolerance": 1e-4}, {"tolerance": 1e-4, "rule": "trapezoid"}])
def test_the_published_toy_network_has_its_published_values(options: dict[str, Any]) -> None:
    model = Function(lambda x: F.relu(F.relu(x[:, :1] - 1) - F.relu(x[:, 1:])))
    x = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    found = xaicore.explain(model, x, method=METHOD, target=0, **options).relevance
    torch.testing.assert_close(found, torch.tensor([[1.5, -0.5]], dtype=torch.float64), atol=5e-3, rtol=0)


@pytest.mark.parametrize(("rule", "steps", "degree"), [
    ("gauss_legendre", 3, 5), ("trapezoid", 2, 1), ("midpoint", 4, 1), ("simpson", 5, 3),
])  # fmt: skip
def test_a_rule_is_exact_up_to_its_degree_and_not_beyond(rule: str, steps: int, degree: int) -> None:
    """Of f = x**(n + 1) * y the relevance of x is that of y times n + 1, by integration of t**(n + 1)."""
    for power in (degree - 1, degree + 1):
        model = Function(lambda x, power=power: (x[:, :1] ** power) * x[:, 1:])
        x = torch.tensor([[2.0, 3.0], [-1.0, 0.5]], dtype=torch.float64)
        found = xaicore.explain(model, x, method=METHOD, target=0, steps=steps, rule=rule).relevance
        y = x[:, 0] ** power * x[:, 1] / (power + 1)
        exact = torch.allclose(found, torch.stack([power * y, y], 1), rtol=1e-12)
        assert exact == (power + 1 <= degree + 1)


def test_of_a_linear_model_one_step_gives_weight_times_difference() -> None:
    model, x = build(lambda: nn.Linear(4, 3)), numbers(5, 4)
    explanation = xaicore.explain(model, x, method=METHOD, target=2, steps=1, baseline=0.5)
    torch.testing.assert_close(explanation.relevance, (x - 0.5) * model.weight[2].detach())
    torch.testing.assert_close(
        explanation.diagnostics.reference, model(torch.full((5, 4), 0.5, dtype=torch.float64))[:, 2].detach()
    )


@pytest.mark.parametrize(
    "options", [{"steps": 400}, {"tolerance": 1e-4, "max_steps": 4000}], ids=["steps", "tolerance"]
)
def test_residual_network_agrees_with_the_definition(options: dict[str, Any]) -> None:
    model, x, start = build(Residual), numbers(3, 2, 6, 6), numbers(2, 6, 6, seed=9)
    explanation = xaicore.explain(model, x, method=METHOD, target=1, baseline=start, **options)
    torch.testing.assert_close(explanation.relevance, by_autograd(model, x, start, 1), atol=2e-4, rtol=0)
    assert gap(explanation) < 2e-3


def test_several_inputs_share_one_path() -> None:
    model = build(TwoInputs)
    inputs = {"a": numbers(4, 3), "b": numbers(4, 4, seed=1)}
    for options in ({}, {"tolerance": 1e-3}):
        explanation = xaicore.explain(model, inputs, method=METHOD, target=0, **options)
        assert isinstance(explanation.relevance, dict)
        assert {name: each.shape for name, each in explanation.relevance.items()} == {"a": (4, 3), "b": (4, 4)}
        assert gap(explanation) < 1e-3
    joint = Function(lambda x: model(x[:, :3], x[:, 3:]))
    expected = by_autograd(joint, torch.cat(list(inputs.values()), 1), torch.zeros(7, dtype=torch.float64), 0)
    found = xaicore.explain(model, inputs, method=METHOD, target=0).relevance
    torch.testing.assert_close(torch.cat([found["a"], found["b"]], 1), expected, rtol=1e-5, atol=1e-8)


def test_tokens_are_explained_from_a_baseline_of_tokens_or_of_embeddings() -> None:
    model, ids = build(Reader), torch.randint(1, 12, (4, 5), generator=torch.Generator().manual_seed(0))
    rest = Function(lambda e: model.head(torch.tanh(model.mix(e.cumsum(1))).mean(1)))
    embedded, padding = model.embedding(ids).detach(), torch.zeros(5, dtype=torch.long)
    for baseline, start in ((0.0, torch.zeros_like(embedded)), (padding, model.embedding(padding).detach())):
        expected = by_autograd(rest, embedded, start, 1).sum(-1)
        for options in ({}, {"tolerance": 1e-4}):
            explanation = xaicore.explain(model, ids, method=METHOD, target=1, baseline=baseline, **options)
            assert explanation.relevance.shape == (4, 5)
            assert gap(explanation) < 1e-3
            torch.testing.assert_close(explanation.relevance, expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(
    "options", [{"steps": 200}, {"tolerance": 1e-4, "max_steps": 2000}], ids=["steps", "tolerance"]
)
def test_an_inner_layer_is_explained_from_what_it_makes_of_the_baseline(options: dict[str, Any]) -> None:
    model = build(lambda: nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 6), nn.Softplus(), nn.Linear(6, 2)))
    x = numbers(3, 4)
    explanation = xaicore.explain(model, x, method=METHOD, target=0, layer="1", baseline=0.3, **options)
    start = model[:2](torch.full((1, 4), 0.3, dtype=torch.float64)).detach()
    expected = by_autograd(model[2:], model[:2](x).detach(), start, 0)
    torch.testing.assert_close(explanation.relevance, expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(explanation.diagnostics.reference, model[2:](start)[:, 0].detach().expand(3))


@pytest.mark.parametrize("options", [{"steps": 7}, {"tolerance": 0.01}], ids=["steps", "tolerance"])
def test_several_baselines_are_averaged(options: dict[str, Any]) -> None:
    model, x, data = build(Residual), numbers(3, 2, 6, 6), numbers(4, 2, 6, 6, seed=5)
    together = xaicore.explain(model, x, method=METHOD, target=1, baseline=Data(data), **options)
    apart = [xaicore.explain(model, x, method=METHOD, target=1, baseline=each, **options) for each in data]
    mean = torch.stack([each.relevance for each in apart]).mean(0)
    torch.testing.assert_close(together.relevance, mean, atol=1e-10 if "steps" in options else 0.02, rtol=0)
    references = torch.stack([each.diagnostics.reference for each in apart]).mean(0)
    torch.testing.assert_close(together.diagnostics.reference, references)
    if "tolerance" in options:
        assert gap(together) <= 0.01


@pytest.mark.parametrize("options", [{"steps": 9}, {"tolerance": 0.05}], ids=["steps", "tolerance"])
def test_batch_size_does_not_matter(options: dict[str, Any]) -> None:
    model, x = build(Residual), numbers(16, 2, 6, 6)
    analyzer = create_analyzer(METHOD, model, baseline=UniformNoise(samples=2, seed=4), **options)
    targets = [sample % 3 for sample in range(16)]
    whole = analyzer.analyze(x, targets)
    torch.testing.assert_close(analyzer.analyze(x, targets, batch_size=7).relevance, whole.relevance)
    first = analyzer.analyze(x[:3], targets[:3], batch_size=1)
    torch.testing.assert_close(first.relevance, whole.relevance[:3])
    alone = analyzer.analyze(x[15:], targets[15])
    torch.testing.assert_close(alone.relevance, whole.relevance[15:])


def test_contrast_and_half_precision() -> None:
    model, x = build(Residual, torch.float32), numbers(3, 2, 6, 6, dtype=torch.float32)
    contrast = xaicore.Contrast(0, 2)
    exact = xaicore.explain(model, x, method=METHOD, target=contrast, steps=30)
    assert gap(exact) < 0.01
    for options in ({"steps": 30}, {"tolerance": 0.05}):
        half = xaicore.explain(build(Residual, torch.bfloat16), x.bfloat16(), method=METHOD, target=contrast, **options)
        assert half.relevance.dtype == torch.bfloat16
        similar = F.cosine_similarity(half.relevance.float().flatten(1), exact.relevance.flatten(1))
        assert float(similar.min()) > 0.97
    engine = Engine(precision="bfloat16")
    mixed = create_analyzer(METHOD, model, steps=30).analyze(x, contrast, engine=engine)
    assert float(F.cosine_similarity(mixed.relevance.flatten(1), exact.relevance.flatten(1)).min()) > 0.97


def test_the_cost_is_one_gradient_a_step() -> None:
    model, x, engine = build(Residual), numbers(4, 2, 6, 6), Engine()
    create_analyzer(METHOD, model, steps=23).analyze(x, 0, engine=engine)
    assert engine.report.rows == 4 * 23


# With a tolerance


def test_tolerance_is_met_with_the_number_of_gradients_that_each_sample_needs() -> None:
    model = Function(lambda x: torch.tanh(8 * (x[:, :1] - 1)) + x[:, 1:])
    x = torch.tensor([[0.1, 3.0], [2.0, 1.0]], dtype=torch.float64)
    counts = {}
    for tolerance in (0.1, 1e-3, 1e-5):
        explanation = xaicore.explain(model, x, method=METHOD, target=0, tolerance=tolerance)
        assert gap(explanation) <= tolerance
        assert not explanation.diagnostics.notes
        counts[tolerance] = explanation.recorded["steps"].tolist()
    assert counts[1e-3][0] < counts[1e-3][1]  # the first path stays where the function is flat
    assert counts[0.1][1] < counts[1e-3][1] < counts[1e-5][1]


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_can_be_refined(rule: str) -> None:
    model, x = build(Residual), numbers(6, 2, 6, 6)
    engine = Engine()
    explanation = create_analyzer(METHOD, model, rule=rule, tolerance=0.005).analyze(x, 0, engine=engine)
    assert gap(explanation) <= 0.005
    assert engine.report.rows == int(explanation.recorded["steps"].sum()) + 6  # and the baselines
    torch.testing.assert_close(
        explanation.relevance.flatten(1).sum(1),
        explanation.diagnostics.explained - explanation.diagnostics.reference,
        rtol=0.005,
        atol=0,
    )


def test_a_missed_tolerance_is_said() -> None:
    model = Function(lambda x: torch.sin(40 * x[:, :1]) + x[:, :1])
    x = torch.tensor([[2.0]], dtype=torch.float64)
    explanation = xaicore.explain(model, x, method=METHOD, target=0, tolerance=1e-6, max_steps=20)
    assert int(explanation.recorded["steps"][0]) <= 20
    assert any("max_steps=20" in note for note in explanation.diagnostics.notes)
    assert gap(explanation) > 1e-6


def test_without_a_difference_errors_are_relative_to_the_range_on_the_path() -> None:
    model = Function(lambda x: torch.sin(torch.pi * x[:, :1]) + 0 * x[:, 1:])
    x = torch.tensor([[2.0, 1.0]], dtype=torch.float64)
    explanation = xaicore.explain(model, x, method=METHOD, target=0, tolerance=0.01)
    assert float(explanation.relevance.abs().max()) < 0.01 * 0.01 * 2
    assert not explanation.diagnostics.notes
    constant = Function(lambda x: 0 * x[:, :1] + 3.0)
    explanation = xaicore.explain(constant, x, method=METHOD, target=0, tolerance=0.01)
    assert not explanation.diagnostics.notes


def test_a_trained_network_needs_fewer_gradients_than_fifty_for_the_same_gap() -> None:
    x, y = numbers(400, 8, dtype=torch.float32), numbers(400, 8, seed=2, dtype=torch.float32)[:, 0] > 0
    y = (x[:, :4].square().sum(1) > x[:, 4:].square().sum(1)).long()
    model = build(lambda: nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2)))
    model = model.float()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()
    contrast = xaicore.Contrast(0, 1)
    fixed = xaicore.explain(model, x[:40], method=METHOD, target=contrast, steps=50)
    explanation = xaicore.explain(model, x[:40], method=METHOD, target=contrast, tolerance=max(0.01, gap(fixed)))
    assert gap(explanation) <= max(0.01, gap(fixed))
    assert float(explanation.recorded["steps"].float().mean()) < 40


def test_a_jump_ends_refinement() -> None:
    refinement = Refinement(
        piece_rule("simpson"), 0.0, 1.0, tolerance=0.01, difference=1.0, resolution=1e-16, most=10_000
    )
    rounds = 0
    while wanted := refinement.wanted():
        refinement.learn({at: (float(at > 0.3), 0.0) for at in wanted})
        rounds += 1
    assert not refinement.met
    assert rounds < 30


@pytest.mark.parametrize("rule", RULES)
def test_weights_of_pieces_sum_to_one(rule: str) -> None:
    refinement = Refinement(piece_rule(rule), 0.0, 1.0, tolerance=1e-4, difference=1.0, resolution=1e-16, most=500)
    while wanted := refinement.wanted():
        refinement.learn({at: (at**3, 3 * at**2) for at in wanted})
    assert refinement.met
    weights = refinement.weights()
    assert sum(weights.values()) == pytest.approx(1)
    assert sum(weight * 3 * at**2 for at, weight in weights.items()) == pytest.approx(1, abs=1e-4)


def test_nodes_of_a_rule_with_a_middle_are_exactly_there() -> None:
    for rule in ("gauss_legendre", "midpoint", "simpson"):
        assert 0.5 in piece_rule(rule).nodes


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "steps=0"),
        ({"steps": True}, "steps=True"),
        ({"rule": "gauss"}, "gauss_legendre"),
        ({"rule": "simpson", "steps": 50}, "odd"),
        ({"rule": "trapezoid", "steps": 1}, "2 at least"),
        ({"tolerance": 0}, "tolerance=0"),
        ({"tolerance": 0.1, "max_steps": 3}, "max_steps=3"),
        ({"baseline": "zeros"}, "zero"),
    ],
)
def test_impossible_parameters_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        create_analyzer(METHOD, nn.Linear(2, 2), **options)


def test_quadrature_weights_sum_to_one() -> None:
    for rule in RULES:
        assert sum(quadrature(rule, 11).weights) == pytest.approx(1)
