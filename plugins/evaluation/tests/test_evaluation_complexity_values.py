"""Gini index and entropy on maps whose values are known."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from judged import Gradient, Inputs, images, linear, shared_cnn
from scipy import stats
from torch import nn

from xai_evaluation import Entropy, Gini
from xaicore.analyzers import GivenRelevance
from xaicore.scoring import Case, Metric, Scores, evaluate


def judged(metric: Metric, relevance: Any) -> Scores:
    maps = torch.as_tensor(relevance, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(maps[0].numel(), 2)).double()
    return metric.score(Case(GivenRelevance(model, relevance=maps), torch.zeros_like(maps), 0))


def test_one_feature_has_it_all() -> None:
    one = [[0.0, 0.0, -3.0, 0.0]]
    assert judged(Gini(), one).values.tolist() == pytest.approx([1 - 1 / 4])
    assert judged(Entropy(), one).values.tolist() == [0.0]


def test_all_features_have_as_much() -> None:
    assert judged(Gini(), [[0.1] * 7]).values.tolist() == pytest.approx([0.0], abs=1e-15)
    assert judged(Entropy(), [[0.1] * 7]).values.tolist() == pytest.approx([math.log(7)])


def test_gini_is_half_the_relative_mean_difference_of_all_pairs() -> None:
    values = np.random.default_rng(0).normal(size=(3, 9))
    sizes = np.abs(values)
    pairs = np.abs(sizes[:, :, None] - sizes[:, None, :]).mean((1, 2)) / (2 * sizes.mean(1))
    np.testing.assert_allclose(judged(Gini(), values).values, pairs)


def test_entropy_is_that_of_scipy() -> None:
    values = np.random.default_rng(1).normal(size=(3, 9))
    np.testing.assert_allclose(judged(Entropy(), values).values, stats.entropy(np.abs(values), axis=1))


@pytest.mark.parametrize("metric", [Gini(), Entropy()])
def test_scale_sign_and_order_do_not_matter(metric: Metric) -> None:
    values = torch.randn(2, 12, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    expected = judged(metric, values).values
    torch.testing.assert_close(judged(metric, -1e9 * values.flip(1)).values, expected)


@pytest.mark.parametrize("metric", [Gini(), Entropy()])
def test_channels_are_one_feature(metric: Metric) -> None:
    maps = torch.randn(2, 1, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    split = torch.cat([maps + 2, -2 + 0 * maps], 1)
    torch.testing.assert_close(judged(metric, split).values, judged(metric, maps).values)


@pytest.mark.parametrize("metric", [Gini(), Entropy()])
def test_what_has_no_distribution_has_no_score(metric: Metric) -> None:
    maps = [[1.0, 2.0, 0.0], [0.0, 0.0, 0.0], [1.0, math.nan, 0.0], [1.0, math.inf, 0.0]]
    scores = judged(metric, maps)
    assert scores.values.isnan().tolist() == [False, True, True, True]
    assert set(scores.notes) == {"undefined where all relevance is 0", "undefined where relevance is not finite"}


def test_on_a_linear_model_the_gradient_is_as_complex_as_its_weights() -> None:
    analyzer = Gradient(linear([[3.0, 1.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    found = evaluate(analyzer, torch.randn(2, 4, dtype=torch.float64), ["gini", "entropy"], target=[0, 1])
    assert found["evaluation.gini"].values.tolist() == pytest.approx([(-3 * 0 - 0 + 1 * 1 + 3 * 3) / (4 * 4), 0])
    expected = [-(0.75 * math.log(0.75) + 0.25 * math.log(0.25)), math.log(4)]
    assert found["evaluation.entropy"].values.tolist() == pytest.approx(expected)


class Sum(nn.Module):
    """A model of two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 2), nn.Linear(2, 2)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return self.first(a) + self.second(b)


@pytest.mark.parametrize("metric", [Gini(), Entropy()])
def test_several_inputs_are_one_distribution(metric: Metric) -> None:
    a, b = torch.rand(2, 3), torch.rand(2, 2)
    found = metric.score(Case(Inputs(Sum()), {"a": a, "b": b}, 0))
    torch.testing.assert_close(found.values, judged(metric, torch.cat([a, b], 1)).values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("name", ["gini", "entropy"])
def test_models_of_every_precision(name: str, dtype: torch.dtype) -> None:
    (scores,) = evaluate(Gradient(shared_cnn(dtype=dtype)), images(dtype=dtype), name).values()
    assert torch.isfinite(scores.values).all()
