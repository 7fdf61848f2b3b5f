"""Kernel SHAP and Shapley sampling: values of games by enumeration, the axioms, linear models, completeness."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_perturbation import KernelShap, ShapleySampling
from xaicore.analyzers import Contrast
from xaicore.analyzers.baselines import Data
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError

Game = Callable[[frozenset[int]], float]


def by_enumeration(game: Game, players: int) -> np.ndarray:
    """Shapley values from the definition: the mean marginal contribution over all orders of the players."""
    game = functools.cache(game)
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
    model = net(10, 2)
    x, fill = torch.randn(4, 10, dtype=torch.float64), 0.0
    exact = KernelShap(model, fill=fill, samples=1022).analyze(x, 0).relevance
    errors = [
        float((KernelShap(model, fill=fill, samples=n).analyze(x, 0).relevance - exact).abs().mean())
        for n in (24, 100, 600)
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
@pytest.mark.parametrize("samples", [20, 50])
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


# Groups of entries, several inputs, tokens, layers


METHODS: dict[str, tuple[type, dict[str, Any]]] = {
    "kernel": (KernelShap, {"samples": 60}),
    "kernel with a background": (KernelShap, {"samples": 60, "fill": Data(torch.rand(3, 3, 16, 16))}),
    "orders": (ShapleySampling, {"samples": 3}),
    "orders without reverses": (ShapleySampling, {"samples": 3, "antithetic": False}),
    "orders with a background": (ShapleySampling, {"samples": 5, "fill": Data(torch.rand(2, 3, 16, 16))}),
}


def images_and_net(dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4 * 4 * 4, 3)
    )
    blobs = nn.functional.interpolate(torch.rand(33, 3, 4, 4), size=16, mode="nearest")
    return model.to(dtype).eval(), (blobs + 0.01 * torch.rand(33, 3, 16, 16)).to(dtype)


@pytest.mark.parametrize("features", [4, "felzenszwalb"])
@pytest.mark.parametrize("name", METHODS)
def test_a_batch_is_explained_like_its_samples_one_by_one(name: str, features: Any) -> None:
    if isinstance(features, str):
        pytest.importorskip("skimage")
    method, options = METHODS[name]
    model, images = images_and_net()
    targets = [number % 3 for number in range(33)]
    analyzer = method(model, features=features, **options)
    together = analyzer.analyze(images, targets).relevance
    some = [0, 1, 17, 32]
    alone = torch.cat([analyzer.analyze(images[i : i + 1], targets[i]).relevance for i in some])
    torch.testing.assert_close(together[some], alone, rtol=1e-9, atol=1e-12)
    assert (together == together[:, :1]).all()  # all channels of a feature together


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_the_batch_size_changes_nothing(name: str, batch_size: int | None) -> None:
    method, options = METHODS[name]
    model, images = images_and_net()
    analyzer = method(model, features=8, **options)
    expected = analyzer.analyze(images[:5], 0)
    found = analyzer.analyze(images[:5], 0, batch_size=batch_size)
    torch.testing.assert_close(found.relevance, expected.relevance, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.diagnostics.reference, expected.diagnostics.reference)


@pytest.mark.parametrize("name", METHODS)
def test_the_seed_alone_decides_what_is_drawn(name: str) -> None:
    method, options = METHODS[name]
    model, images = images_and_net()
    one, again, other = (
        method(model, features=4, seed=seed, **options).analyze(images[:2], 0).relevance for seed in (3, 3, 4)
    )
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert float((one - other).abs().max()) > 1e-6


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_features_that_superpixels_make_keep_the_sum(method: type) -> None:
    pytest.importorskip("skimage")
    model, images = images_and_net()
    found = method(model, features="slic", samples=40).analyze(images[:4], Contrast(0, 2))
    assert float(found.diagnostics.conservation_gap.max()) < 1e-9


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_the_value_of_a_feature_comes_whole_or_shared_to_its_entries(method: type) -> None:
    model, images = images_and_net()
    share = method(model, samples=6, features=8).analyze(images[:2], 0)
    each = method(model, samples=6, features=8, spread="each").analyze(images[:2], 0)
    torch.testing.assert_close(share.relevance * (3 * 8 * 8), each.relevance)
    assert share.diagnostics.conservation_gap is not None
    assert each.diagnostics.conservation_gap is None


class TwoInputs(nn.Module):
    def forward(self, image: Tensor, extra: Tensor) -> Tensor:
        return image.flatten(1).sum(1) * extra[:, 0] + extra[:, 1] ** 2


@pytest.mark.parametrize("as_dict", [False, True])
def test_features_of_several_inputs_play_one_game(as_dict: bool) -> None:
    torch.manual_seed(0)
    image, extra = torch.randn(2, 1, 2, 2, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    inputs: Any = {"extra": extra, "image": image} if as_dict else (image, extra)
    analyzer = KernelShap(TwoInputs().double(), features={"image": 2, "extra": 1})
    found = analyzer.analyze(inputs).relevance
    for sample in range(2):
        total, factor, other = image[sample].sum().item(), extra[sample, 0].item(), extra[sample, 1].item()
        torch.testing.assert_close(found["image"][sample], torch.full((1, 2, 2), total * factor / 2 / 4).double())
        np.testing.assert_allclose(found["extra"][sample].numpy(), [total * factor / 2, other**2], atol=1e-9)


def test_an_input_without_features_stays_as_it_is() -> None:
    image, extra = torch.ones(1, 1, 2, 2), torch.tensor([[3.0, 1.0]])
    found = KernelShap(TwoInputs(), features={"image": 1}).analyze((image, extra))
    torch.testing.assert_close(found.relevance["image"], torch.full((1, 1, 2, 2), 3.0))
    assert (found.relevance["extra"] == 0).all()


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_tokens_are_filled_with_a_token(method: type) -> None:
    scores = np.array([0.5, 1.0, -2.0, 4.0, 0.5])  # of token 0, the mask, to token 4
    found = method(lambda ids: scores[ids].sum(1), fill=0, samples=40).analyze(np.array([[3, 1, 2, 4]]))
    np.testing.assert_allclose(found.relevance[0].numpy(), [3.5, 0.5, -2.5, 0.0], atol=1e-9)


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_an_inner_layer_is_explained(method: type) -> None:
    model = net(4, 2)
    x = torch.randn(3, 4, dtype=torch.float64)
    found = method(model, samples=60).analyze(x, 1, layer="1")
    expected = (model[1](model[0](x)) * model[2].weight[1]).detach()
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_relevance_has_the_type_of_the_inputs_and_keeps_the_sum(method: type, dtype: torch.dtype) -> None:
    model, images = images_and_net(dtype)
    found = method(model, features=8, samples=30).analyze(images[:2], 0)
    assert found.relevance.dtype == dtype
    diagnostics = found.diagnostics
    missing = (diagnostics.explained - diagnostics.reference - diagnostics.relevance_sum).abs()
    rounding = missing / found.relevance.double().abs().sum((1, 2, 3))
    assert float(rounding.max()) < 4 * torch.finfo(dtype).eps


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_a_single_feature_gets_all_of_the_difference(method: type) -> None:
    found = method(lambda x: x[:, 0] ** 2 + 1, fill=1.0).analyze(np.array([[3.0]]))
    assert float(found.relevance[0, 0]) == pytest.approx(8.0, abs=1e-12)


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
@pytest.mark.parametrize("batch_size", ["auto", 7])
def test_each_sample_may_have_a_fill_of_its_own(method: type, batch_size: Any) -> None:
    x, fill = np.random.default_rng(0).normal(size=(2, 40, 4))
    found = method(lambda rows: rows.sum(1), fill=fill, samples=14).analyze(x, batch_size=batch_size)
    np.testing.assert_allclose(found.relevance.numpy(), x - fill, atol=1e-9)


# Cost


@pytest.mark.parametrize(("variants", "fill"), [(1, 0.0), (3, Data(torch.rand(3, 6)))])
def test_coalitions_and_orders_cost_no_more_runs_than_they_have_to(variants: int, fill: Any) -> None:
    model, x = net(dtype=torch.float32), torch.rand(2, 6)
    engine = Engine()
    KernelShap(model, samples=20, fill=fill).analyze(x, engine=engine)
    assert engine.report.rows == 2 * variants * (20 + 1)  # and the empty one
    engine = Engine()
    ShapleySampling(model, samples=10, fill=fill).analyze(x, engine=engine)
    assert engine.report.rows == 2 * (variants + 10 * (6 - 1))


@pytest.mark.parametrize("players", [2, 3, 5, 8])
@pytest.mark.parametrize("budget", [2, 9, 20, 100, 1000])
def test_coalitions_are_different_within_the_budget_and_weighted_by_the_kernel(players: int, budget: int) -> None:
    seen: list[np.ndarray] = []

    def model(x: np.ndarray) -> np.ndarray:
        seen.append(x.copy())
        return x.sum(1)

    KernelShap(model, samples=budget).analyze(np.ones((1, players)))
    rows = np.concatenate(seen)[2:]  # behind the sample and the empty coalition
    assert len(rows) == len(np.unique(rows, axis=0)) <= budget
    assert ((rows.sum(1) > 0) & (rows.sum(1) < players)).all()
    complements = {tuple(1 - row) for row in rows}
    assert complements == {tuple(row) for row in rows}
    if budget >= 2**players - 2:
        assert len(rows) == 2**players - 2


def test_whether_values_are_exact_is_told() -> None:
    model, x = net(), torch.rand(1, 6, dtype=torch.float64)
    for samples, words in ((None, "exact"), (62, "exact"), (30, "estimated from 30"), (8, "too few")):
        assert any(words in note for note in KernelShap(model, samples=samples).analyze(x).diagnostics.notes)


def test_reversed_orders_bring_the_values_nearer() -> None:
    model = net(10, 2)
    x = torch.randn(16, 10, dtype=torch.float64)
    exact = KernelShap(model).analyze(x, 0).relevance
    errors = {
        antithetic: sum(
            float(
                (
                    ShapleySampling(model, samples=6, antithetic=antithetic, seed=s).analyze(x, 0).relevance - exact
                ).norm()
            )
            for s in range(4)
        )
        for antithetic in (True, False)
    }
    assert errors[True] < 0.7 * errors[False]


# Regressors and refusals


def test_a_regressor_of_the_users_leaves_out_features_and_keeps_the_sum() -> None:
    from sklearn.linear_model import Lasso

    weight = np.array([5.0, -4.0, 0.01, 0.02, 0.0])
    found = KernelShap(lambda x: x @ weight, regressor=Lasso(alpha=0.02)).analyze(np.ones((1, 5)))
    assert float(found.relevance.sum()) == pytest.approx(weight.sum(), abs=1e-12)
    np.testing.assert_allclose(found.relevance[0].numpy(), weight, atol=0.5)
    assert float((found.relevance[0, 2:] - found.relevance[0, 2:].mean()).abs().max()) < 0.02


def test_a_ridge_regression_of_many_coalitions_shrinks_little() -> None:
    weight = np.arange(8.0)
    found = KernelShap(lambda x: x @ weight, regressor="ridge").analyze(np.ones((1, 8)))
    np.testing.assert_allclose(found.relevance[0].numpy(), weight, atol=0.3)
    assert float(found.relevance.sum()) == pytest.approx(weight.sum(), abs=1e-12)


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples=0 must be an integer of at least"),
        ({"samples": True}, "samples=True"),
        ({"seed": "a"}, "seed='a'"),
        ({"fill": "nothing"}, "fill='nothing'"),
        ({"spread": "shared"}, "Did you mean 'share'"),
        ({"features": "slicc"}, "Did you mean 'slic'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(method: type, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        method(net(), **options)


def test_options_of_one_method_are_refused_too() -> None:
    with pytest.raises(ParameterError, match="antithetic='yes'"):
        ShapleySampling(net(), antithetic="yes")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="Did you mean 'lasso'"):
        KernelShap(net(), regressor="laso")


def test_outputs_that_are_not_finite_are_reported() -> None:
    with np.errstate(divide="ignore"), pytest.raises(InputError, match="NaN or infinite"):
        KernelShap(lambda x: np.log(x).sum(1)).analyze(np.ones((1, 4)))


# scikit-learn


@pytest.mark.parametrize("method", [KernelShap, ShapleySampling])
def test_a_classifier_of_scikit_learn_is_explained(method: type) -> None:
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier

    x, y = load_iris(return_X_y=True)
    forest = RandomForestClassifier(10, random_state=0).fit(x, y)
    found = method(forest.predict_proba, fill=Data(x[::15]), samples=40).analyze(x[:60:20])
    gain = forest.predict_proba(x[:60:20]).max(1) - found.diagnostics.reference.numpy()
    np.testing.assert_allclose(found.relevance.sum(1).numpy(), gain, atol=1e-9)
    assert found.target["index"] == forest.predict(x[:60:20]).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_an_order_and_its_reverse_are_exact_where_features_act_in_pairs(seed: int) -> None:
    pairs = np.random.default_rng(seed).normal(size=(5, 5))
    model: Callable[[np.ndarray], np.ndarray] = lambda x: np.einsum("bi,ij,bj->b", x, pairs, x)  # noqa: E731
    x = np.random.default_rng(seed + 10).normal(size=(2, 5))
    exact = KernelShap(model).analyze(x).relevance
    torch.testing.assert_close(ShapleySampling(model, samples=2, seed=seed).analyze(x).relevance, exact)
    alone = ShapleySampling(model, samples=2, seed=seed, antithetic=False).analyze(x).relevance
    assert float((alone - exact).abs().max()) > 0.01


@pytest.mark.parametrize(("method", "limit"), [(KernelShap, 20), (ShapleySampling, 60)])
def test_an_interrupted_run_returns_the_samples_that_are_finished(method: type, limit: int) -> None:
    calls = 0

    def model(x: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        if calls > limit:
            raise KeyboardInterrupt
        return np.tanh(x).prod(1)

    x = np.random.default_rng(0).normal(size=(8, 4))
    analyzer = method(model, samples=14)
    found = analyzer.analyze(x, engine=Engine(batch_size=4))
    calls = -(10**6)
    assert 0 < len(found) < 8
    torch.testing.assert_close(found.relevance, analyzer.analyze(x).relevance[: len(found)])


class Residual(nn.Module):
    """One convolution used twice, a functional activation, a sum of two branches."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.block, self.head = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x + torch.relu(self.block(torch.relu(self.block(x))))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("layer", [None, "stem", "block@1"])
def test_a_residual_net_is_explained_at_its_input_and_inside(layer: str | None) -> None:
    torch.manual_seed(0)
    model, images = Residual().double(), torch.randn(2, 1, 6, 6, dtype=torch.float64)
    found = KernelShap(model, features=3).analyze(images, 0, layer=layer)
    orders = ShapleySampling(model, features=3, samples=400).analyze(images, 0, layer=layer)
    assert float(found.diagnostics.conservation_gap.max()) < 1e-8
    assert float((found.relevance - orders.relevance).abs().max()) < 0.03 * float(found.relevance.abs().max())
