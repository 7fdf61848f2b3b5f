"""Faithfulness agrees with Quantus where both mean the same.

They do not everywhere. Quantus leaves the first point out of its curves, and its areas are over steps, not shares. Its
sensitivity-n replaces features in the order of relevance, more and more of them, and compares the loss so far with the
relevance of the last step alone. Its infidelity replaces one patch of a grid after the other and keeps those before,
where the definition draws perturbations at random. Its sufficiency is another metric of that name.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

from xai_evaluation import FaithfulnessCorrelation, PixelFlipping, RegionPerturbation
from xaicore.analyzers import GivenRelevance
from xaicore.scoring import Case

zoo.import_torchvision()  # before Quantus, which imports it too
quantus = pytest.importorskip("quantus")
pytestmark = pytest.mark.filterwarnings("ignore")

SETTINGS = {"abs": False, "normalise": False, "disable_warnings": True, "display_progressbar": False}
CLASSES = np.array([0, 4, 2, 2])


@pytest.fixture(scope="module")
def model() -> nn.Module:
    with zoo.seeded():
        return nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(100, 5)).eval()


@pytest.fixture(scope="module")
def data() -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(0)
    return torch.randn(4, 1, 12, 12, generator=random), torch.randn(4, 1, 12, 12, generator=random)


def theirs(metric: Any, model: nn.Module, data: tuple[Tensor, Tensor], softmax: bool = False) -> np.ndarray:
    x, relevance = (each.numpy() for each in data)
    return np.asarray(
        metric(model=model, x_batch=x, y_batch=CLASSES, a_batch=relevance, softmax=softmax, device="cpu", batch_size=3)
    )


def case(model: nn.Module, data: tuple[Tensor, Tensor]) -> Case:
    return Case(GivenRelevance(model, relevance=data[1]), data[0], CLASSES.tolist())


@pytest.mark.parametrize("softmax", [False, True])
def test_pixel_flipping_has_the_same_curves(model: nn.Module, data: tuple[Tensor, Tensor], softmax: bool) -> None:
    curves = theirs(quantus.PixelFlipping(features_in_step=4, perturb_baseline=0.5, **SETTINGS), model, data, softmax)
    metric = PixelFlipping(patch=1, steps=36, fill=0.5, quantity="probability" if softmax else "output")
    found = metric.score(case(model, data)).curve
    assert found is not None
    np.testing.assert_allclose(found.y[:, 1:], curves, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("order", "theirs_is"), [("most", "morf"), ("least", "lerf")])
def test_region_perturbation_has_the_same_losses(
    model: nn.Module, data: tuple[Tensor, Tensor], order: str, theirs_is: str
) -> None:
    quantus_metric = quantus.RegionPerturbation(
        patch_size=3, regions_evaluation=7, order=theirs_is, perturb_baseline=0.5, **SETTINGS
    )
    losses = theirs(quantus_metric, model, data)
    found = RegionPerturbation(patch=3, regions=7, order=order, fill=0.5).score(case(model, data))
    assert found.curve is not None
    np.testing.assert_allclose(found.curve.y[:, 1:], losses, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.values, losses.sum(1) / 8, rtol=1e-4, atol=1e-5)


def test_faithfulness_correlation_is_the_same_up_to_the_draw_of_subsets(
    model: nn.Module, data: tuple[Tensor, Tensor]
) -> None:
    np.random.seed(0)
    relevance = data[0] * torch.autograd.functional.jacobian(
        lambda x: model(x)[range(4), CLASSES].sum(), data[0]
    )  # faithful to some degree, so that there is a correlation to agree on
    subset = 36
    metric = quantus.FaithfulnessCorrelation(
        subset_size=subset, nr_runs=400, perturb_baseline=0.0, return_aggregate=False, **SETTINGS
    )
    expected = theirs(metric, model, (data[0], relevance))
    ours = FaithfulnessCorrelation(size=subset / 144, subsets=400, patch=1)
    found = ours.score(case(model, (data[0], relevance))).values.numpy()
    # The standard error of a correlation of 0.8 over 400 subsets is 0.02.
    np.testing.assert_allclose(found, expected, atol=0.1)
    assert found.min() > 0.5
