"""SmoothGrad and VarGrad: exact on models whose gradients are known, and against a slow loop."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xai_gradients import Smooth, Variance
from xaicore.engine import Engine, generator
from xaicore.errors import ParameterError


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Quadratic(nn.Module):
    """x'Ax / 2 with a symmetric A: the gradient is Ax."""

    def __init__(self) -> None:
        super().__init__()
        half = normal(4, 4, seed=3)
        self.matrix = nn.Parameter(half + half.T)

    def forward(self, x: Tensor) -> Tensor:
        value = 0.5 * torch.einsum("bi,ij,bj->b", x, self.matrix, x)
        return torch.stack([value, -value], 1)


class Network(nn.Module):
    """A convolution, a branch and a module used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.again = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.first(x))
        h = h + self.again(torch.tanh(self.again(h)))
        return self.head(torch.cat([h.mean((2, 3)), h.amax((2, 3))], 1))


@pytest.fixture(scope="module")
def network() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network().double().eval()


X = normal(3, 2, 4, 4)


def copies(x: Tensor, samples: int, noise: float, seed: int = 0) -> list[Tensor]:
    """The noisy copies of a batch, each sample with its own scale and the same draw."""
    span = (x.flatten(1).amax(1) - x.flatten(1).amin(1)).view(-1, *[1] * (x.ndim - 1))
    draws = [torch.randn(x.shape[1:], generator=generator(seed, step, 0)).double() for step in range(samples)]
    return [x + noise * span * draw for draw in draws]


def looped(model: nn.Module, x: Tensor, target: list[int], samples: int, noise: float, seed: int = 0) -> Tensor:
    """The gradient at each copy, (samples, B, ...), by autograd."""
    found = []
    for copy in copies(x, samples, noise, seed):
        copy.requires_grad_()
        scores = model(copy)[torch.arange(len(x)), target]
        found.append(torch.autograd.grad(scores.sum(), copy)[0])
    return torch.stack(found)


def relevance(analyzer: xaicore.Analyzer, x: Tensor, target: object = None, **options: object) -> Tensor:
    found = analyzer.analyze(x, target, **options).relevance
    assert isinstance(found, Tensor)
    return found


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


def test_a_linear_model_has_its_gradient_and_no_variance() -> None:
    model = nn.Linear(5, 3).double()
    x = normal(4, 5)
    weight = model.weight.detach()
    same(relevance(Smooth(model, samples=7), x, 2), weight[2].expand(4, 5).contiguous())
    same(relevance(Smooth(model, samples=7, reduce="square"), x, 1), weight[1].square().expand(4, 5).contiguous())
    same(relevance(Variance(model, samples=7), x, 2), torch.zeros(4, 5, dtype=torch.float64))


def test_a_quadratic_function_has_the_gradient_at_the_mean_copy() -> None:
    model, x = Quadratic(), normal(3, 4)
    matrix = model.matrix.detach()
    mean = torch.stack(copies(x, 9, 0.2, seed=4)).mean(0)
    same(relevance(Smooth(model, noise=0.2, samples=9, seed=4), x, 0), mean @ matrix)
    deviations = torch.stack(copies(x, 9, 0.2, seed=4)) - mean
    same(relevance(Variance(model, noise=0.2, samples=9, seed=4), x, 0), (deviations @ matrix).square().mean(0))


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
def test_the_variance_is_what_the_noise_makes_of_the_curvature(distribution: str) -> None:
    """Of a gradient Ax, with noise of deviation s in x: s^2 times the sum of squares of each row of A."""
    model, x = Quadratic(), normal(2, 4)
    found = relevance(Variance(model, noise=0.3, samples=4000, distribution=distribution), x, 0)
    span = x.amax(1) - x.amin(1)
    expected = (0.3 * span).square()[:, None] * model.matrix.detach().square().sum(1)
    torch.testing.assert_close(found, expected, rtol=0.1, atol=0)  # 4000 draws: about 2 in 100


@pytest.mark.parametrize("batch_size", ["auto", 1, 7, None])
def test_all_ways_of_averaging_equal_a_slow_loop(network: nn.Module, batch_size: int | str | None) -> None:
    each = looped(network, X, [2, 0, 1], 5, 0.15)
    for reduce, expected in {"mean": each.mean(0), "abs": each.abs().mean(0), "square": each.square().mean(0)}.items():
        same(relevance(Smooth(network, samples=5, reduce=reduce), X, [2, 0, 1], batch_size=batch_size), expected)
    expected = each.var(0, correction=0)
    same(relevance(Variance(network, samples=5), X, [2, 0, 1], batch_size=batch_size), expected)


def test_every_sample_of_a_batch_gets_noise(network: nn.Module) -> None:
    plain = xaicore.explain(network, X, method="gradients.saliency", target=1).relevance
    moved = relevance(Smooth(network, samples=3), X, 1) - plain
    assert bool((moved.flatten(1).abs().amax(1) > 1e-4).all())
    assert bool((relevance(Variance(network, samples=3), X, 1).flatten(1).amax(1) > 0).all())


@pytest.mark.parametrize("method", [Smooth, Variance])
def test_a_batch_gives_what_one_by_one_gives(network: nn.Module, method: type) -> None:
    many = normal(33, 2, 4, 4, seed=5)
    whole = relevance(method(network, samples=3), many)
    one_by_one = [relevance(method(network, samples=3), many[n : n + 1]) for n in range(33)]
    same(whole, torch.cat(one_by_one))


def test_the_seed_decides(network: nn.Module) -> None:
    one, again, other = (relevance(Smooth(network, samples=3, seed=seed), X) for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.allclose(one, other)


def test_more_noise_smooths_more_and_its_unit_can_be_that_of_the_input() -> None:
    model = nn.Sequential(nn.Linear(1, 1), nn.ReLU()).double()
    with torch.no_grad():
        model[0].weight.fill_(1.0)
        model[0].bias.fill_(0.0)
    x = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    found = relevance(Smooth(model, noise=1.0, relative=False, samples=4000), x, 0)
    # The share of copies above zero: the normal distribution's at one deviation.
    expected = 0.5 * (1 + torch.erf(torch.tensor([[-1.0], [1.0]], dtype=torch.float64) / 2**0.5))
    torch.testing.assert_close(found, expected, rtol=0, atol=0.03)


def test_the_options_of_averages_of_noise_are_there(network: nn.Module) -> None:
    engine = Engine(5)
    found = Smooth(network, samples=4).analyze(X, 1, layer="first", filter={"first": 1}, engine=engine)
    assert found.layer == "first" and isinstance(found.relevance, Tensor) and found.relevance.shape == (3, 3, 4, 4)
    assert not bool(found.relevance[:, [0, 2]].any()) and bool(found.relevance[:, 1].any())
    assert engine.report.rows == 3 + 12
    recorded = Smooth(network, samples=4).analyze(X, 1, record=["first"]).recorded["first"]
    same(recorded[:, 1], found.relevance[:, 1])
    streamed = Smooth(network, samples=4).analyze(iter([X[:1], X[1:]]), batch_size=4)
    same(streamed.relevance, relevance(Smooth(network, samples=4), X))  # type: ignore[arg-type]


def test_the_explanation_carries_the_names_of_the_method(network: nn.Module) -> None:
    found = xaicore.explain(network, X, method="smoothgrad", samples=3, noise=0.1)
    assert found.method == "gradients.smooth"
    assert found.parameters == {
        "noise": 0.1, "samples": 3, "reduce": "mean", "seed": 0, "relative": True, "distribution": "normal",
    }  # fmt: skip
    found = xaicore.explain(network, X, method="vargrad", samples=3)
    assert found.method == "gradients.variance"
    assert set(found.parameters) == {"noise", "samples", "seed", "relative", "distribution"}
    torch.testing.assert_close(found.prediction, network(X).detach())
    assert found.target["index"] == network(X).argmax(1).tolist()
    assert found.diagnostics.conservation_gap is None


def test_several_inputs_by_name() -> None:
    class Product(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return (a * b).sum(1, keepdim=True)

    a, b = normal(2, 3), normal(2, 3, seed=2)
    found = xaicore.explain(Product(), {"a": a, "b": b}, method="gradients.smooth", samples=2000, noise=0.1).relevance
    assert isinstance(found, dict)
    torch.testing.assert_close(found["a"], b, rtol=0, atol=0.05)
    torch.testing.assert_close(found["b"], a, rtol=0, atol=0.05)


def test_options_that_it_does_not_have_are_refused(network: nn.Module) -> None:
    with pytest.raises(ParameterError, match="no option 'leyer'"):
        Smooth(network, samples=2).analyze(X, leyer="first")
    with pytest.raises(ParameterError, match="ledger=True"):
        Smooth(network, samples=2).analyze(X, ledger=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_near(network: nn.Module, dtype: torch.dtype) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        low = Network().to(dtype).eval()
    exact = relevance(Smooth(network, samples=8), X, 1)
    found = relevance(Smooth(low, samples=8), X.to(dtype), 1)
    assert found.dtype == dtype
    assert float((found.double() - exact).norm() / exact.norm()) < (1e-4 if dtype == torch.float32 else 0.15)


@pytest.mark.parametrize(
    ("method", "params", "message"),
    [
        (Smooth, {"reduce": "variance"}, "gradients.variance"),
        (Smooth, {"reduce": "squared"}, "Did you mean 'square'"),
        (Smooth, {"noise": -1}, "noise=-1"),
        (Variance, {"samples": 1}, "at least 2"),
        (Variance, {"distribution": "flat"}, "normal, uniform"),
    ],
)
def test_parameters_are_checked(network: nn.Module, method: type, params: dict[str, object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        method(network, **params)


def test_parameters_can_be_set(network: nn.Module) -> None:
    analyzer = Smooth(network).set_params(samples=2, reduce="abs")
    same(relevance(analyzer, X, [2, 0, 1]), looped(network, X, [2, 0, 1], 2, 0.15).abs().mean(0))
    with pytest.raises(ParameterError, match="at least 1"):
        analyzer.set_params(samples=0)
