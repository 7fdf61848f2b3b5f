"""Patterns of single layers against the formulas of Kindermans et al. 2018, written down again in NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pattern_oracle import OneLayer, by_formula, only, random
from torch import nn

import xaicore
from xai_patternnet import learn_patterns


def test_the_toy_of_the_paper_finds_the_signal_and_not_the_weights() -> None:
    # x = a_s y + a_d eps, and w cancels a_d: w = (1, -1), a_s = (1, 0), a_d = (1, 1).
    y, eps = random(4000, seed=1), random(4000, seed=2)
    x = torch.stack([y + eps, eps], 1)
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[1.0, -1.0]]))
    pattern = torch.from_numpy(only(learn_patterns(model, x))["linear"])
    # In the sample, signal and distractor are slightly correlated: that goes to both inputs alike.
    leak = (torch.cov(torch.stack([y, eps]))[0, 1] / y.var()).item()
    torch.testing.assert_close(pattern, torch.tensor([[1 + leak, leak]], dtype=torch.float64), rtol=1e-10, atol=1e-10)
    assert abs(leak) < 0.05
    signal = xaicore.create_analyzer("patternnet.signal", model).fit(x).analyze(x, target=0).relevance
    torch.testing.assert_close(signal, y[:, None] * pattern, rtol=1e-10, atol=1e-10)


def test_the_toy_without_correlation_in_the_sample_is_recovered_exactly() -> None:
    y = torch.tensor([1.0, 1.0, -1.0, -1.0], dtype=torch.float64)
    eps = torch.tensor([3.0, -3.0, 3.0, -3.0], dtype=torch.float64)
    direction, distractor = torch.tensor([2.0, 0.5]), torch.tensor([1.0, 3.0])
    x = y[:, None] * direction.double() + eps[:, None] * distractor.double()
    model = nn.Linear(2, 1, bias=False).double()
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[3.0, -1.0]]) / 5.5)  # w' direction = 1, w' distractor = 0
    pattern = only(learn_patterns(model, x))["linear"]
    np.testing.assert_allclose(pattern, [[2.0, 0.5]], atol=1e-14)


def test_on_linear_gaussian_data_patterns_are_those_of_haufe() -> None:
    mixing = random(5, 5, seed=3)
    x = random(300, 5, seed=4) @ mixing + 2
    model = nn.Linear(5, 3).double()
    covariance = np.cov(x.numpy().T)
    weight = model.weight.detach().numpy().T
    output = x.numpy() @ weight
    expected = covariance @ weight / output.var(0, ddof=1)  # A = Cov(x) W Cov(y)^-1, unit by unit
    np.testing.assert_allclose(only(learn_patterns(model, x))["linear"], expected.T, rtol=1e-10)


@pytest.mark.parametrize("estimator", ["linear", "positive", "negative"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_each_estimator_is_its_formula(estimator: str, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = OneLayer(nn.Linear(6, 4)).to(dtype)
    x = random(200, 6, dtype=dtype) + 1
    y = model.layer(x).detach().numpy()
    weight = model.layer.weight.detach().double().numpy()
    expected = [by_formula(x.double().numpy(), y[:, k], weight[k], estimator) for k in range(4)]
    found = only(learn_patterns(model, x))[estimator]
    np.testing.assert_allclose(found, expected, rtol=1e-10 if dtype == torch.float64 else 1e-5, atol=1e-7)


def test_patterns_are_normalized_to_what_the_unit_computes() -> None:
    model = OneLayer(nn.Linear(6, 4)).double()
    for pattern in only(learn_patterns(model, random(100, 6))).values():
        np.testing.assert_allclose((pattern * model.layer.weight.detach().numpy()).sum(1), 1, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-6)], ids=str)
def test_any_split_into_batches_gives_the_same_patterns(dtype: torch.dtype, tolerance: float) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(100, 3)).to(dtype)
    x = random(61, 2, 5, 5, dtype=dtype)
    whole = learn_patterns(model, x)
    for size in (1, 7, 60):
        parts = learn_patterns(model, iter(x.split(size)))
        assert parts.samples == 61
        for name, layer in whole.layers.items():
            for estimator, pattern in layer.by_estimator.items():
                other = parts.layers[name].by_estimator[estimator]
                torch.testing.assert_close(other, pattern, rtol=tolerance, atol=tolerance * float(pattern.abs().max()))


def test_the_order_of_samples_does_not_matter_even_where_a_regime_is_missing_from_batches() -> None:
    model = OneLayer(nn.Linear(3, 5)).double()
    x = random(64, 3)
    order = model.layer(x)[:, 0].argsort()  # the first batches have no sample that opens unit 0
    first, second = only(learn_patterns(model, x)), only(learn_patterns(model, iter(x[order].split(4))))
    for estimator, pattern in first.items():
        np.testing.assert_allclose(second[estimator], pattern, rtol=1e-10)


@pytest.mark.parametrize("offset", [1e5, 1e7])
def test_a_small_variance_around_a_large_mean_is_not_lost(offset: float) -> None:
    torch.manual_seed(0)
    model = nn.Linear(4, 2).double()
    near = random(500, 4)
    first, second = (learn_patterns(model, iter(each.split(50))) for each in (near, near + offset))
    np.testing.assert_allclose(only(second)["linear"], only(first)["linear"], rtol=1e-6)
    assert second.layers["linear"].dead == {"linear": 0}


def test_units_without_variance_or_without_a_regime_have_zero_patterns() -> None:
    model = OneLayer(nn.Linear(3, 4)).double()
    with torch.no_grad():
        model.layer.weight[1] = 0  # never varies
        model.layer.bias[2] = -1e3  # never open
        model.layer.bias[3] = 1e3  # never closed
    (layer,) = learn_patterns(model, random(50, 3)).layers.values()
    zero = {name: (each == 0).all(1).tolist() for name, each in layer.by_estimator.items()}
    assert zero == {
        "linear": [False, True, False, False],
        "positive": [False, True, True, False],
        "negative": [False, True, False, True],
    }
    assert layer.dead == {"linear": 1, "positive": 2, "negative": 2}
    assert all(bool(torch.isfinite(each).all()) for each in layer.by_estimator.values())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_data_that_do_not_vary_have_zero_patterns(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Flatten()).to(dtype)
    x = torch.full((40, 3, 8, 8), 0.3, dtype=dtype)
    (layer,) = learn_patterns(model, iter(x.split(13))).layers.values()
    assert layer.dead == {"linear": 8}
    assert not layer.by_estimator["linear"].any()


def test_one_sample_gives_no_linear_pattern() -> None:
    (layer,) = learn_patterns(nn.Linear(3, 2), random(1, 3)).layers.values()
    assert layer.dead == {"linear": 2}
