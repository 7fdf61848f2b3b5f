"""Averages over noise agree with captum's NoiseTunnel, in the limit of many copies.

NoiseTunnel draws noise of its own, so the two are compared by what both estimate: with n copies each is off by the
deviation of a gradient over the noise, divided by the root of n. Its deviations are absolute, one for the whole batch.
"""

from __future__ import annotations

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore

attr = pytest.importorskip("captum.attr")

COPIES = 3000
NOISE = 0.3
KINDS = {"smoothgrad": "mean", "smoothgrad_sq": "square", "vargrad": "variance"}


@pytest.fixture(scope="module")
def case() -> tuple[nn.Module, Tensor]:
    with zoo.seeded():
        model = nn.Sequential(
            nn.Conv2d(2, 4, 3, padding=1), nn.Tanh(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 8), nn.Tanh(),
            nn.Linear(8, 3),
        )  # fmt: skip
        images = torch.randn(2, 2, 4, 4, dtype=torch.float64)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2  # further from linear, so that noise matters
    return model.double().eval(), images


def by_captum(case: tuple[nn.Module, Tensor], kind: str) -> Tensor:
    model, images = case
    with zoo.seeded():
        tunnel = attr.NoiseTunnel(attr.Saliency(model))
        found: Tensor = tunnel.attribute(
            images, nt_type=kind, nt_samples=COPIES, stdevs=NOISE, target=1, abs=False
        ).detach()
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_the_moments_of_the_gradient_agree_with_captum(case: tuple[nn.Module, Tensor], kind: str) -> None:
    model, images = case
    average = xaicore.NoiseAverage(
        xaicore.create_analyzer("gradients.saliency", model),
        noise=NOISE, relative=False, samples=COPIES, reduce=KINDS[kind],
    )  # fmt: skip
    found = average.analyze(images, 1).relevance
    theirs = by_captum(case, kind)
    assert isinstance(found, Tensor)
    assert float((found - theirs).norm() / theirs.norm()) < (0.08 if kind == "vargrad" else 0.02)
    # An average of two is much further away: it is the many that agree.
    alone = xaicore.NoiseAverage(average.analyzer, noise=NOISE, relative=False, samples=2, reduce=KINDS[kind], seed=1)
    far = alone.analyze(images, 1).relevance
    assert isinstance(far, Tensor)
    assert float((far - theirs).norm() / theirs.norm()) > 0.1


def test_the_method_agrees_with_captum_for_each_sample_at_its_own_scale(case: tuple[nn.Module, Tensor]) -> None:
    """captum has one deviation a call: each sample is given to it alone, with its share of the sample's range."""
    model, images = case
    found = xaicore.explain(model, images, method="gradients.smooth", noise=0.15, samples=COPIES, target=1).relevance
    assert isinstance(found, Tensor)
    for image, mine in zip(images.split(1), found.split(1), strict=True):
        span = float(image.max() - image.min())
        with zoo.seeded():
            tunnel = attr.NoiseTunnel(attr.Saliency(model))
            theirs = tunnel.attribute(image, nt_samples=COPIES, stdevs=0.15 * span, target=1, abs=False).detach()
        assert float((mine - theirs).norm() / theirs.norm()) < 0.02
