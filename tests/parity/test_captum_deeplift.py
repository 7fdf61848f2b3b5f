"""DeepLIFT and DeepSHAP agree with captum's, on networks written the way captum needs them.

captum changes the gradients of ``nn`` modules, each of which may be called once; functional operations, products and
reused modules fall to the plain gradient there, and the head must be without softmax. Where a max pooling stands
next to a nonlinearity, captum's contributions do not sum to the difference (its own convergence delta says so): no
network has that here.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
import zoo
from torch import Tensor, nn

import xaicore
from xaicore.analyzers.baselines import Data

attr = pytest.importorskip("captum.attr")
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting forward, backward hooks:UserWarning"),
    pytest.mark.filterwarnings("ignore:Input Tensor .* did not already require gradients:UserWarning"),
]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu_1 = nn.Conv2d(3, 6, 3, padding=1), nn.ReLU()
        self.second, self.norm, self.relu_2 = nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU()
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu_1(self.first(x))
        return self.head(self.relu_2(x + self.norm(self.second(x))).mean((2, 3)))


def plain() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, padding=1), nn.BatchNorm2d(8),
        nn.Sigmoid(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(8, 12), nn.ELU(), nn.Linear(12, 5),
    )  # fmt: skip


def smooth() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 6, 3, stride=2), nn.Tanh(), nn.Conv2d(6, 8, 3), nn.Softplus(), nn.Flatten(),
        nn.Linear(8 * 9, 12), nn.LeakyReLU(), nn.Linear(12, 5),
    )  # fmt: skip


NETWORKS = {"plain": plain, "residual": Residual, "smooth": smooth}
TARGETS = [0, 3, 1, 4]


def build(network: str) -> tuple[nn.Module, Tensor, Tensor]:
    with zoo.seeded():
        model = NETWORKS[network]()
        zoo.randomise_constants(model)
        zoo.calibrate_batch_norm(model, torch.randn(8, 3, 12, 12))
        images, references = torch.randn(4, 3, 12, 12), torch.randn(5, 3, 12, 12)
    return model.double().eval(), images.double(), references.double()


def ours(model: nn.Module, images: Tensor, layer: str | None = None, **parameters: Any) -> Tensor:
    return (
        xaicore.create_analyzer("gradients.deeplift", model, **parameters)
        .analyze(images, TARGETS, layer=layer)
        .relevance
    )


@pytest.mark.parametrize("network", NETWORKS)
def test_rescale_is_captums_deeplift(network: str) -> None:
    model, images, references = build(network)
    found = ours(model, images, baseline=references[:1])
    expected, missing = attr.DeepLift(model, eps=1e-14).attribute(
        images, references[:1], target=TARGETS, return_convergence_delta=True
    )
    assert float(missing.abs().max()) < 1e-9, "captum itself is not complete"
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("network", NETWORKS)
def test_deep_shap_is_captums_deep_lift_shap(network: str) -> None:
    model, images, references = build(network)
    found = xaicore.create_analyzer("gradients.deep_shap", model, baseline=Data(references)).analyze(images, TARGETS)
    expected = attr.DeepLiftShap(model).attribute(images, references, target=TARGETS)
    torch.testing.assert_close(found.relevance, expected.detach(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("network", "layer"), [("plain", "2"), ("plain", "3"), ("residual", "relu_2"), ("smooth", "2")]
)
def test_inner_layer_is_captums_layer_deep_lift(network: str, layer: str) -> None:
    model, images, references = build(network)
    found = ours(model, images, layer, baseline=references[:1])
    module = model.get_submodule(layer)
    expected = attr.LayerDeepLift(model, module).attribute(images, references[:1], target=TARGETS)
    torch.testing.assert_close(found, expected.detach(), rtol=1e-6, atol=1e-9)
