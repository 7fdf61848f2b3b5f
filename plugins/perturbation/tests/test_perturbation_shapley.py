"""Kernel SHAP and Shapley sampling: values of games by enumeration, the axioms, linear models, completeness."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from xai_perturbation import KernelShap, ShapleySampling

from xaicore import Engine
from xaicore.analyzers import Contrast
from xaicore.analyzers.baselines import Data
from xaicore.errors import InputError, ParameterError

Game = Callable[[frozenset[int]], float]


def by_enumeration(game: Game, players: int) -> np.ndarray:
    """Shapley values from the definition: the mean marginal contribution over all orders of the players."""
    values = np.zeros(players)
    for order in itertools.permutations(range(players)):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            values[player] += game(before | {player}) - game(before)
    return values / math.factorial(players)


def on_arrays(game: Game) -> Callable[[np.ndarray], np.ndarray]:
    """The game as a model of arrays: player i takes part where column i is not zero."""
    return lambda x: np.array([game(frozenset(np.flatnonzero(row).tolist())) for row in x])


def glove(coalition: frozenset[int]) -> float:
    """Player 0 has a left glove, 1 and 2 a right one; a pair is worth 1."""
    return float(0 in coalition and bool(coalition & {1, 2}))


def majority(coalition: frozenset[int]) -> float:
    """Votes of weight 4, 3, 2, 1, 1, of which 6 decide."""
    return float(sum((4, 3, 2, 1, 1)[player] for player in coalition) >= 6)


def random_game(players: int, seed: int) -> Game:
    worth = np.random.default_rng(seed).normal(size=2**players)
    return lambda coalition: float(worth[sum(2**player for player in coalition)])


GAMES = {
    "glove": (glove, 3),
    "majority": (majority, 5),
    "random of 4": (random_game(4, 0), 4),
    "random of 5": (random_game(5, 1), 5),
    "random of 6": (random_game(6, 2), 6),
}


def net(inputs: int = 6, outputs: int = 3, dtype: torch.dtype = torch.float64) -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(inputs, 16), nn.Tanh(), nn.Linear(16, outputs)).to(dtype)


def value_of(model: nn.Module, x: Tensor, fill: Tensor, target: int) -> Game:
    """What the model says where the features outside a coalition are filled."""

    def game(coalition: frozenset[int]) -> float:
        mixed = fill.clone()
        mixed[list(coalition)] = x[list(coalition)]
        return float(model(mixed[None])[0, target].detach())

    return game


# Games


@pytest.mark.parametrize("name", GAMES)
def test_kernel_shap_of_all_coalitions_is_the_shapley_value_of_a_game(name: str) -> None:
    game, players = GAMES[name]
    found = KernelShap(on_arrays(game)).analyze(np.ones((1, players)))
    np.testing.assert_allclose(found.relevance[0].numpy(), by_enumeration(game, players), rtol=0, atol=1e-9)


def test_the_glove_game_has_its_published_values() -> None:
    found = KernelShap(on_arrays(glove)).analyze(np.ones((1, 3)))
    np.testing.assert_allclose(found.relevance[0].numpy(), [2 / 3, 1 / 6, 1 / 6], atol=1e-12)


@pytest.mark.parametrize("name", GAMES)
def test_shapley_sampling_comes_near_the_shapley_value_as_orders_grow(name: str) -> None:
    game, players = GAMES[name]
    exact = by_enumeration(game, players)
    few, many = (
        np.abs(ShapleySampling(on_arrays(game), samples=n).analyze(np.ones((1, players))).relevance[0].numpy() - exact)
        for n in (8, 2000)
    )
    assert many.max() < 0.06
    assert many.mean() < few.mean()


@pytest.mark.parametrize("players", [4, 6])
def test_a_budget_below_all_coalitions_still_approximates_and_is_complete(players: int) -> None:
    game = random_game(players, 5)
    found = KernelShap(on_arrays(game), samples=2**players - 4).analyze(np.ones((1, players)))
    exact = by_enumeration(game, players)
    assert float(found.relevance.sum()) == pytest.approx(exact.sum(), abs=1e-12)
    assert 1e-6 < np.abs(found.relevance[0].numpy() - exact).max() < 0.8


def test_more_coalitions_bring_kernel_shap_nearer_to_the_exact_values() -> None:
    model = net(12, 2)
    x, fill = torch.randn(4, 12, dtype=torch.float64), 0.0
    exact = KernelShap(model, fill=fill, samples=5000).analyze(x, 0).relevance
    errors = [
        float((KernelShap(model, fill=fill, samples=n).analyze(x, 0).relevance - exact).abs().mean())
        for n in (40, 300, 2000)
    ]
    assert errors[0] > errors[1] > errors[2] > 0


# Axioms


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_a_feature_without_effect_gets_nothing(method: type) -> None:
    found = method(lambda x: np.tanh(x[:, 0] * x[:, 2]) + x[:, 3] ** 2, fill=0.5).analyze(np.full((1, 4), 2.0))
    assert abs(float(found.relevance[0, 1])) < 1e-12
    assert float(found.relevance.abs().sum()) > 0.1


def test_features_that_can_be_exchanged_get_the_same() -> None:
    found = KernelShap(lambda x: x[:, 0] * x[:, 1] + np.maximum(x[:, 2], x[:, 0] + x[:, 1])).analyze(
        np.array([[1.5, 1.5, 2.0]])
    )
    assert float(found.relevance[0, 0]) == pytest.approx(float(found.relevance[0, 1]), abs=1e-12)


def test_shapley_values_are_linear_in_the_game() -> None:
    first, second = random_game(5, 7), random_game(5, 8)
    both = on_arrays(lambda coalition: 2 * first(coalition) - 3 * second(coalition))
    ones = np.ones((1, 5))
    for method in (KernelShap, ShapleySampling):
        parts = [method(on_arrays(game)).analyze(ones).relevance for game in (first, second)]
        torch.testing.assert_close(method(both).analyze(ones).relevance, 2 * parts[0] - 3 * parts[1])


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
@pytest.mark.parametrize("samples", [8, 50])
def test_a_linear_model_gets_weight_times_difference_to_the_fill(method: type, samples: int) -> None:
    generator = np.random.default_rng(3)
    weight, x, fill = generator.normal(size=7), generator.normal(size=(3, 7)), generator.normal(size=(1, 7))
    found = method(lambda rows: rows @ weight + 4, samples=samples, fill=fill).analyze(x)
    np.testing.assert_allclose(found.relevance.numpy(), weight * (x - fill), atol=1e-9)


# Networks


@pytest.fixture(scope="module")
def digits() -> tuple[nn.Module, Tensor]:
    """A small convolutional net trained for a few seconds, and images of digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    images = torch.from_numpy(data.images / 16).float().unsqueeze(1)
    labels = torch.from_numpy(data.target)
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(12, 16, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(64, 10),
    )  # fmt: skip
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(60):
        chosen = torch.randperm(len(images))[:256]
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images[chosen]), labels[chosen]).backward()
        optimizer.step()
    assert float((model(images).argmax(1) == labels).float().mean()) > 0.8
    return model.eval(), images


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_relevance_on_a_trained_net_sums_to_the_difference_to_the_fill(
    method: type, digits: tuple[nn.Module, Tensor]
) -> None:
    model, images = digits
    options: dict[str, Any] = {"samples": 200} if method is KernelShap else {"samples": 4}
    found = method(model, fill=0.0, **options).analyze(images[:5])
    with torch.no_grad():
        target = model(images[:5]).argmax(1)
        gain = (model(images[:5]) - model(torch.zeros(1, 1, 8, 8))).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(found.relevance.sum((1, 2, 3)), gain, rtol=1e-5, atol=1e-5)
    assert found.diagnostics.reference is not None
    assert float(found.diagnostics.conservation_gap.max()) < 1e-5


def test_kernel_shap_of_all_coalitions_of_a_net_is_its_enumeration() -> None:
    model = net()
    torch.manual_seed(1)
    x, fill = torch.randn(3, 6, dtype=torch.float64), torch.randn(1, 6, dtype=torch.float64)
    found = KernelShap(model, fill=fill).analyze(x, [0, 2, 1])
    for sample, target in enumerate([0, 2, 1]):
        exact = by_enumeration(value_of(model, x[sample], fill[0], target), 6)
        np.testing.assert_allclose(found.relevance[sample].numpy(), exact, atol=1e-9)


def test_a_background_of_data_is_averaged_over() -> None:
    model = net()
    torch.manual_seed(2)
    x, background = torch.randn(2, 6, dtype=torch.float64), torch.randn(5, 6, dtype=torch.float64)
    found = KernelShap(model, fill=Data(background)).analyze(x, 1)
    alone = [KernelShap(model, fill=each[None]).analyze(x, 1).relevance for each in background]
    torch.testing.assert_close(found.relevance, torch.stack(alone).mean(0), rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.diagnostics.reference, model(background)[:, 1].mean().detach().expand(2))


def test_orders_go_round_the_background() -> None:
    model = net()
    torch.manual_seed(2)
    x, background = torch.randn(2, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64)
    found = ShapleySampling(model, fill=Data(background), samples=1600).analyze(x, 1)
    exact = KernelShap(model, fill=Data(background)).analyze(x, 1)
    assert float((found.relevance - exact.relevance).abs().max()) < 0.02
    torch.testing.assert_close(found.diagnostics.reference, exact.diagnostics.reference)
    assert float(found.diagnostics.conservation_gap.max()) < 1e-9
