"""Metrics of localisation agree with Quantus where its value is right; the last tests say where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

from xai_evaluation import LocalizationAUC, PointingGame, RankAccuracy, RelevanceMass, TopKIntersection
from xaicore import GivenRelevance
from xaicore.scoring import Case, Metric

zoo.import_torchvision()  # Quantus imports it
quantus = pytest.importorskip("quantus")
pytestmark = pytest.mark.filterwarnings("ignore")


def maps(kind: str = "normal") -> Tensor:
    random = torch.Generator().manual_seed(7)
    found = torch.randn(6, 1, 9, 8, generator=random, dtype=torch.float64)
    return found.round() if kind == "ties" else found


def masks() -> Tensor:
    return torch.rand(6, 9, 8, generator=torch.Generator().manual_seed(8)) > 0.7


def ours(metric: Metric, relevance: Tensor, inside: Tensor) -> np.ndarray[Any, Any]:
    given = GivenRelevance(nn.Flatten(), relevance=relevance)
    return metric.score(Case(given, torch.zeros_like(relevance), 0, masks=inside)).values.numpy()


def theirs(metric: Any, relevance: Tensor, inside: Tensor) -> np.ndarray[Any, Any]:
    x = np.zeros(relevance.shape)
    found = metric(
        model=nn.Flatten(), x_batch=x, y_batch=np.zeros(len(x), dtype=int), a_batch=relevance.numpy().copy(),
        s_batch=inside[:, None].numpy(), device="cpu",
    )  # fmt: skip
    return np.asarray(found, dtype=float)


def settings(**more: Any) -> dict[str, Any]:
    return {"normalise": False, "disable_warnings": True, "display_progressbar": False} | more


@pytest.mark.parametrize(("of", "absolute"), [("positive", False), ("absolute", True)])
def test_relevance_mass(of: str, absolute: bool) -> None:
    relevance = maps() if absolute else maps().clamp_min(0)
    expected = theirs(quantus.RelevanceMassAccuracy(**settings(abs=absolute)), relevance, masks())
    np.testing.assert_allclose(ours(RelevanceMass(of=of), maps(), masks()), expected)
    # Its attribution localisation is the same share, but for 1e-9 in the denominator.
    also = quantus.AttributionLocalisation(**settings(abs=absolute, positive_attributions=not absolute))
    np.testing.assert_allclose(theirs(also, maps(), masks()), expected, rtol=1e-6)


@pytest.mark.parametrize(("of", "absolute"), [("signed", False), ("absolute", True)])
@pytest.mark.parametrize(
    ("metric", "other", "options"),
    [
        (RankAccuracy, "RelevanceRankAccuracy", {}),
        (TopKIntersection, "TopKIntersection", {"k": 11}),
        (PointingGame, "PointingGame", {}),
        (LocalizationAUC, "AUC", {}),
    ],
)
def test_ranks_without_ties(metric: Any, other: str, options: dict[str, Any], of: str, absolute: bool) -> None:
    expected = theirs(getattr(quantus, other)(**settings(abs=absolute, **options)), maps(), masks())
    np.testing.assert_allclose(ours(metric(of=of, **options), maps(), masks()), expected)


def test_auc_with_ties() -> None:
    expected = theirs(quantus.AUC(**settings(abs=False)), maps("ties"), masks())
    np.testing.assert_allclose(ours(LocalizationAUC(of="signed"), maps("ties"), masks()), expected)


def test_a_constant_map_depends_on_where_the_object_is_there_and_is_chance_here() -> None:
    # Quantus sorts without regard to ties: the first pixels are taken for the most relevant.
    # (It refuses a map that is constant everywhere: one pixel beside the objects is made less relevant.)
    constant = torch.full((2, 1, 9, 8), 0.5, dtype=torch.float64)
    constant[:, :, 4, 4] = 0.1
    inside = torch.zeros(2, 9, 8, dtype=torch.bool)
    inside[0, :3], inside[1, -3:] = True, True
    found = theirs(quantus.RelevanceRankAccuracy(**settings(abs=False)), constant, inside)
    assert abs(found[0] - found[1]) > 0.5
    np.testing.assert_allclose(ours(RankAccuracy(), constant, inside), [24 / 71, 24 / 71])
    # Of its pointing game a constant map always wins.
    assert theirs(quantus.PointingGame(**settings(abs=False)), constant, inside).tolist() == [1, 1]
    np.testing.assert_allclose(ours(PointingGame(), constant, inside), [24 / 71, 24 / 71])


def test_signed_relevance_gives_shares_beyond_one_there() -> None:
    # Quantus sums signed relevance by default: what speaks against the class outside makes the share exceed 1.
    relevance, inside = maps(), masks()
    relevance[:, 0][~inside] -= 0.2
    found = theirs(quantus.RelevanceMassAccuracy(**settings(abs=False)), relevance, inside)
    assert ((found > 1) | (found < 0)).any()
    mass = ours(RelevanceMass(), relevance, inside)
    assert ((mass >= 0) & (mass <= 1)).all()
