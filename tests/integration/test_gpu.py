"""The same explanations on a GPU as on the CPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import xaicore
from xaicore.engine import Block, Engine

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


def test_a_batch_that_does_not_fit_on_the_device_is_run_in_parts() -> None:
    free, _ = torch.cuda.mem_get_info()
    per_row = free // 5  # so that four rows fit, and not six

    def hungry(block: Block) -> int:
        taken = torch.empty(block.rows * per_row, dtype=torch.uint8, device="cuda")
        return taken.numel() // per_row

    engine = Engine(batch_size=None)
    assert sum(rows for _, rows in engine.sweep(2, 6, hungry, device="cuda")) == 12
    assert engine.report.too_large and max(engine.report.batches) <= 4


@pytest.mark.parametrize("method", ["gradients.integrated", "gradients.smooth", "perturbation.occlusion"])
def test_methods_of_many_runs_give_the_same_on_the_device(method: str) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).double()
    x = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    parameters: dict[str, Any] = {"noise": 1e-9} if method == "gradients.smooth" else {}  # draws differ by device
    on_cpu = xaicore.explain(model, x, method=method, target=1, **parameters).relevance
    engine = Engine(memory_limit="1 MB")
    on_device = xaicore.explain(model.cuda(), x, method=method, target=1, engine=engine, **parameters).relevance
    assert torch.allclose(on_cpu, on_device, atol=1e-7)
    assert engine.report.device.startswith("cuda") and engine.report.peak_memory
