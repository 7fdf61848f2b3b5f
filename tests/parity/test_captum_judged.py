"""Captum's methods are judged as ours are: the same relevance gets the same scores."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore
from xaicore import ExternalMethod, GivenRelevance
from xaicore.errors import InputError

attr = pytest.importorskip("captum.attr")


def build() -> tuple[nn.Module, Tensor]:
    with zoo.seeded():
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3), nn.ReLU(), nn.Flatten(),
            nn.Linear(72, 5),
        )  # fmt: skip
        return model.eval(), torch.randn(4, 3, 12, 12)


def integrated(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    return attr.IntegratedGradients(model).attribute(x, target=index, n_steps=20)


def saliency(model: nn.Module, x: Tensor, index: Tensor) -> Tensor:
    return attr.Saliency(model).attribute(x.requires_grad_(), target=index, abs=False)


def grad_cam(model: Any, x: Tensor, index: Tensor) -> Tensor:
    coarse = attr.LayerGradCam(model, model[3]).attribute(x, target=index)
    return attr.LayerAttribution.interpolate(coarse, x.shape[2:])


OURS = {
    saliency: ("gradients.saliency", {}),
    integrated: ("gradients.integrated", {"steps": 20}),
}
METRICS = ["evaluation.gini", "evaluation.entropy", "evaluation.relevance_mass", "evaluation.localization_auc",
           "evaluation.pixel_flipping", "evaluation.max_sensitivity"]  # fmt: skip


@pytest.mark.parametrize("function", OURS)
@pytest.mark.parametrize("metric", METRICS)
def test_the_same_relevance_gets_the_same_scores(function: Any, metric: str) -> None:
    model, x = build()
    name, params = OURS[function]
    masks = torch.zeros(4, 12, 12)
    masks[:, 3:8, 2:9] = 1
    ours = xaicore.evaluate(xaicore.create_analyzer(name, model, **params), x, metric, masks=masks)[metric]
    theirs = xaicore.evaluate(ExternalMethod(copy.deepcopy(model), function=function), x, metric, masks=masks)[metric]
    torch.testing.assert_close(theirs.values, ours.values, rtol=1e-3, atol=1e-4)
    assert not theirs.undefined


def test_coarse_maps_are_judged_too() -> None:
    model, x = build()
    analyzer = ExternalMethod(model, function=grad_cam, name="captum.grad_cam")
    found = xaicore.evaluate(analyzer, x, ["evaluation.gini", "evaluation.pixel_flipping"])
    assert all(torch.isfinite(scores.values).all() for scores in found.values())
    assert analyzer.analyze(x).relevance.shape == x.shape


def test_stored_heatmaps_are_judged_by_what_does_not_explain_again() -> None:
    model, x = build()
    relevance = attr.InputXGradient(model).attribute(x.clone().requires_grad_(), target=2).detach()
    given = GivenRelevance(model, relevance=relevance)
    ours = xaicore.create_analyzer("gradients.input_x_gradient", model)
    for metric in ("evaluation.gini", "evaluation.pixel_flipping"):
        expected = xaicore.evaluate(ours, x, metric, target=2)[metric]
        found = xaicore.evaluate(given, x, metric, target=2)[metric]
        torch.testing.assert_close(found.values, expected.values, rtol=1e-4, atol=1e-6)
    with pytest.raises(InputError, match="relevance was given for these samples alone"):
        xaicore.evaluate(given, x, "evaluation.max_sensitivity", target=2)
