"""Expected gradients: the draws by hand, the limit of many draws, and what is reported about their error."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import create_analyzer
from xaicore.analyzers.baselines import Data, UniformNoise
from xaicore.engine import Engine, generator
from xaicore.errors import ParameterError

METHOD = "gradients.expected"


def numbers(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def model() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 8), nn.Softplus(), nn.Linear(8, 3)).double()


def drawn(model: nn.Module, x: Tensor, data: Tensor, target: int, samples: int, noise: float, seed: int) -> Tensor:
    """The mean over the draws, one draw after the other, by autograd."""
    total = torch.zeros_like(x)
    for step in range(samples):
        random = generator(seed, step)
        start = data[int(torch.randint(len(data), (), generator=random))]
        at = float(torch.rand((), generator=random, dtype=torch.float64))
        stop = x + noise * torch.randn(x.shape[1:], generator=generator(seed, step, 1), dtype=torch.float64)
        point = (start + at * (stop - start)).requires_grad_()
        total += (stop - start) * torch.autograd.grad(model(point)[:, target].sum(), point)[0]
    return total / samples


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_relevance_is_the_mean_over_the_draws(model: nn.Module, noise: float) -> None:
    x, data = numbers(3, 4), numbers(6, 4, seed=1)
    found = xaicore.explain(model, x, method=METHOD, target=1, baseline=data, samples=17, noise=noise, seed=5)
    torch.testing.assert_close(found.relevance, drawn(model, x, data, 1, 17, noise, 5))


def test_many_draws_come_near_integrated_gradients_over_the_data(model: nn.Module) -> None:
    x, data = numbers(3, 4), numbers(6, 4, seed=1)
    exact = xaicore.explain(model, x, method="gradients.integrated", target=1, baseline=Data(data)).relevance
    errors = []
    for samples in (100, 6400):
        found = xaicore.explain(model, x, method=METHOD, target=1, baseline=data, samples=samples)
        missing = (found.relevance.sum(1) - exact.sum(1)).abs()
        assert bool((missing < 4 * found.recorded["standard_error"]).all())
        errors.append(float((found.relevance - exact).norm()))
    assert errors[1] < errors[0] / 3


def test_the_standard_error_is_that_of_repeated_estimates(model: nn.Module) -> None:
    x, data = numbers(1, 4), numbers(6, 4, seed=1)
    found = [
        xaicore.explain(model, x, method=METHOD, target=0, baseline=data, samples=60, seed=seed) for seed in range(40)
    ]
    spread = torch.stack([each.relevance.sum() for each in found]).std()
    claimed = torch.stack([each.recorded["standard_error"] for each in found]).mean()
    assert 0.6 < float(claimed / spread) < 1.6


def test_the_reference_is_the_mean_over_the_drawn_baselines(model: nn.Module) -> None:
    x, data = numbers(2, 4), numbers(6, 4, seed=1)
    found = xaicore.explain(model, x, method=METHOD, target=2, baseline=data, samples=9, seed=3)
    picked = [int(torch.randint(6, (), generator=generator(3, step))) for step in range(9)]
    expected = model(data[picked])[:, 2].mean().detach().expand(2)
    torch.testing.assert_close(found.diagnostics.reference, expected)
    assert found.diagnostics.conservation_gap is None
    assert any("standard_error" in note for note in found.diagnostics.notes)


def test_of_a_linear_model_every_draw_is_complete() -> None:
    model, x, data = nn.Linear(4, 2).double(), numbers(3, 4), numbers(5, 4, seed=1)
    found = xaicore.explain(model, x, method=METHOD, target=0, baseline=data, samples=12)
    checks = found.diagnostics
    torch.testing.assert_close(checks.relevance_sum, checks.explained - checks.reference)
    one_baseline = xaicore.explain(model, x, method=METHOD, target=0, baseline=0.5, samples=3)
    torch.testing.assert_close(one_baseline.relevance, (x - 0.5) * model.weight[0].detach())
    assert float(one_baseline.recorded["standard_error"].max()) < 1e-7


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_batches_and_seeds(model: nn.Module, noise: float) -> None:
    x, data = numbers(33, 4), numbers(6, 4, seed=1)
    analyzer = create_analyzer(METHOD, model, baseline=data, samples=20, noise=noise)
    targets = [sample % 3 for sample in range(33)]
    whole = analyzer.analyze(x, targets)
    for batch_size in (1, 7, None):
        part = analyzer.analyze(x[:9], targets[:9], batch_size=batch_size)
        torch.testing.assert_close(part.relevance, whole.relevance[:9])
        torch.testing.assert_close(part.recorded["standard_error"], whole.recorded["standard_error"][:9])
        torch.testing.assert_close(part.diagnostics.reference, whole.diagnostics.reference[:9])
    torch.testing.assert_close(analyzer.analyze(x[32:], targets[32]).relevance, whole.relevance[32:])
    other = analyzer.set_params(seed=1).analyze(x, targets)
    assert not torch.allclose(other.relevance, whole.relevance)


def test_the_cost_is_a_gradient_a_draw(model: nn.Module) -> None:
    engine = Engine()
    create_analyzer(METHOD, model, baseline=numbers(6, 4), samples=15).analyze(numbers(4, 4), 0, engine=engine)
    assert engine.report.rows == 4 * 15


def test_inner_layers_and_tokens() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        embedding, rest = nn.Embedding(9, 3), nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.Tanh(), nn.Linear(6, 2))
    model = nn.Sequential(embedding, rest).double()
    ids = torch.randint(0, 9, (3, 4), generator=torch.Generator().manual_seed(0))
    data = torch.randint(0, 9, (5, 4), generator=torch.Generator().manual_seed(1))
    at_tokens = drawn(rest, embedding(ids).detach(), embedding(data).detach(), 1, 11, 0.0, 0).sum(-1)
    found = xaicore.explain(model, ids, method=METHOD, target=1, baseline=data, samples=11)
    torch.testing.assert_close(found.relevance, at_tokens)
    before, after = model[1][:3], model[1][3:]
    inner = drawn(after, before(embedding(ids)).detach(), before(embedding(data)).detach(), 1, 11, 0.0, 0)
    found = create_analyzer(METHOD, model, baseline=data, samples=11).analyze(ids, 1, layer="1.2")
    torch.testing.assert_close(found.relevance, inner)


def test_several_inputs_are_drawn_together_and_have_noise_of_their_own() -> None:
    class Both(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return a + 2 * b

    inputs = {"a": numbers(2, 3), "b": numbers(2, 3)}
    data = {"a": numbers(4, 3, seed=2), "b": numbers(4, 3, seed=2)}
    found = xaicore.explain(Both(), inputs, method=METHOD, target=1, baseline=data, samples=5).relevance
    torch.testing.assert_close(found["b"], 2 * found["a"])
    noisy = xaicore.explain(Both(), inputs, method=METHOD, target=1, baseline=data, samples=5, noise=1.0).relevance
    assert not torch.allclose(noisy["b"], 2 * noisy["a"])


def test_low_precision_sums_in_single(model: nn.Module) -> None:
    x, data = numbers(3, 4), numbers(6, 4, seed=1)
    exact = xaicore.explain(model, x, method=METHOD, target=0, baseline=data).relevance
    half = xaicore.explain(model.bfloat16(), x.bfloat16(), method=METHOD, target=0, baseline=data).relevance
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), exact, rtol=0, atol=0.05 * float(exact.abs().max()))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "baseline"),
        ({"baseline": 0.0, "samples": 0}, "samples=0"),
        ({"baseline": 0.0, "noise": -1.0}, "noise=-1.0"),
        ({"baseline": 0.0, "seed": -1}, "seed=-1"),
        ({"baseline": "data"}, "data"),
    ],
)
def test_impossible_parameters_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        create_analyzer(METHOD, nn.Linear(2, 2), **options)


def test_a_baseline_of_noise_is_drawn_from(model: nn.Module) -> None:
    found = xaicore.explain(model, numbers(2, 4), method=METHOD, baseline=UniformNoise(samples=4), samples=8)
    assert bool(found.relevance.isfinite().all())
    assert bool((found.recorded["standard_error"] > 0).all())
