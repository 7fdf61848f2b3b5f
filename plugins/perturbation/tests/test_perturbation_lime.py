"""LIME: weights against weighted least squares by the normal equations, for what the model was really given."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Lasso, Ridge
from sklearn.neighbors import KNeighborsRegressor
from torch import Tensor, nn

from xai_perturbation import Lime
from xaicore.analyzers.baselines import Data
from xaicore.engine import Engine
from xaicore.errors import InputError, NotFittedError, ParameterError

Model = Callable[[np.ndarray], np.ndarray]


class Recorded:
    """A model of arrays that remembers its rows: first the sample, then its variations."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.rows: list[np.ndarray] = []

    def __call__(self, x: np.ndarray) -> np.ndarray:
        self.rows.append(x.copy())
        return self.model(x)

    def design(self) -> np.ndarray:
        return np.concatenate(self.rows)


def curved(x: np.ndarray) -> np.ndarray:
    return np.tanh(x[:, 0] + 0.5 * x[:, 1] * x[:, 2]) + 0.2 * x[:, 3]


def weighted_ridge(design: np.ndarray, scores: np.ndarray, importance: np.ndarray, alpha: float) -> np.ndarray:
    """Weights of the ridge regression with a free intercept, by its normal equations."""
    centre = importance / importance.sum()
    columns, targets = design - centre @ design, scores - centre @ scores
    gram = columns.T @ (importance[:, None] * columns) + alpha * np.eye(design.shape[1])
    return np.linalg.solve(gram, columns.T @ (importance * targets))


def cosine_kernel(design: np.ndarray, width: float = 0.25) -> np.ndarray:
    """Of presences, whose cosine with all ones is the root of the share that is present."""
    return np.exp(-((1 - np.sqrt(design.mean(1))) ** 2) / (2 * width**2))


def euclidean_kernel(design: np.ndarray, width: float | None = None) -> np.ndarray:
    width = 0.75 * np.sqrt(design.shape[1]) if width is None else width
    return np.exp(-((design - design[0]) ** 2).sum(1) / (2 * width**2))


# Closed forms


@pytest.mark.parametrize(("regressor", "alpha"), [(None, 1.0), ("linear", 0.0), (Ridge(alpha=0.1), 0.1)])
def test_weights_are_those_of_the_normal_equations(regressor: Any, alpha: float) -> None:
    model = Recorded(curved)
    found = Lime(model, samples=200, regressor=regressor).analyze(np.ones((1, 4)))
    design = model.design()
    assert design.shape == (200, 4)
    expected = weighted_ridge(design, curved(design), cosine_kernel(design), alpha)
    np.testing.assert_allclose(found.relevance[0].numpy(), expected, atol=1e-9)


@pytest.mark.parametrize(
    ("options", "importance"),
    [
        ({"kernel_width": 2.0}, lambda z: cosine_kernel(z, 2.0)),
        ({"distance": "euclidean"}, euclidean_kernel),
        ({"distance": "euclidean", "kernel_width": 0.7}, lambda z: euclidean_kernel(z, 0.7)),
        ({"distance": lambda z, own: np.abs(z - own).sum(1), "kernel": lambda d: 1 / (1 + d)},
         lambda z: 1 / (1 + (1 - z).sum(1))),
        ({"kernel": np.ones_like}, lambda z: np.ones(len(z))),
    ],
    ids=["width", "euclidean", "euclidean width", "functions", "constant kernel"],
)  # fmt: skip
def test_distance_and_kernel_say_how_much_a_variation_counts(
    options: dict[str, Any], importance: Callable[[np.ndarray], np.ndarray]
) -> None:
    model = Recorded(curved)
    found = Lime(model, samples=100, **options).analyze(np.ones((1, 4)))
    design = model.design()
    expected = weighted_ridge(design, curved(design), importance(design), 1.0)
    np.testing.assert_allclose(found.relevance[0].numpy(), expected, atol=1e-9)
    default = Lime(curved, samples=100).analyze(np.ones((1, 4)))
    assert float((default.relevance - found.relevance).abs().max()) > 1e-4


def test_a_linear_model_gets_weight_times_difference_to_the_fill() -> None:
    generator = np.random.default_rng(0)
    weight, x, fill = generator.normal(size=6), generator.normal(size=(5, 6)), generator.normal(size=(1, 6))
    found = Lime(lambda rows: rows @ weight - 2, samples=60, fill=fill, regressor="linear").analyze(x)
    np.testing.assert_allclose(found.relevance.numpy(), weight * (x - fill), atol=1e-9)
    np.testing.assert_allclose(found.recorded["r_squared"].numpy(), 1, atol=1e-12)


def test_each_feature_is_there_in_about_half_of_the_variations() -> None:
    model = Recorded(curved)
    Lime(model, samples=2001).analyze(np.ones((1, 4)))
    design = model.design()
    assert set(np.unique(design)) == {0.0, 1.0}
    np.testing.assert_allclose(design[1:].mean(0), 0.5, atol=0.04)
    correlations = np.corrcoef(design[1:].T) - np.eye(4)
    assert np.abs(correlations).max() < 0.08


def test_lasso_leaves_out_what_matters_little() -> None:
    found = Lime(lambda x: 3 * x[:, 0] - 2 * x[:, 1] + 0.01 * x[:, 2], regressor="lasso").analyze(np.ones((1, 4)))
    weights = found.relevance[0].numpy()
    assert weights[0] > 2.5 and weights[1] < -1.5
    assert (weights[2:] == 0).all()


def test_the_fit_is_measured_for_each_sample() -> None:
    model = Recorded(curved)
    found = Lime(model, samples=150).analyze(np.ones((1, 4)))
    design, importance = model.design(), cosine_kernel(model.design())
    weights, scores = found.relevance[0].numpy(), curved(model.design())
    centre = importance / importance.sum()
    rest = scores - design @ weights
    rest -= centre @ rest
    expected = 1 - (importance @ rest**2) / (importance @ (scores - centre @ scores) ** 2)
    assert 0.5 < expected < 0.999
    assert float(found.recorded["r_squared"][0]) == pytest.approx(expected, abs=1e-9)
    assert any(f"{expected:.3f}" in note for note in found.diagnostics.notes)


def test_a_kernel_so_narrow_that_nothing_is_near_is_told() -> None:
    x = np.ones((1, 4))
    narrow, usual = (Lime(curved, kernel_width=width).analyze(x).diagnostics.notes for width in (1e-3, None))
    assert any("larger kernel_width" in note for note in narrow)
    assert not any("kernel_width" in note for note in usual)


def test_the_mean_over_the_variants_of_a_fill_is_fitted() -> None:
    generator = np.random.default_rng(1)
    background, x = generator.normal(size=(3, 4)), generator.normal(size=(2, 4))
    options: dict[str, Any] = {"samples": 80, "regressor": "linear"}
    found = Lime(curved, fill=Data(background), **options).analyze(x)
    alone = [Lime(curved, fill=each[None], **options).analyze(x).relevance for each in background]
    torch.testing.assert_close(found.relevance, torch.stack(alone).mean(0), rtol=1e-9, atol=1e-12)


# Tables


@pytest.fixture(scope="module")
def table() -> np.ndarray:
    generator = np.random.default_rng(0)
    data: np.ndarray = generator.normal(size=(400, 4)) * [1.0, 5.0, 0.1, 1.0] + [0.0, 3.0, 1.0, 0.0]
    return data


def test_gaussian_noise_is_fitted_in_units_of_the_standard_deviations(table: np.ndarray) -> None:
    model = Recorded(curved)
    found = Lime(model, mode="gaussian", samples=300).fit(table).analyze(table[:1])
    rows = model.design()
    standardised = (rows - rows[0]) / table.std(0)
    np.testing.assert_allclose(standardised[1:].std(0), 1, atol=0.15)
    expected = weighted_ridge(standardised, curved(rows), euclidean_kernel(standardised), 1.0)
    np.testing.assert_allclose(found.relevance[0].numpy(), expected, atol=1e-8)


def test_a_linear_model_of_noise_has_slopes_times_standard_deviations(table: np.ndarray) -> None:
    weight = np.array([1.0, -2.0, 3.0, 0.0])
    analyzer = Lime(lambda x: x @ weight, mode="gaussian", samples=50, regressor="linear").fit(table)
    expected = np.broadcast_to(weight * table.std(0), (3, 4))
    np.testing.assert_allclose(analyzer.analyze(table[:3]).relevance.numpy(), expected, atol=1e-9)


def test_a_constant_column_is_not_varied(table: np.ndarray) -> None:
    data = table.copy()
    data[:, 1] = 7.0
    model = Recorded(curved)
    found = Lime(model, mode="gaussian", samples=50).fit(data).analyze(data[:1])
    assert (model.design()[:, 1] == 7.0).all()
    assert float(found.relevance[0, 1]) == 0.0


def test_quartiles_are_fitted_to_whether_a_column_stays_in_its_own(table: np.ndarray) -> None:
    model = Recorded(curved)
    found = Lime(model, mode="quartiles", samples=300).fit(table).analyze(table[5:6])
    rows = model.design()
    edges = np.quantile(table, [0.25, 0.5, 0.75], axis=0)
    quartile = np.stack([np.searchsorted(edges[:, column], rows[:, column]) for column in range(4)], 1)
    same = (quartile == quartile[0]).astype(float)
    np.testing.assert_allclose(same[1:].mean(0), 0.25, atol=0.08)
    assert all(np.isin(rows[:, column], table[:, column]).all() for column in range(4))
    expected = weighted_ridge(same, curved(rows), euclidean_kernel(same), 1.0)
    np.testing.assert_allclose(found.relevance[0].numpy(), expected, atol=1e-8)


@pytest.mark.parametrize("mode", ["gaussian", "quartiles"])
def test_tables_of_several_inputs_are_matched_by_name(mode: str, table: np.ndarray) -> None:
    first, second = table[:, :3], table[:, 3:]
    both = Lime(curved, mode=mode, samples=60).fit(table).analyze(table[:4]).relevance.numpy()
    apart = Lime(lambda a, b: curved(np.concatenate([a, b], 1)), mode=mode, samples=60)
    apart.fit({"b": second, "a": first})
    found = apart.analyze({"a": first[:4], "b": second[:4]}).relevance
    np.testing.assert_allclose(np.concatenate([found["a"], found["b"]], 1), both, atol=1e-12)


@pytest.mark.parametrize("mode", ["gaussian", "quartiles"])
def test_modes_of_tables_ask_for_data_like_the_inputs(mode: str, table: np.ndarray) -> None:
    with pytest.raises(NotFittedError, match="call fit"):
        Lime(curved, mode=mode).analyze(table[:2])
    with pytest.raises(InputError, match="needs data"):
        Lime(curved, mode=mode).fit()
    with pytest.raises(InputError, match=r"\[3\] columns; these inputs have \[4\]"):
        Lime(curved, mode=mode).fit(table[:, :3]).analyze(table[:2])
    with pytest.raises(InputError, match="only floating-point columns"):
        Lime(curved, mode=mode).fit(table.astype(int))


# Networks


def images_and_net(dtype: torch.dtype = torch.float64) -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(4), nn.Flatten(), nn.Linear(4 * 4 * 4, 3)
    )
    blobs = nn.functional.interpolate(torch.rand(33, 3, 4, 4), size=16, mode="nearest")
    return model.to(dtype).eval(), (blobs + 0.01 * torch.rand(33, 3, 16, 16)).to(dtype)


@pytest.mark.parametrize("mode", ["presence", "gaussian", "quartiles"])
def test_a_batch_is_explained_like_its_samples_one_by_one(mode: str) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x, targets = torch.randn(33, 5, dtype=torch.float64), [number % 3 for number in range(33)]
    analyzer = Lime(model, samples=40, mode=mode).fit(x)
    together = analyzer.analyze(x, targets)
    alone = torch.cat([analyzer.analyze(x[i : i + 1], targets[i]).relevance for i in range(33)])
    torch.testing.assert_close(together.relevance, alone, rtol=1e-9, atol=1e-12)
    assert together.recorded["r_squared"].shape == (33,)


def test_superpixels_of_each_sample_are_its_features() -> None:
    pytest.importorskip("skimage")
    model, images = images_and_net()
    analyzer = Lime(model, features="felzenszwalb", samples=40)
    together = analyzer.analyze(images[:33], 1)
    alone = torch.cat([analyzer.analyze(images[i : i + 1], 1).relevance for i in range(33)])
    torch.testing.assert_close(together.relevance, alone, rtol=1e-9, atol=1e-12)
    assert len({len(sample[0].unique()) for sample in alone}) > 1  # not all have as many
    assert (alone == alone[:, :1]).all()  # all channels of a superpixel together


@pytest.mark.parametrize("mode", ["presence", "gaussian", "quartiles"])
@pytest.mark.parametrize("batch_size", [1, 7, None])
def test_the_batch_size_changes_nothing(mode: str, batch_size: int | None) -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(5, 8), nn.Tanh(), nn.Linear(8, 3)).double()
    x = torch.randn(9, 5, dtype=torch.float64)
    analyzer = Lime(model, samples=30, mode=mode, fill=0.0).fit(x)
    expected = analyzer.analyze(x, 0).relevance
    torch.testing.assert_close(analyzer.analyze(x, 0, batch_size=batch_size).relevance, expected, rtol=1e-9, atol=1e-12)


def test_the_seed_alone_decides_what_is_drawn() -> None:
    model, images = images_and_net()
    one, again, other = (Lime(model, samples=60, seed=s).analyze(images[:2], 0).relevance for s in (3, 3, 4))
    torch.testing.assert_close(one, again, rtol=0, atol=0)
    assert float((one - other).abs().max()) > 1e-6


def test_samples_cost_as_many_runs_as_are_asked_for() -> None:
    model, images = images_and_net()
    engine = Engine()
    Lime(model, samples=50).analyze(images[:3], engine=engine)
    assert engine.report.rows == 3 * 49  # the sample itself was run before


def test_the_weight_of_a_feature_comes_whole_or_shared_to_its_entries() -> None:
    model, images = images_and_net()
    each = Lime(model, samples=40, features=4).analyze(images[:2], 0).relevance
    share = Lime(model, samples=40, features=4, spread="share").analyze(images[:2], 0).relevance
    torch.testing.assert_close(share * (3 * 4 * 4), each)


def test_tokens_are_filled_with_a_token() -> None:
    scores = np.array([0.0, 1.0, -2.0, 4.0, 0.5])  # of token 0, the mask, to token 4
    found = Lime(lambda ids: scores[ids].sum(1), fill=0, regressor="linear", samples=60).analyze(
        np.array([[3, 1, 2, 4]])
    )
    np.testing.assert_allclose(found.relevance[0].numpy(), [4, 1, -2, 0.5], atol=1e-9)


def test_an_inner_layer_is_explained() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double()
    x = torch.randn(3, 4, dtype=torch.float64)
    found = Lime(model, samples=60, regressor="linear").analyze(x, 1, layer="1")
    expected = (model[1](model[0](x)) * model[2].weight[1]).detach()
    torch.testing.assert_close(found.relevance, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_relevance_has_the_type_of_the_inputs(dtype: torch.dtype) -> None:
    model, images = images_and_net(dtype)
    found = Lime(model, samples=80).analyze(images[:2], 0)
    exact_model, exact_images = images_and_net()
    exact = Lime(exact_model, samples=80).analyze(exact_images[:2], 0)
    assert found.relevance.dtype == dtype
    tolerance = 1e-4 if dtype == torch.float32 else 0.3
    difference = (found.relevance.double() - exact.relevance).abs().max() / exact.relevance.abs().max()
    assert float(difference) < tolerance


# Refusals


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples=1 must be an integer of at least 2"),
        ({"samples": 10.5}, "samples=10.5"),
        ({"seed": -1}, "seed=-1"),
        ({"mode": "gausian"}, "Did you mean 'gaussian'"),
        ({"distance": "cosin"}, "Did you mean 'cosine'"),
        ({"distance": "cosine", "mode": "gaussian"}, "has no direction"),
        ({"kernel": "gauss"}, "choose 'exponential'"),
        ({"kernel_width": 0}, "kernel_width=0 must be a positive number"),
        ({"kernel": np.exp, "kernel_width": 1.0}, "leave it out"),
        ({"regressor": "rigde"}, "Did you mean 'ridge'"),
        ({"regressor": Ridge}, "an instance"),
        ({"regressor": KNeighborsRegressor()}, "no sample_weight"),
        ({"spread": "shared"}, "Did you mean 'share'"),
        ({"features": 2, "mode": "quartiles"}, "leave features out"),
        ({"fill": "nothing"}, "fill='nothing'"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Lime(curved, **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kernel": lambda d: d[:-1]}, "the kernel returned shape"),
        ({"kernel": np.zeros_like}, "gives weight to no variation"),
        ({"kernel": lambda d: d - 1}, "none of them negative"),
        ({"distance": lambda z, own: np.full(len(z), np.nan)}, "the distance returned"),
    ],
)
def test_functions_that_return_something_else_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Lime(curved, samples=20, **options).analyze(np.ones((1, 4)))


def test_a_regressor_of_the_users_is_not_changed() -> None:
    own = Lasso(alpha=0.001)
    Lime(curved, samples=30, regressor=own).analyze(np.ones((2, 4)))
    assert not hasattr(own, "coef_")


def test_outputs_that_are_not_finite_are_reported() -> None:
    with np.errstate(divide="ignore"), pytest.raises(InputError, match=r"NaN or infinite for \d+ of 30 variations"):
        Lime(lambda x: np.log(x).sum(1), samples=30).analyze(np.ones((1, 4)))
