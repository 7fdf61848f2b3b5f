"""Half precision: as the type of a model, and by autocast around the call."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import xaicore

METHODS: dict[str, dict[str, Any]] = {
    "lrp.zero": {},
    "lrp.epsilon": {},
    "lrp.gamma": {},
    "lrp.z_plus": {},
    "lrp.alpha_2_beta_1": {},
    "lrp.flat": {},
    "lrp.w_square": {},
    "lrp.z_box": {"low": -1.0, "high": 1.0},
    "lrp.epsilon_plus": {},
    "gradients.saliency": {},
    "gradients.input_x_gradient": {},
}
HALVES = [torch.bfloat16, torch.float16]


class Net(nn.Module):
    """Batch norm, a residual sum, both kinds of pooling, a gate."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.norm = nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8)
        self.two, self.last = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.one(x)).relu()
        h = nn.functional.max_pool2d(h + self.two(h).relu(), 3, 2)
        return self.last(nn.functional.avg_pool2d(h, 2).mean((2, 3)))


class Large(nn.Module):
    """Outputs near one, from positive and negative contributions whose sums are too large for float16."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[nn.Linear(64, 64) for _ in range(3)])
        self.head = nn.Linear(64, 4)
        with torch.no_grad():
            for layer in self.layers:
                layer.weight.copy_(3000.0 * torch.tensor([1.0, -1.0]).repeat(64, 32))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            # Inputs come in equal pairs, whose contributions cancel; the bias is left.
            x = layer(x.repeat_interleave(2, dim=1)).relu()[:, :32] + 1
        return self.head(x.repeat_interleave(2, dim=1))


def fresh(kind: type[nn.Module] = Net) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return kind().eval()


@functools.cache
def net(kind: type[nn.Module] = Net, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same for all methods: it is captured once."""
    return fresh(kind).to(dtype)


def images() -> Tensor:
    return torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(1))


def agrees(found: Tensor, expected: Tensor) -> None:
    assert found.isfinite().all()
    similar = torch.cosine_similarity(found.float().flatten(1), expected.flatten(1))
    assert similar.min() > 0.98, similar


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("method", METHODS)
def test_a_model_in_half_precision_agrees_with_single_precision(method: str, dtype: torch.dtype) -> None:
    model, x = net(), images()
    expected = xaicore.explain(model, x, method=method, target=1, **METHODS[method]).relevance
    found = xaicore.explain(net(Net, dtype), x.to(dtype), method=method, target=1, **METHODS[method]).relevance
    assert found.dtype == dtype
    agrees(found, expected)


@pytest.mark.parametrize("dtype", HALVES)
def test_a_model_that_was_explained_and_made_half_is_captured_anew(dtype: torch.dtype) -> None:
    model, x = fresh(), images()
    expected = xaicore.explain(model, x, method="lrp.gamma", target=1).relevance
    found = xaicore.explain(model.to(dtype), x.to(dtype), method="lrp.gamma", target=1).relevance
    assert found.dtype == dtype
    agrees(found, expected)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("method", METHODS)
def test_under_autocast_the_forward_is_the_callers_and_relevance_agrees(method: str, dtype: torch.dtype) -> None:
    model, x = net(), images()
    analyzer = xaicore.create_analyzer(method, model, **METHODS[method])
    for _ in range(2):  # what is derived from the weights for one type must not serve the other
        with torch.autocast("cpu", dtype=dtype):
            own, found = model(x), analyzer.analyze(x, 1)
        expected = analyzer.analyze(x, 1)
        assert found.prediction.dtype == dtype and expected.prediction.dtype == x.dtype
        torch.testing.assert_close(found.prediction, own, rtol=0.02, atol=0.02)
        assert found.relevance.dtype == x.dtype
        agrees(found.relevance, expected.relevance)


@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("method", [name for name in METHODS if name.startswith("lrp.")])
def test_large_contributions_that_cancel_stay_finite_in_float16(method: str, autocast: bool) -> None:
    model, x = net(Large), torch.rand(4, 32, generator=torch.Generator().manual_seed(1)) + 1
    x = x.half().float()
    expected = xaicore.explain(model, x, method=method, target=1, **METHODS[method]).relevance
    with torch.autocast("cpu", dtype=torch.float16, enabled=autocast):
        if not autocast:
            model, x = net(Large, torch.float16), x.half()
        explanation = xaicore.explain(model, x, method=method, target=1, **METHODS[method])
    assert explanation.prediction.isfinite().all()
    assert explanation.relevance.isfinite().all()
    if method in ("lrp.z_plus", "lrp.alpha_2_beta_1"):  # others share by the cancelled sums, which differ
        agrees(explanation.relevance, expected)


def test_an_explanation_under_autocast_can_be_differentiated() -> None:
    model, x = net(), images().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explanation = xaicore.explain(model, x, method="lrp.epsilon", epsilon=0.1, target=1, create_graph=True)
    (gradient,) = torch.autograd.grad(explanation.relevance.square().sum(), x)
    assert gradient.isfinite().all() and gradient.abs().max() > 0


def test_a_ledger_can_be_kept_under_autocast() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        explanation = xaicore.explain(net(), images(), method="lrp.z_plus", target=1, ledger=True)
    for row in explanation.diagnostics.ledger:
        assert abs(row["unaccounted"]) < 0.05 * max(1.0, abs(row["relevance_in"]))
