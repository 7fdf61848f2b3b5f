"""On linear models every metric of faithfulness has a value in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from judged import Gradient, InputTimesGradient, Times, linear
from torch import Tensor, nn

from xai_evaluation import (
    Deletion,
    FaithfulnessCorrelation,
    Infidelity,
    Insertion,
    PixelFlipping,
    RegionPerturbation,
    Selectivity,
    SensitivityN,
    Sufficiency,
)
from xaicore.analyzers import Analyzer, GivenRelevance
from xaicore.analyzers.baselines import Data
from xaicore.engine import Engine
from xaicore.scoring import Case, Metric, Scores

RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(size=(3, 12))
BIAS = RANDOM.normal(size=3)
X = torch.from_numpy(RANDOM.normal(size=(5, 12)))
FILL = 0.3
NETWORK = nn.Sequential(linear(WEIGHT, BIAS), nn.Tanh(), linear(RANDOM.normal(size=(2, 3))))
CONTRIBUTION = torch.from_numpy(WEIGHT[1]) * (X - FILL)


def scored(metric: Metric, relevance: Any = None, batch_size: Any = "auto", x: Tensor = X) -> Scores:
    """What a metric says of relevance; default: of the contributions of class 1."""
    model = linear(WEIGHT, BIAS)
    given = CONTRIBUTION[: len(x)] if relevance is None else torch.as_tensor(relevance)
    return metric.score(Case(GivenRelevance(model, relevance=given), x, 1, engine=Engine(batch_size)))


def output(x: Tensor) -> Tensor:
    return x @ torch.from_numpy(WEIGHT[1]) + BIAS[1]


@pytest.mark.parametrize("order", ["most", "least"])
@pytest.mark.parametrize("batch_size", [1, 7, "auto", None])
def test_each_step_of_pixel_flipping_loses_the_relevance_of_its_patch(order: str, batch_size: Any) -> None:
    found = scored(PixelFlipping(fill=FILL, order=order), batch_size=batch_size)
    ordered = CONTRIBUTION.sort(1, descending=order == "most").values
    curve = output(X)[:, None] - torch.cat([torch.zeros(5, 1), ordered.cumsum(1)], 1)
    assert found.curve is not None
    torch.testing.assert_close(found.curve.y, curve)
    torch.testing.assert_close(found.curve.x, torch.arange(13, dtype=torch.float64) / 12)
    torch.testing.assert_close(found.values, (curve[:, 1:] + curve[:, :-1]).mean(1) / 2)
    assert found.higher_is_better is (order == "least")
    assert not found.notes


def test_no_order_is_better_than_that_of_the_contributions() -> None:
    best = scored(PixelFlipping(fill=FILL)).values
    worst = scored(PixelFlipping(fill=FILL), -CONTRIBUTION).values
    between = scored(PixelFlipping(fill=FILL), torch.randn(5, 12)).values
    assert bool((best < between).all()) and bool((between < worst).all())
    torch.testing.assert_close(worst, scored(PixelFlipping(fill=FILL, order="least")).values)


def test_both_orders_give_the_area_between_their_curves() -> None:
    both = scored(PixelFlipping(fill=FILL, order="both"))
    most, least = (scored(PixelFlipping(fill=FILL, order=order)) for order in ("most", "least"))
    torch.testing.assert_close(both.values, least.values - most.values)
    assert most.curve is not None
    torch.testing.assert_close(both.details["most relevant first"], most.curve.y)
    assert both.higher_is_better


def test_patches_of_columns_lose_the_sum_of_their_relevance_and_the_last_is_smaller() -> None:
    found = scored(PixelFlipping(fill=FILL, patch=5))
    sums = torch.stack([CONTRIBUTION[:, :5].sum(1), CONTRIBUTION[:, 5:10].sum(1), CONTRIBUTION[:, 10:].sum(1)], 1)
    curve = output(X)[:, None] - torch.cat([torch.zeros(5, 1), sums.sort(1, descending=True).values.cumsum(1)], 1)
    assert found.curve is not None
    torch.testing.assert_close(found.curve.y, curve)


def test_fewer_steps_are_points_of_the_same_curve() -> None:
    whole, coarse = scored(PixelFlipping(fill=FILL)), scored(PixelFlipping(fill=FILL, steps=5, until=0.8))
    assert whole.curve is not None and coarse.curve is not None
    assert (coarse.curve.x * 12).tolist() == pytest.approx([0, 2, 4, 6, 8, 10])
    torch.testing.assert_close(coarse.curve.y, whole.curve.y[:, [0, 2, 4, 6, 8, 10]])


def test_a_normalized_curve_starts_at_one() -> None:
    plain, relative = scored(PixelFlipping(fill=FILL)), scored(PixelFlipping(fill=FILL, normalize=True))
    torch.testing.assert_close(relative.values, plain.values / output(X).abs())


def test_aopc_is_the_mean_loss_over_all_steps() -> None:
    found = scored(RegionPerturbation(fill=FILL, regions=4))
    lost = CONTRIBUTION.sort(1, descending=True).values.cumsum(1)[:, :4]
    torch.testing.assert_close(found.values, lost.sum(1) / 5)
    assert found.higher_is_better and not RegionPerturbation(order="least").higher_is_better


def test_draws_of_a_fill_are_averaged_over() -> None:
    fills = torch.from_numpy(RANDOM.normal(size=(3, 12)))
    found = scored(PixelFlipping(fill=Data(fills), draws=2))
    each = [scored(PixelFlipping(fill=fill[None])).values for fill in fills]
    torch.testing.assert_close(found.values, (each[0] + each[1]) / 2)


def test_new_heatmaps_change_nothing_where_the_contribution_of_a_feature_stays_its_own() -> None:
    case = Case(InputTimesGradient(linear(WEIGHT, BIAS)), X, 1)
    once, again = PixelFlipping(patch=2).score(case), PixelFlipping(patch=2, recompute=True).score(case)
    # Until features with positive contributions are gone: then zeros are the most relevant, and gone already.
    torch.testing.assert_close(again.values, once.values)
    torch.testing.assert_close(Selectivity(patch=2).score(case).values, once.values)


def test_new_heatmaps_change_the_order_where_relevance_moves() -> None:
    class Redundant(nn.Module):
        """The largest of two features, plus a third."""

        def forward(self, x: Tensor) -> Tensor:
            return (x[:, :2].amax(1) + 0.8 * x[:, 2])[:, None]

    x = torch.tensor([[1.0, 0.9, 1.0]], dtype=torch.float64)
    analyzer = InputTimesGradient(Redundant())
    once, again = (PixelFlipping(recompute=each).score(Case(analyzer, x, 0)) for each in (False, True))
    # At first 1, 0, 0.8: the second feature has nothing until the first is gone, and is then the most relevant.
    assert once.curve is not None and again.curve is not None
    torch.testing.assert_close(once.curve.y, torch.tensor([[1.8, 1.7, 0.9, 0.0]], dtype=torch.float64))
    torch.testing.assert_close(again.curve.y, torch.tensor([[1.8, 1.7, 0.8, 0.0]], dtype=torch.float64))


@pytest.mark.parametrize("batch_size", [1, 3, 20, "auto"])
def test_new_heatmaps_do_not_depend_on_the_batch(batch_size: Any) -> None:
    model = NETWORK
    whole = Selectivity().score(Case(InputTimesGradient(model), X, 1))
    parts = [Selectivity().score(Case(InputTimesGradient(model), x[None], 1)).values for x in X]
    torch.testing.assert_close(torch.cat(parts), whole.values)
    again = Selectivity().score(Case(InputTimesGradient(model), X, 1, engine=Engine(batch_size)))
    torch.testing.assert_close(again.values, whole.values)


def test_deletion_and_insertion_of_all_contributions_are_areas_under_the_output() -> None:
    deletion = scored(Deletion(fill=FILL, quantity="output"))
    flipping = scored(PixelFlipping(fill=FILL))
    torch.testing.assert_close(deletion.values, flipping.values)
    insertion = scored(Insertion(fill=FILL, quantity="output"))
    ordered = CONTRIBUTION.sort(1, descending=True).values.cumsum(1)
    empty = output(torch.full_like(X, FILL))
    curve = torch.cat([empty[:, None], empty[:, None] + ordered], 1)
    assert insertion.curve is not None
    torch.testing.assert_close(insertion.curve.y, curve)
    # Inserted in this order, or deleted in the opposite one: the same samples, from the other end.
    opposite = scored(PixelFlipping(fill=FILL, order="least")).values
    torch.testing.assert_close(insertion.values, opposite)


def test_deletion_looks_at_the_probability() -> None:
    model = linear(WEIGHT, BIAS)
    found = Deletion(fill=FILL).score(Case(GivenRelevance(model, relevance=CONTRIBUTION), X, 1))
    rows = []
    order = CONTRIBUTION.argsort(1, descending=True)
    for count in range(13):
        rows.append(X.scatter(1, order[:, :count], FILL))
    curve = torch.stack([model(x).softmax(1)[:, 1].detach() for x in rows], 1)
    torch.testing.assert_close(found.values, torch.trapezoid(curve, dx=1 / 12))
    assert found.bounds == (0.0, 1.0) and Deletion(quantity="output").bounds == (None, None)


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
@pytest.mark.parametrize("n", [1, 4, [2, 11], None])
def test_contributions_have_sensitivity_n_for_every_n(n: Any, batch_size: Any) -> None:
    found = scored(SensitivityN(n=n, fill=FILL, subsets=20), batch_size=batch_size)
    torch.testing.assert_close(found.values, torch.ones(5, dtype=torch.float64))


def test_sensitivity_n_is_the_correlation_of_both_sums() -> None:
    relevance = torch.from_numpy(RANDOM.normal(size=(5, 12)))
    found = scored(SensitivityN(n=1, fill=FILL, subsets=20), relevance).values
    expected = [np.corrcoef(relevance[i], CONTRIBUTION[i])[0, 1] for i in range(5)]
    np.testing.assert_allclose(found, expected)
    opposite = scored(SensitivityN(n=3, fill=FILL), -CONTRIBUTION).values
    torch.testing.assert_close(opposite, -torch.ones(5, dtype=torch.float64))


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
def test_contributions_have_faithfulness_correlation_one(batch_size: Any) -> None:
    found = scored(FaithfulnessCorrelation(size=0.3, fill=FILL), 7 * CONTRIBUTION, batch_size=batch_size)
    torch.testing.assert_close(found.values, torch.ones(5, dtype=torch.float64))
    for size in (0.01, 0.99):
        torch.testing.assert_close(scored(FaithfulnessCorrelation(size=size, fill=FILL)).values, found.values)


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
@pytest.mark.parametrize("size", [None, 1, 5, 12])
def test_contributions_have_no_infidelity(size: Any, batch_size: Any) -> None:
    found = scored(Infidelity(size=size, fill=FILL, samples=20), batch_size=batch_size)
    torch.testing.assert_close(found.values, torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-25)


@pytest.mark.parametrize("perturbation", ["square", "gaussian"])
def test_the_slope_of_a_linear_model_has_no_infidelity(perturbation: str) -> None:
    metric = Infidelity(perturbation=perturbation, relevance="slope", fill=FILL, samples=20)
    found = metric.score(Case(Gradient(linear(WEIGHT, BIAS)), X, 1))
    torch.testing.assert_close(found.values, torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-25)


@pytest.mark.parametrize("perturbation", ["square", "gaussian"])
def test_a_slope_is_not_judged_by_perturbations_that_change_nothing(perturbation: str) -> None:
    wrong = GivenRelevance(linear([[1.0, 2.0]]), relevance=torch.full((2, 2), 9.0, dtype=torch.float64))
    x = torch.tensor([[0.0, 0.0], [1.0, -2.0]], dtype=torch.float64)  # the first has no range, and is its own fill
    found = Infidelity(perturbation=perturbation, relevance="slope", samples=5).score(Case(wrong, x, 0))
    assert found.values.isnan().tolist() == [True, False]
    assert found.notes == ["undefined where no perturbation changes the sample"]


def test_infidelity_of_no_relevance_is_the_mean_squared_loss() -> None:
    # Boxes of all columns: there is one of them only.
    case = Case(Times(linear(WEIGHT, BIAS), factor=0.0), X, 1)
    found = Infidelity(size=12, fill=FILL, samples=3).score(case)
    torch.testing.assert_close(found.values, CONTRIBUTION.sum(1).square())
    torch.testing.assert_close(Infidelity(size=12, fill=FILL, samples=3, scale=True).score(case).values, found.values)


def test_scaled_infidelity_knows_no_unit() -> None:
    metric = Infidelity(size=2, fill=FILL, samples=20, scale=True)
    torch.testing.assert_close(
        scored(metric, -3 * CONTRIBUTION).values, torch.zeros(5, dtype=torch.float64), rtol=0, atol=1e-25
    )
    other = torch.from_numpy(RANDOM.normal(size=(5, 12)))
    torch.testing.assert_close(scored(metric, other).values, scored(metric, 10 * other).values)
    assert bool((scored(metric, other).values <= scored(Infidelity(size=2, fill=FILL, samples=20), other).values).all())


@pytest.mark.parametrize("batch_size", [1, 7, "auto"])
def test_sufficiency_is_what_all_others_contribute(batch_size: Any) -> None:
    metric = Sufficiency(shares=[0.25, 0.5], fill=FILL, quantity="output")
    found = scored(metric, batch_size=batch_size)
    ordered = CONTRIBUTION.sort(1, descending=True).values
    torch.testing.assert_close(found.values, (ordered[:, 3:].sum(1) + ordered[:, 6:].sum(1)) / 2)
    torch.testing.assert_close(
        scored(Sufficiency(shares=1.0, fill=FILL)).values, torch.zeros(5, dtype=torch.float64), rtol=0, atol=0
    )


METRICS: list[Metric] = [
    PixelFlipping(fill=FILL, order="both"),
    PixelFlipping(fill="uniform", draws=2),
    RegionPerturbation(fill="low"),
    Deletion(),
    Insertion(fill="uniform"),
    SensitivityN(subsets=12),
    FaithfulnessCorrelation(subsets=12),
    Infidelity(samples=12, size=3),
    Sufficiency(),
]


@pytest.mark.parametrize("metric", METRICS, ids=repr)
def test_scores_depend_neither_on_the_batch_nor_on_blocks(metric: Metric) -> None:
    def of(analyzer: Analyzer, x: Tensor, **options: Any) -> Tensor:
        return metric.score(Case(analyzer, x, 1, **options)).values

    whole = of(InputTimesGradient(NETWORK), X)
    assert bool(whole.isfinite().all())
    for batch_size in (1, 7, None):
        torch.testing.assert_close(of(InputTimesGradient(NETWORK), X, engine=Engine(batch_size)), whole)
    torch.testing.assert_close(torch.cat([of(InputTimesGradient(NETWORK), x[None]) for x in X]), whole)
    assert torch.equal(of(InputTimesGradient(NETWORK), X), whole)
