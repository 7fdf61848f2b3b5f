"""Occlusion, feature groups and permutation agree with captum, whatever the window, the groups and the fill."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

from xai_perturbation import Occlusion, Permutation
from xai_perturbation.permutation import order_of, partners

attr = pytest.importorskip("captum.attr")


class Residual(nn.Module):
    """A branch that is added, and a module that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.first(x))
        x = torch.relu(x + self.second(torch.relu(self.second(x))))
        return self.head(x.mean((2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.images, self.table = nn.Linear(3 * 6 * 6, 4), nn.Linear(7, 4)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return torch.tanh(self.images(image.flatten(1))) * self.table(table)


TARGETS = pytest.mark.parametrize("target", [3, [0, 4, 2, 2]], ids=["one class", "a class a sample"])


def residual() -> tuple[nn.Module, Tensor]:
    with zoo.seeded():
        return Residual().double().eval(), torch.randn(4, 3, 11, 10).double()


def two_inputs() -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    with zoo.seeded():
        return TwoInputs().double().eval(), (torch.randn(4, 3, 6, 6).double(), torch.randn(4, 7).double())


def agree(actual: Tensor, expected: Tensor) -> None:
    """captum's occlusion adds up in float32, whatever the model computes in."""
    assert float(expected.abs().max()) > 1e-3
    rtol, atol = (1e-8, 1e-11) if expected.dtype == torch.float64 else (1e-5, 1e-6)
    torch.testing.assert_close(actual, expected.double(), rtol=rtol, atol=atol)


@TARGETS
@pytest.mark.parametrize(
    ("window", "stride"),
    [((3, 3, 3), (3, 2, 2)), ((1, 4, 3), (1, 3, 3)), ((2, 3, 10), (1, 1, 10)), ((3, 8, 7), (3, 5, 4))],
)
def test_occlusion(window: Any, stride: Any, target: Any) -> None:
    model, x = residual()
    theirs = attr.Occlusion(model).attribute(x, window, strides=stride, baselines=0.3, target=target)
    agree(Occlusion(model, window=window, stride=stride, fill=0.3).analyze(x, target=target).relevance, theirs)


def test_occlusion_of_series() -> None:
    with zoo.seeded():
        model = nn.Sequential(nn.Conv1d(2, 4, 5), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 16, 3)).double().eval()
        x = torch.randn(3, 2, 20).double()
    theirs = attr.Occlusion(model).attribute(x, (2, 6), strides=(2, 4), target=1)
    agree(Occlusion(model, window=6, stride=4).analyze(x, target=1).relevance, theirs)


def test_occlusion_of_several_inputs() -> None:
    model, inputs = two_inputs()
    theirs = attr.Occlusion(model).attribute(inputs, ((3, 2, 3), (2,)), strides=((3, 2, 2), (1,)), target=2)
    ours = Occlusion(model, window={"image": (2, 3), "table": 2}, stride={"image": 2, "table": 1})
    found = ours.analyze(inputs, target=2).relevance
    agree(found["image"], theirs[0])
    agree(found["table"], theirs[1])


@TARGETS
def test_groups_of_entries(target: Any) -> None:
    model, x = residual()
    labels = torch.randint(0, 6, (1, 1, 11, 10), generator=torch.Generator().manual_seed(0))
    baseline = torch.randn(4, 3, 11, 10, generator=torch.Generator().manual_seed(1)).double()
    theirs = attr.FeatureAblation(model).attribute(x, baselines=baseline, target=target, feature_mask=labels)
    agree(Occlusion(model, features=labels, fill=baseline).analyze(x, target=target).relevance, theirs)


def test_groups_of_several_inputs() -> None:
    model, inputs = two_inputs()
    image = torch.arange(36).view(1, 1, 6, 6) // 5
    table = torch.tensor([[0, 0, 1, 1, 1, 2, 3]])
    theirs = attr.FeatureAblation(model).attribute(
        inputs, target=1, feature_mask=(image, table + int(image.max()) + 1), perturbations_per_eval=4
    )
    found = Occlusion(model, features={"image": image, "table": table}).analyze(inputs, target=1).relevance
    agree(found["image"], theirs[0])
    agree(found["table"], theirs[1])


@pytest.mark.parametrize("repeats", [1, 2])
def test_permutation(repeats: int) -> None:
    model, x = residual()
    labels = torch.arange(110).view(1, 1, 11, 10) // 9
    found = Permutation(model, features=labels, repeats=repeats, seed=4).analyze(x, target=3).relevance
    expected = torch.zeros_like(x)
    for repeat in range(repeats):

        def exchanged(x: Tensor, mask: Tensor, repeat: int = repeat) -> Tensor:
            # captum asks for one group after the other; its mask tells which.
            group = int(labels.expand_as(mask)[mask].unique())
            return torch.where(mask, x[partners(order_of(4, 4, group), repeat)], x)

        expected += attr.FeaturePermutation(model, exchanged).attribute(x, target=3, feature_mask=labels) / repeats
    agree(found, expected)
