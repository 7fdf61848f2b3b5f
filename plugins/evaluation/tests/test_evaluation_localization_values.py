"""Metrics of localisation on maps drawn by hand: worked out on paper, by counting all orders, or by scikit-learn."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn

from xai_evaluation import (
    InsideOutsideRatio,
    LocalizationAUC,
    PointingGame,
    RankAccuracy,
    RelevanceMass,
    TopKIntersection,
)
from xaicore.analyzers import GivenRelevance
from xaicore.scoring import Case, Metric, Scores


def judged(metric: Metric, relevance: Any, masks: Any) -> Scores:
    """What a metric says of these maps (B, C, H, W) or (B, F): the model is there, and does not matter."""
    maps = torch.as_tensor(relevance, dtype=torch.float64)
    model = nn.Sequential(nn.Flatten(), nn.Linear(maps[0].numel(), 2)).double()
    return metric.score(Case(GivenRelevance(model, relevance=maps), torch.zeros_like(maps), 0, masks=masks))


def image(*rows: list[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)[None, None]


MAP = image([4.0, 2.0, 0.0], [1.0, -3.0, 1.0], [0.0, 0.0, -1.0])
OBJECT = torch.tensor([[[1, 1, 0], [0, 1, 0], [0, 0, 0]]])


@pytest.mark.parametrize(
    ("of", "share", "ratio"),
    [
        ("positive", 6 / 8, (6 / 3) / (2 / 6)),
        ("absolute", 9 / 12, (9 / 3) / (3 / 6)),
        ("negative", 3 / 4, (3 / 3) / (1 / 6)),
    ],
)
def test_mass_and_ratio_of_what_counts(of: str, share: float, ratio: float) -> None:
    assert judged(RelevanceMass(of=of), MAP, OBJECT).values.tolist() == pytest.approx([share])
    assert judged(InsideOutsideRatio(of=of), MAP, OBJECT).values.tolist() == pytest.approx([ratio])


def test_channels_are_summed_before_anything_counts() -> None:
    two = torch.cat([MAP, -MAP], 1)  # what one channel says the other takes back
    assert judged(RelevanceMass(), two, OBJECT).undefined == 1
    halves = torch.cat([MAP + 5, MAP - 5], 1) / 2
    for metric in (RelevanceMass(), RankAccuracy(), LocalizationAUC(of="signed"), PointingGame(), TopKIntersection()):
        torch.testing.assert_close(judged(metric, halves, OBJECT).values, judged(metric, MAP, OBJECT).values)


def test_rank_accuracy_counts_as_many_pixels_as_the_object_has() -> None:
    # The three largest are 4 and 2, both on the object, and one of the two 1s, both beside it.
    assert judged(RankAccuracy(), MAP, OBJECT).values.tolist() == pytest.approx([2 / 3])
    # By size: 4, 3, 2 are on it.
    assert judged(RankAccuracy(of="absolute"), MAP, OBJECT).values.tolist() == [1.0]


def all_orders(values: list[float], inside: list[bool], k: int) -> float:
    """The mean share of the first k that is inside, over all orders that sort these values."""
    orders = [
        order
        for order in itertools.permutations(range(len(values)))
        if all(values[a] >= values[b] for a, b in itertools.pairwise(order))
    ]
    return float(np.mean([np.mean([inside[i] for i in order[:k]]) for order in orders]))


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_draws_count_with_the_mean_over_all_their_orders(k: int) -> None:
    values = [2.0, 1.0, 1.0, 1.0, 0.0, 0.0]
    inside = [False, True, False, True, True, False]
    found = judged(TopKIntersection(k=k, of="signed"), [values], [inside]).values
    assert found.tolist() == pytest.approx([all_orders(values, inside, k)])


def test_top_k_takes_a_number_of_pixels_or_a_share_of_them() -> None:
    assert judged(TopKIntersection(k=2), MAP, OBJECT).values.tolist() == [1.0]
    assert judged(TopKIntersection(k=2 / 9), MAP, OBJECT).values.tolist() == [1.0]
    assert judged(TopKIntersection(k=1.0), MAP, OBJECT).values.tolist() == pytest.approx([3 / 9])
    assert judged(TopKIntersection(k=0.01), MAP, OBJECT).values.tolist() == [1.0]  # one pixel at least


def test_the_pointing_game_hits_or_misses() -> None:
    maps = torch.cat([MAP, MAP.flip(2)])
    assert judged(PointingGame(), maps, OBJECT.expand(2, 3, 3)).values.tolist() == [1.0, 0.0]
    three = image([1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0])
    assert judged(PointingGame(), three, OBJECT).values.tolist() == pytest.approx([1 / 3])


@pytest.mark.parametrize(("tolerance", "hit"), [(0.0, 0.0), (2.9, 0.0), (3.0, 1.0), (3.7, 1.0)])
def test_the_pointing_game_forgives_a_distance(tolerance: float, hit: float) -> None:
    relevance, mask = torch.zeros(1, 1, 6, 6), torch.zeros(1, 6, 6)
    relevance[0, 0, 4, 2] = 1
    mask[0, 1, 1:3] = 1  # (1, 2) is 3 pixels away
    assert judged(PointingGame(tolerance=tolerance), relevance, mask).values.tolist() == [hit]


def test_tolerance_is_a_euclidean_distance() -> None:
    relevance, mask = torch.zeros(1, 1, 6, 6), torch.zeros(1, 6, 6)
    relevance[0, 0, 4, 5], mask[0, 1, 1] = 1, 1  # 3 down, 4 to the right
    assert judged(PointingGame(tolerance=4.99), relevance, mask).mean == 0
    assert judged(PointingGame(tolerance=5), relevance, mask).mean == 1


def test_auc_is_that_of_scikit_learn_draws_included() -> None:
    random = torch.Generator().manual_seed(3)
    maps = torch.randint(-3, 4, (6, 1, 5, 7), generator=random).double()
    masks = torch.rand(6, 5, 7, generator=random) > 0.6
    for of, change in {"signed": lambda r: r, "positive": lambda r: r.clip(0), "absolute": np.abs}.items():
        found = judged(LocalizationAUC(of=of), maps, masks).values
        expected = [
            roc_auc_score(mask.flatten().numpy(), change(each.flatten().numpy()))
            for each, mask in zip(maps, masks, strict=True)
        ]
        np.testing.assert_allclose(found, expected)


@pytest.mark.parametrize("value", [1.0, 0.0, -2.0])
@pytest.mark.parametrize("metric", [RankAccuracy(), TopKIntersection(k=4), PointingGame()])
def test_a_constant_map_is_right_by_chance(metric: Metric, value: float) -> None:
    assert judged(metric, torch.full((1, 1, 3, 3), value), OBJECT).values.tolist() == pytest.approx([1 / 3])


def test_a_constant_map_scores_like_chance_in_the_others_too() -> None:
    constant = torch.ones(1, 1, 3, 3)
    assert judged(RelevanceMass(), constant, OBJECT).values.tolist() == pytest.approx([1 / 3])
    assert judged(InsideOutsideRatio(), constant, OBJECT).values.tolist() == pytest.approx([1])
    assert judged(LocalizationAUC(), constant, OBJECT).values.tolist() == [0.5]


def test_the_ratio_is_infinite_where_nothing_lies_outside_and_says_so() -> None:
    scores = judged(InsideOutsideRatio(), OBJECT[:, None] * 0.1, OBJECT)
    assert scores.values.tolist() == [math.inf]
    assert any("infinite" in note for note in scores.notes)


METRICS = [RelevanceMass(), InsideOutsideRatio(), RankAccuracy(), TopKIntersection(), PointingGame(), LocalizationAUC()]


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_without_an_object_there_is_no_score(metric: Metric) -> None:
    scores = judged(metric, torch.cat([MAP, MAP]), torch.cat([OBJECT * 0, OBJECT]))
    assert scores.values.isnan().tolist() == [True, False]
    assert any("empty" in note for note in scores.notes)


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_where_the_object_is_everything_a_share_is_one_and_a_comparison_impossible(metric: Metric) -> None:
    scores = judged(metric, torch.cat([MAP, MAP]), torch.cat([OBJECT * 0 + 1, OBJECT]))
    compares = isinstance(metric, InsideOutsideRatio | LocalizationAUC)
    assert scores.values[0].isnan() if compares else scores.values[0] == 1
    assert any("full" in note for note in scores.notes)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_relevance_that_is_not_finite_gets_no_score(metric: Metric, bad: float) -> None:
    broken = MAP.clone()
    broken[0, 0, 2, 0] = bad
    scores = judged(metric, torch.cat([MAP, broken]), OBJECT.expand(2, 3, 3))
    assert scores.values.isnan().tolist() == [False, True]
    assert any("not finite" in note for note in scores.notes)


@pytest.mark.parametrize("metric", [RelevanceMass(), InsideOutsideRatio()], ids=repr)
def test_where_nothing_counts_there_is_no_share(metric: Metric) -> None:
    scores = judged(metric, -MAP.abs(), OBJECT)
    assert scores.undefined == 1
    assert any("no relevance counts" in note for note in scores.notes)


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_a_score_does_not_depend_on_the_batch(metric: Metric) -> None:
    random = torch.Generator().manual_seed(5)
    maps, masks = torch.randn(7, 2, 4, 5, generator=random), torch.rand(7, 4, 5, generator=random) > 0.5
    together = judged(metric, maps, masks).values
    alone = [judged(metric, maps[i : i + 1], masks[i : i + 1]).values for i in range(7)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-12, atol=0)
