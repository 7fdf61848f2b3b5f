"""Occlusion that computes only what a window reaches gives the numbers of whole forwards."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_perturbation import Occlusion
from xai_perturbation.occlusion.local_forward import LocalForward
from xai_perturbation.occlusion.reach import Reach, reached
from xaicore import trace
from xaicore.errors import ParameterError

X = torch.randn(3, 3, 40, 33, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Plain(nn.Sequential):
    """Strides, dilation, groups, paddings of all sorts, overlapping pools."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 6, 3, padding=1),
            nn.BatchNorm2d(6),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, padding=1),
            nn.Conv2d(6, 6, (3, 5), stride=(1, 2), padding=(0, 3), groups=3),
            nn.SiLU(),
            nn.AvgPool2d(2, stride=1, padding=1),
            nn.Conv2d(6, 8, 3, dilation=2, bias=False),
            nn.Hardtanh(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(8, 4),
        )


class Branches(nn.Module):
    """A residual block with a stride, a concatenation, a module used twice, products with gates of each position."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 5, stride=2, padding=2)
        self.first, self.second = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, stride=2, padding=1)
        self.short = nn.Conv2d(4, 4, 1, stride=2)
        self.wide = nn.Conv2d(8, 4, 3, padding=1)
        self.scale = nn.Parameter(torch.rand(4, 1, 1))
        self.head = nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x)) * self.scale
        x = self.first(torch.relu(self.first(x))) + x
        x = torch.relu(self.second(x) + self.short(x))
        x = self.wide(torch.cat([x, torch.tanh(x)], 1)) * torch.sigmoid(x)
        return self.head(x.amax((2, 3)))


class Attending(nn.Module):
    """Global average pooling early on: nothing behind it is local."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.gate, self.last = nn.Conv2d(3, 4, 3), nn.Linear(4, 4), nn.Conv2d(4, 4, 3)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.conv(x))
        x = x * torch.sigmoid(self.gate(x.mean((2, 3))))[:, :, None, None]
        return self.head(torch.relu(self.last(x)).mean((2, 3)))


MODELS = [Plain, Branches, Attending]


@functools.cache
def made(kind: Any) -> nn.Module:
    """The same for all tests, which leave it as it is: it is captured once."""
    torch.manual_seed(0)
    model: nn.Module = kind().double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean)
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize(
    ("window", "stride", "fill"),
    [(5, 5, 0.0), (1, 1, 1.0), ((4, 7), (3, 5), "mean"), ((3, 6, 6), (3, 4, 6), "blur"), (16, 9, 0.0), (33, 20, 0.0)],
)
def test_the_numbers_are_those_of_whole_forwards(kind: Any, window: Any, stride: Any, fill: Any) -> None:
    model = made(kind)
    x = X[:, :, :11, :17] if window == 1 else X  # as many windows as pixels
    settings: dict[str, Any] = {"window": window, "stride": stride, "fill": fill}
    whole = Occlusion(model, **settings).analyze(x, [0, 1, 2]).relevance
    for batch_size in ("auto", 7):
        local = Occlusion(model, **settings, local=True).analyze(x, [0, 1, 2], batch_size=batch_size).relevance
        assert torch.allclose(local, whole, rtol=1e-9, atol=1e-12)


def test_early_layers_are_run_on_small_crops() -> None:
    model = made(Branches)
    graph = trace(model, X)
    starts = [(y, x) for y in range(0, 36, 4) for x in range(0, 29, 4)]
    forward = LocalForward(graph, Reach(starts, (4, 4), (40, 33)))
    names = {step.layer.op_name for step in forward.steps}
    assert {"conv2d", "relu", "add", "cat", "mul"} <= names
    assert all(step.reach.share <= 0.6 for step in forward.steps)


@pytest.mark.parametrize("kernel", [1, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("padding", [0, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_every_output_that_depends_on_a_window_is_reached(
    kernel: int, stride: int, padding: int, dilation: int
) -> None:
    length, size = 17, 3
    x = torch.zeros(1, 1, length, length, requires_grad=True)
    y = nn.functional.conv2d(x, torch.ones(1, 1, kernel, kernel), None, stride, padding, dilation)
    starts = [(at, length - size - at) for at in range(length - size + 1)]
    out, takes = reached(
        Reach(starts, (size, size), (length, length)),
        (kernel, kernel),
        (stride, stride),
        (padding, padding),
        (dilation, dilation),
        (y.shape[2], y.shape[3]),
    )
    for (top, left), (y0, x0), (t0, l0) in zip(starts, out.starts, takes.starts, strict=True):
        covered = torch.zeros(length, length)
        covered[top : top + size, left : left + size] = 1
        touched = nn.functional.conv2d(
            covered[None, None], torch.ones(1, 1, kernel, kernel), None, stride, padding, dilation
        )[0, 0]
        inside = torch.zeros_like(touched)
        inside[y0 : y0 + out.size[0], x0 : x0 + out.size[1]] = 1
        assert not bool((touched.bool() & ~inside.bool()).any())
        (needed,) = torch.autograd.grad(y, x, inside[None, None], retain_graph=True)
        rows = needed[0, 0].sum(1).nonzero()[:, 0]
        columns = needed[0, 0].sum(0).nonzero()[:, 0]
        if len(rows):
            assert t0 <= int(rows.min()) and int(rows.max()) < t0 + takes.size[0]
            assert l0 <= int(columns.min()) and int(columns.max()) < l0 + takes.size[1]


@pytest.mark.parametrize(
    ("model", "inputs", "settings"),
    [
        (lambda x: x.flatten(1), X, {}),
        (nn.Linear(4, 3), torch.ones(2, 4), {}),
        (made(Plain), X, {"features": 8}),
        (nn.Sequential(made(Plain), nn.Softmax(1)), X, {"window": 8}),
    ],
)
def test_where_nothing_is_local_it_says_so(model: Any, inputs: Tensor, settings: dict[str, Any]) -> None:
    if isinstance(model, nn.Linear):
        inputs = inputs.float()
    with pytest.raises(ParameterError, match="local=True"):
        Occlusion(model, local=True, **settings).analyze(inputs, 0)
