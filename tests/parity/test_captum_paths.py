"""Integrated and expected gradients agree with captum."""

from __future__ import annotations

import copy
import functools
from typing import Any

import numpy as np
import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import create_analyzer

attr = pytest.importorskip("captum.attr")

RULES = {"gauss_legendre": "gausslegendre", "midpoint": "riemann_middle", "trapezoid": "riemann_trapezoid"}


@functools.cache
def build() -> tuple[nn.Module, Tensor]:
    """The same for all tests, which give copies to captum: it is captured once."""
    with zoo.seeded():
        model = nn.Sequential(
            nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8),
            nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 5),
        )  # fmt: skip
        zoo.randomise_constants(model)
        zoo.calibrate_batch_norm(model, torch.randn(8, 3, 12, 12))
        images = torch.randn(4, 3, 12, 12)
    return model.double().eval(), images.double()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("target", [3, [0, 4, 2, 2]], ids=["one class", "a class a sample"])
@pytest.mark.parametrize("baseline", [0.0, 0.3, "images"])
def test_integrated_gradients(rule: str, target: Any, baseline: Any) -> None:
    model, images = build()
    start = images.roll(1, 0) if baseline == "images" else baseline
    explanation = xaicore.explain(
        model, images, method="gradients.integrated", target=target, baseline=start, rule=rule, steps=12
    )
    theirs = attr.IntegratedGradients(copy.deepcopy(model))
    expected = theirs.attribute(images.clone(), baselines=start, target=target, n_steps=12, method=RULES[rule])
    if rule == "trapezoid":
        # captum's weights for n nodes sum to (n - 1) / n, so that it misses a part of the difference.
        expected = expected * 12 / 11
    # captum computes its nodes in float32.
    torch.testing.assert_close(explanation.relevance, expected, rtol=0, atol=1e-6 * float(expected.abs().max()))
    assert float(expected.abs().max()) > 1e-6


def test_integrated_gradients_at_an_inner_layer() -> None:
    model, images = build()
    ours = create_analyzer("gradients.integrated", model, steps=20).analyze(images, 2, layer="3").relevance
    copied = copy.deepcopy(model)
    expected = attr.LayerIntegratedGradients(copied, copied[3]).attribute(images.clone(), target=2, n_steps=20)
    torch.testing.assert_close(ours, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def test_gradient_shap_agrees_within_the_error_of_its_draws() -> None:
    model, images = build()
    with zoo.seeded(5):
        data = torch.randn(6, 3, 12, 12).double()
    ours = xaicore.explain(
        model, images, method="gradients.expected", target=1, baseline=data, samples=4000, noise=0.1
    ).relevance
    with zoo.seeded(7):
        np.random.seed(7)
        shap = attr.GradientShap(copy.deepcopy(model))
        rounds = [
            shap.attribute(images.clone(), baselines=data, target=1, n_samples=400, stdevs=0.1).detach()
            for _ in range(10)
        ]
    theirs = torch.stack(rounds).mean(0)
    error = torch.stack(rounds).std(0) / 10**0.5
    # Both are means of 4000 draws: their difference has a standard error of sqrt(2) times that of one.
    seen = error > 0  # the strided convolution does not look at the last row and column
    standardised = ((ours - theirs)[seen] / (2**0.5 * error[seen])).abs()
    assert float(standardised.median()) < 1.5
    assert float((ours - theirs).norm() / theirs.norm()) < 0.15
