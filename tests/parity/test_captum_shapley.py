"""LIME, Kernel SHAP and Shapley values agree with captum where both are given the same coalitions or orders.

captum draws its coalitions from torch's global generator and fits in float32. So that more than a likeness can be
tested, it is given what our methods really ran, read off the rows that a model was called with. Exact Shapley values
(captum's ``ShapleyValues``, over all orders) need no such help.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.analyzers.baselines import Data

attr = pytest.importorskip("captum.attr")
linear_model = pytest.importorskip("captum._utils.models.linear_model")
lime = pytest.importorskip("captum.attr._core.lime")

CLOSE = {"rtol": 1e-5, "atol": 1e-6}  # captum sums in float32
FEATURES = torch.tensor([[0, 0, 1, 1], [0, 0, 1, 1], [2, 2, 3, 3], [2, 4, 4, 3]])


def image_net() -> tuple[nn.Module, Tensor]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 5, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(80, 3)).double()
    return model.eval(), torch.randn(3, 2, 4, 4, dtype=torch.float64)


def table_net(columns: int = 6) -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(columns, 12), nn.Tanh(), nn.Linear(12, 3)).double().eval()


def presences(model: nn.Module, method: str, **options: Any) -> tuple[Tensor, Tensor]:
    """The coalitions that a method runs, as rows of zeros and ones, and what it finds for an input of ones."""
    seen: list[Tensor] = []

    def recorded(x: Tensor) -> Tensor:
        seen.append(x.clone())
        return model(x).detach()

    analyzer = xaicore.create_analyzer(method, recorded, **options)
    found = analyzer.analyze(torch.ones(1, 6, dtype=torch.float64), 1).relevance[0]
    rows = torch.cat(seen)
    # The sample itself comes first: for its output, and to see what memory a row takes.
    first = next(number for number, row in enumerate(rows) if bool((row == 0).any()))
    return rows[first:], found


def given_to(coalitions: Tensor) -> Callable[..., Iterator[Tensor]]:
    def perturb(_: Any, **__: Any) -> Iterator[Tensor]:
        yield from coalitions.long().unsqueeze(1)

    return perturb


def quietly(function: Callable[[], Tensor]) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function().detach().double()


# Shapley values


@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize("target", [2, [0, 2, 1]], ids=["one class", "a class a sample"])
def test_kernel_shap_of_all_coalitions_is_captums_mean_over_all_orders(fill: float, target: Any) -> None:
    model, images = image_net()
    found = xaicore.explain(
        model, images, method="perturbation.kernel_shap", target=target, features=FEATURES, fill=fill, spread="each"
    ).relevance
    mask = FEATURES.expand(1, 2, 4, 4).contiguous()
    theirs = attr.ShapleyValues(model)
    expected = quietly(lambda: theirs.attribute(images, baselines=fill, target=target, feature_mask=mask))
    torch.testing.assert_close(found, expected, **CLOSE)


def test_kernel_shap_of_several_inputs_is_captums_mean_over_all_orders() -> None:
    class Both(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.tanh(a[:, 0] * b[:, 1]) + (a[:, 1] - b[:, 0]) ** 2 * a[:, 2]

    torch.manual_seed(0)
    a, b = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    found = xaicore.explain(Both().double(), (a, b), method="perturbation.kernel_shap").relevance
    joined = quietly(lambda: torch.cat(attr.ShapleyValues(Both().double()).attribute((a, b)), 1))
    torch.testing.assert_close(torch.cat(list(found.values()), 1), joined, **CLOSE)


@pytest.mark.parametrize("antithetic", [True, False])
def test_shapley_sampling_agrees_along_the_same_orders(antithetic: bool) -> None:
    model = table_net()
    options: dict[str, Any] = {"samples": 7, "antithetic": antithetic}
    rows, found = presences(model, "perturbation.shapley_sampling", **options)
    orders = []
    for path in rows[1:].view(7, 5, 6):  # behind the empty coalition
        whole = torch.cat([torch.zeros(1, 6), path, torch.ones(1, 6)]).diff(dim=0)
        orders.append(whole.argmax(1).tolist())
    theirs = attr.ShapleyValueSampling(model)
    theirs.permutation_generator = lambda features, samples: iter(orders)
    ones = torch.ones(1, 6, dtype=torch.float64)
    expected = quietly(lambda: theirs.attribute(ones, target=1, n_samples=7))[0]
    torch.testing.assert_close(found, expected, **CLOSE)


def test_kernel_shap_agrees_with_captums_regression_under_the_shapley_kernel() -> None:
    model = table_net()
    rows, found = presences(model, "perturbation.kernel_shap")

    def kernel(_: Tensor, __: Tensor, coalition: Tensor, **___: Any) -> Tensor:
        size = int(coalition.sum())
        return torch.tensor([1e6 if size in (0, 6) else 5 / (math.comb(6, size) * size * (6 - size))])

    theirs = attr.Lime(
        model,
        interpretable_model=linear_model.SkLearnLinearRegression(),
        similarity_func=kernel,
        perturb_func=given_to(torch.cat([torch.ones(1, 6), rows])),
    )
    ones = torch.ones(1, 6, dtype=torch.float64)
    expected = quietly(lambda: theirs.attribute(ones, target=1, n_samples=64))[0]
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_captums_kernel_shap_comes_near_the_exact_values() -> None:
    model = table_net()
    x = torch.randn(1, 6, dtype=torch.float64)
    exact = xaicore.explain(model, x, method="perturbation.kernel_shap", target=1).relevance
    torch.manual_seed(0)
    theirs = quietly(lambda: attr.KernelShap(model).attribute(x, target=1, n_samples=4000, perturbations_per_eval=500))
    assert float((theirs - exact).abs().max()) < 0.05 * float(exact.abs().max())


@pytest.mark.parametrize("method", ["kernel_shap", "shapley_sampling"])
def test_both_find_the_values_of_a_linear_model(method: str) -> None:
    torch.manual_seed(0)
    model, x = nn.Linear(6, 2).double(), torch.randn(1, 6, dtype=torch.float64)
    found = xaicore.explain(model, x, method=f"perturbation.{method}", target=1, fill=0.5).relevance
    theirs = attr.KernelShap(model) if method == "kernel_shap" else attr.ShapleyValueSampling(model)
    expected = quietly(lambda: theirs.attribute(x, baselines=0.5, target=1, n_samples=80))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_a_background_is_the_mean_of_captums_values_over_it() -> None:
    model = table_net(5)
    torch.manual_seed(3)
    x, background = torch.randn(2, 5, dtype=torch.float64), torch.randn(4, 5, dtype=torch.float64)
    found = xaicore.explain(model, x, method="perturbation.kernel_shap", target=0, fill=Data(background)).relevance
    theirs = attr.ShapleyValues(model)
    each = [quietly(lambda row=row: theirs.attribute(x, baselines=row[None], target=0)) for row in background]
    torch.testing.assert_close(found, torch.stack(each).mean(0), **CLOSE)


# LIME


REGRESSORS = {
    "linear": lambda: linear_model.SkLearnLinearRegression(),
    "ridge": lambda: linear_model.SkLearnRidge(alpha=1.0),
    "lasso": lambda: linear_model.SkLearnLasso(alpha=0.01),
}


@pytest.mark.parametrize("regressor", REGRESSORS)
@pytest.mark.parametrize(
    ("distance", "width"), [("cosine", 0.25), ("cosine", 1.0), ("euclidean", 1.0), ("euclidean", 3.0)]
)
def test_lime_agrees_on_the_same_coalitions(regressor: str, distance: str, width: float) -> None:
    model = table_net()
    options: dict[str, Any] = {"regressor": regressor, "distance": distance, "kernel_width": width, "samples": 120}
    rows, found = presences(model, "perturbation.lime", **options)
    theirs = attr.Lime(
        model,
        interpretable_model=REGRESSORS[regressor](),
        # Of an input of ones and a fill of zeros, captum's distance between inputs is ours between coalitions.
        similarity_func=lime.get_exp_kernel_similarity_function(distance, width),
        perturb_func=given_to(torch.cat([torch.ones(1, 6), rows])),
    )
    ones = torch.ones(1, 6, dtype=torch.float64)
    expected = quietly(lambda: theirs.attribute(ones, target=1, n_samples=120))[0]
    assert float(expected.abs().max()) > 0.02
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=2e-5)


def test_lime_of_groups_agrees_with_captum_as_coalitions_grow() -> None:
    model, images = image_net()
    found = xaicore.explain(
        model,
        images[:1],
        method="perturbation.lime",
        target=1,
        features=FEATURES,
        samples=4000,
        regressor="linear",
        kernel=np.ones_like,
    ).relevance
    theirs = attr.Lime(
        model,
        interpretable_model=linear_model.SkLearnLinearRegression(),
        similarity_func=lambda *_, **__: 1.0,
    )
    mask = FEATURES.expand(1, 2, 4, 4).contiguous()
    torch.manual_seed(0)
    expected = quietly(
        lambda: theirs.attribute(images[:1], target=1, feature_mask=mask, n_samples=4000, perturbations_per_eval=500)
    )
    assert float((found - expected).abs().max()) < 0.05 * float(expected.abs().max())
