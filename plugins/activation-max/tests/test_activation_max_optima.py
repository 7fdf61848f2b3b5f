"""The search, against optima that are known."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_activation_max import Fourier, Locality, Pixels, PrototypeSearch, ToMean

EXACT: dict[str, Any] = {"steps": 200, "patience": None, "noise": 1.0}


def linear(inputs: int = 5, outputs: int = 3, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs).double()


class Quadratic(nn.Module):
    """One unit that is largest at a point."""

    def __init__(self, top: Tensor, curvature: Tensor) -> None:
        super().__init__()
        self.top, self.curvature = nn.Parameter(top), nn.Parameter(curvature)

    def forward(self, x: Tensor) -> Tensor:
        away = x - self.top
        return -((away @ self.curvature) * away).sum(1, keepdim=True)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_a_linear_logit_with_l2_is_largest_at_the_weights_over_twice_the_strength(optimizer: str) -> None:
    model = linear()
    rate = {"adam": 0.05, "sgd": 0.5, "lbfgs": 1.0}[optimizer]
    search = PrototypeSearch(
        model, objective="logit", prior="l2", strength=0.4, optimizer=optimizer, learning_rate=rate, steps=300,
        patience=None,
    )  # fmt: skip
    found = search.search((5,), [0, 1, 2])
    expected = model.weight.detach() / (2 * 0.4)
    assert torch.allclose(found.inputs, expected, atol=1e-4)
    scores = (found.inputs * model.weight).sum(1) + model.bias
    assert torch.allclose(found.score, scores.detach(), atol=1e-12)
    assert torch.allclose(found.prior, -0.4 * found.inputs.square().sum(1), atol=1e-12)
    assert torch.allclose(found.objective, found.score + found.prior)


def test_a_linear_logit_under_a_normal_density_is_largest_at_the_mean_plus_covariance_times_weights() -> None:
    model = linear()
    root = torch.randn(5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    covariance, mean = root @ root.T + torch.eye(5, dtype=torch.float64), torch.arange(5.0, dtype=torch.float64)
    normal = torch.distributions.MultivariateNormal(mean, covariance)
    search = PrototypeSearch(
        model, objective="logit", prior=normal.log_prob, optimizer="lbfgs", steps=100, patience=None
    )
    found = search.search((5,), 1)
    assert torch.allclose(found.inputs[0], mean + covariance @ model.weight[1].detach(), atol=1e-4)


def test_a_distance_to_the_mean_moves_the_optimum_of_a_linear_logit_by_the_mean() -> None:
    model, mean = linear(), torch.arange(5.0, dtype=torch.float64)
    search = PrototypeSearch(model, objective="logit", prior=ToMean(0.5, mean), optimizer="lbfgs", **EXACT)
    assert torch.allclose(search.search((5,), 2).inputs[0], mean + model.weight[2].detach(), atol=1e-6)


def test_priors_in_a_list_are_added_up() -> None:
    model, mean = linear(), torch.ones(5, dtype=torch.float64)
    search = PrototypeSearch(
        model, objective="logit", prior=["l2", ToMean(0.5, mean)], strength=0.25, optimizer="lbfgs", **EXACT
    )
    # The gradient w - 0.5 x - (x - 1) is zero.
    assert torch.allclose(search.search((5,), 0).inputs[0], (model.weight[0].detach() + 1) / 1.5, atol=1e-6)


def test_a_quadratic_unit_is_largest_at_its_top() -> None:
    top = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    curvature = torch.diag(torch.tensor([1.0, 0.1, 3.0], dtype=torch.float64))
    search = PrototypeSearch(Quadratic(top, curvature), objective="logit", prior="none", optimizer="lbfgs", **EXACT)
    assert torch.allclose(search.search((3,)).inputs[0], top, atol=1e-5)


def test_within_bounds_a_linear_logit_is_largest_in_a_corner() -> None:
    model = linear()
    search = PrototypeSearch(model, objective="logit", prior="none", bounds=(-1.0, 2.0), **EXACT)
    expected = torch.where(model.weight > 0, 2.0, -1.0).double()
    assert torch.equal(search.search((5,), [0, 1, 2]).inputs, expected)


def test_a_sigmoid_keeps_within_bounds_and_comes_near_the_corner() -> None:
    model = linear()
    search = PrototypeSearch(
        model, objective="logit", prior="none", parametrization=Pixels(bounds=(-1, 2), keep="sigmoid"), steps=600,
        learning_rate=0.5, patience=None,
    )  # fmt: skip
    found = search.search((5,), 0).inputs
    assert bool(((found > -1) & (found < 2)).all())
    assert torch.allclose(found, torch.where(model.weight[0] > 0, 2.0, -1.0).double(), atol=0.05)


def test_no_input_of_a_grid_is_better_than_what_is_found() -> None:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 3)).double()
    search = PrototypeSearch(model, prior="l2", strength=0.05, restarts=8, noise=2.0, steps=600, bounds=(-4, 4))
    found = search.search((2,), 1)
    axis = torch.linspace(-4, 4, 161, dtype=torch.float64)
    grid = torch.tensor(list(itertools.product(axis.tolist(), axis.tolist())), dtype=torch.float64)
    with torch.no_grad():
        objective = model(grid).log_softmax(1)[:, 1] - 0.05 * grid.square().sum(1)
    assert float(found.objective[0]) >= float(objective.max()) - 1e-6


@pytest.mark.parametrize("shape", [(2, 7), (2, 6, 6), (1, 4, 3, 5)])
def test_the_spectrum_finds_the_same_optimum_as_the_pixels(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 2)).double()
    found = [
        PrototypeSearch(
            model, objective="logit", prior="l2", strength=0.5, parametrization=each, optimizer="lbfgs", **EXACT
        ).search(shape, 1)
        for each in ("pixels", Fourier(decay=1.0))
    ]
    expected = model[1].weight[1].detach().view(shape)
    assert torch.allclose(found[0].inputs[0], expected, atol=1e-6)
    assert torch.allclose(found[1].inputs[0], expected, atol=1e-4)


def test_the_trace_of_a_concave_objective_never_falls() -> None:
    search = PrototypeSearch(linear(), objective="logit", strength=0.5, optimizer="sgd", steps=60, patience=None)
    trace = search.search((5,), [0, 1]).trace
    assert trace.shape == (60, 2)
    assert bool((trace.diff(dim=0) >= -1e-12).all()) and bool((trace[-1] > trace[0]).all())


def test_a_search_stops_where_it_no_longer_rises_and_keeps_the_best() -> None:
    model = linear()
    search = PrototypeSearch(
        model, objective="logit", strength=0.5, optimizer="lbfgs", steps=500, patience=5, tolerance=1e-8
    )
    found = search.search((5,), [0, 1])
    assert len(found.trace) < 60
    assert torch.allclose(found.inputs, model.weight[:2].detach(), atol=1e-5)
    assert torch.allclose(found.objective, found.trace.nan_to_num(-torch.inf).amax(0), atol=1e-10)


def test_what_is_found_under_jitter_is_as_good_wherever_it_lies() -> None:
    # A unit that looks at one pixel: only with shifts do the others come to matter too.
    model = nn.Sequential(nn.Flatten(), nn.Linear(49, 1, bias=False)).double()
    with torch.no_grad():
        model[1].weight.zero_()[0, 24] = 1
    options: dict[str, Any] = {"objective": "logit", "strength": 0.5, "steps": 400, "noise": 0.0, "patience": None}
    options["optimizer"] = "sgd"
    still = PrototypeSearch(model, **options).search((1, 7, 7)).inputs[0, 0]
    moved = PrototypeSearch(model, jitter=1, **options).search((1, 7, 7)).inputs[0, 0]
    assert float(still[3, 3]) == pytest.approx(1.0, abs=1e-3) and float(still.sum()) == pytest.approx(1.0, abs=1e-2)
    # The expectation spreads the weight evenly over the nine places that the pixel is shifted from.
    assert torch.allclose(moved[2:5, 2:5], torch.full((3, 3), 1 / 9, dtype=torch.float64), atol=0.08)
    assert float(moved.sum()) == pytest.approx(1.0, abs=0.1)
    assert float(moved[0].abs().max()) < 1e-3


def test_a_locality_term_keeps_near_the_given_inputs() -> None:
    model = linear()
    x = torch.randn(4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    search = PrototypeSearch(model, objective="logit", prior="none", locality=0.5, optimizer="lbfgs", **EXACT)
    found = search.analyze(x, [0, 1, 2, 0])
    assert torch.allclose(found.inputs, x + model.weight[[0, 1, 2, 0]].detach(), atol=1e-6)
    given = PrototypeSearch(model, objective="logit", prior=Locality(0.5, x[1]), optimizer="lbfgs", **EXACT)
    assert torch.allclose(given.search((5,), 1).inputs[0], found.inputs[1], atol=1e-6)
