"""The same explanations on a GPU as on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

import xaicore

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
]


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU())
        self.second = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1), nn.BatchNorm2d(8))
        self.head = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = self.first(x)
        return self.head(torch.relu(h + self.second(h)).mean((2, 3)))


@pytest.mark.parametrize("method", ["gradients.saliency", "lrp.epsilon", "lrp.z_plus", "lrp.alpha_2_beta_1"])
def test_a_gpu_gives_the_explanation_of_the_cpu(method: str) -> None:
    torch.manual_seed(0)
    model, x = Residual().double(), torch.randn(4, 3, 12, 12, dtype=torch.float64)
    on_cpu = xaicore.explain(model, x, method=method, target=[0, 1, 2, 3])
    on_gpu = xaicore.explain(model.cuda(), x.cuda(), method=method, target=[0, 1, 2, 3], batch_size=3)
    assert on_gpu.relevance.device.type == "cuda"
    torch.testing.assert_close(on_gpu.relevance.cpu(), on_cpu.relevance)


def test_relevance_returns_to_the_device_of_the_input() -> None:
    explanation = xaicore.explain(Residual().cuda(), torch.randn(2, 3, 12, 12), method="lrp.epsilon_plus")
    assert explanation.relevance.device.type == "cpu"
