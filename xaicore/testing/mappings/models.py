"""For every kind of layer a small model that has such layers: what mappings are tried on where they bring no model."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xaicore.graph import Kind
from xaicore.testing.examples import seeded, shake

Part = Callable[[Tensor, Tensor], Any]


class Several(nn.Module):
    """Several functions or modules of the same two inputs, side by side, so that they are captured together."""

    def __init__(self, *parts: Part) -> None:
        super().__init__()
        self.parts = parts
        self.modules_of_parts = nn.ModuleList(part for part in parts if isinstance(part, nn.Module))

    def forward(self, x: Tensor, y: Tensor) -> list[Tensor]:
        found: list[Tensor] = []
        for part in self.parts:
            result = part(x, y)
            found += [result] if isinstance(result, Tensor) else list(result)
        return found


class _OfFirst(nn.Module):
    """A module that is given the first input only."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor, y: Tensor) -> Any:
        found = self.module(x)
        return (
            (found[0], *(found[1] if isinstance(found[1], tuple) else found[1:])) if isinstance(found, tuple) else found
        )


def _one(function: Callable[[Tensor], Any]) -> Part:
    """A function of the first input."""
    return _OfFirst(function) if isinstance(function, nn.Module) else lambda x, y: function(x)


class _Cell(nn.Module):
    """One step of a recurrent cell."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, y: Tensor) -> Any:
        return self.cell(x[:, 0])


_IMAGE, _ROWS, _VECTOR = (4, 4, 4), (3, 4), (5,)

_MADE: dict[Kind, tuple[tuple[int, ...], Callable[[], Sequence[Part]]]] = {
    Kind.CONVOLUTION: (
        _IMAGE,
        lambda: [_one(nn.Conv2d(4, 3, 3, stride=2, padding=1)), _one(nn.ConvTranspose2d(4, 2, 2, stride=2))],
    ),
    Kind.LINEAR: (_ROWS, lambda: [_one(nn.Linear(4, 3)), _one(nn.Linear(4, 3, bias=False))]),
    Kind.BATCH_NORM: (_IMAGE, lambda: [_one(nn.BatchNorm2d(4)), _one(nn.Sequential(nn.Tanh(), nn.BatchNorm2d(4)))]),
    Kind.NORM: (
        (4, 6),
        lambda: [
            _one(nn.LayerNorm(6)),
            _one(nn.GroupNorm(2, 4)),
            _one(nn.InstanceNorm1d(4, affine=True)),
            _one(nn.RMSNorm(6)),
            _one(nn.LocalResponseNorm(3)),
        ],
    ),
    Kind.ACTIVATION: (
        _VECTOR,
        lambda: [_one(nn.ReLU()), _one(nn.Tanh()), _one(nn.GELU()), _one(nn.LeakyReLU(0.1)), _one(torch.square)],
    ),
    Kind.SOFTMAX: (
        _ROWS,
        lambda: [_one(lambda x: torch.softmax(x, -1) * 1.0 + x), _one(lambda x: torch.log_softmax(x, -1) + x)],
    ),
    Kind.MAX_POOL: (
        _IMAGE,
        lambda: [_one(nn.MaxPool2d(2)), _one(nn.MaxPool2d(3, stride=1, padding=1)), _one(lambda x: x.amax((2, 3)))],
    ),
    Kind.AVERAGE_POOL: (_IMAGE, lambda: [_one(nn.AvgPool2d(2)), _one(nn.AdaptiveAvgPool2d(1))]),
    Kind.LP_POOL: (_IMAGE, lambda: [_one(nn.LPPool2d(2, 2))]),
    Kind.ADD: (
        _ROWS,
        lambda: [lambda x, y: x + y, lambda x, y: x - y[:, :1], _Shift(4), _one(nn.BatchNorm1d(3))],
    ),
    Kind.SCALE: (
        _ROWS,
        lambda: [_one(lambda x: x * 0.5), _one(lambda x: -x), _one(_Factor(4)), _one(nn.BatchNorm1d(3))],
    ),
    Kind.PRODUCT: (
        _ROWS,
        lambda: [lambda x, y: x * y, lambda x, y: x * torch.sigmoid(y), lambda x, y: x / (1 + y * y)],
    ),
    Kind.MATMUL: (
        _ROWS,
        lambda: [lambda x, y: x @ y.transpose(1, 2), lambda x, y: torch.softmax(x @ y.transpose(1, 2), -1) @ x],
    ),
    Kind.ATTENTION: ((2, 3, 4), lambda: [lambda x, y: F.scaled_dot_product_attention(x, y, x + y)]),
    Kind.CONCAT: (_ROWS, lambda: [lambda x, y: torch.cat([x, y], 1), lambda x, y: torch.stack([x, y, x], 1)]),
    Kind.RESHAPE: (
        _ROWS,
        lambda: [
            _one(lambda x: x.flatten(1)),
            _one(lambda x: x.transpose(1, 2)),
            _one(lambda x: x.unsqueeze(1).expand(-1, 2, -1, -1)),
        ],
    ),
    Kind.SELECT: (
        _ROWS,
        lambda: [
            _one(lambda x: x[:, 1:]),
            _one(lambda x: x.chunk(2, -1)),
            _one(lambda x: x.max(1).values),
            lambda x, y: torch.where(y > 0, x, 0.5),
        ],
    ),
    Kind.PAD: (_ROWS, lambda: [_one(lambda x: F.pad(x, (1, 2))), _one(lambda x: F.pad(x, (1, 1), mode="replicate"))]),
    Kind.REDUCTION: (
        _ROWS,
        lambda: [
            _one(lambda x: x.mean(1)),
            _one(lambda x: x.sum((1, 2))),
            _one(lambda x: x.var(-1)),
            _one(lambda x: torch.var_mean(x, -1)),
            _one(lambda x: torch.std_mean(x, -1)),
            _one(lambda x: torch.logsumexp(x, -1)),
        ],
    ),
    Kind.INTERPOLATE: (
        _IMAGE,
        lambda: [
            _one(lambda x: F.interpolate(x, scale_factor=2.0)),
            _one(lambda x: F.interpolate(x, size=(6, 6), mode="bilinear")),
        ],
    ),
    Kind.RECURRENT: (
        _ROWS,
        lambda: [
            _one(nn.LSTM(4, 3, batch_first=True, bidirectional=True)),
            _one(nn.GRU(4, 3, batch_first=True)),
            _one(nn.RNN(4, 3, batch_first=True)),
            _Cell(nn.LSTMCell(4, 3)),
        ],
    ),
    Kind.CAST: (_ROWS, lambda: [_one(lambda x: x.to(torch.float32).to(x.dtype) + x)]),
    Kind.OTHER: (_ROWS, lambda: [_one(lambda x: torch.cumprod(x, -1)), _one(lambda x: torch.logcumsumexp(x, -1))]),
}

NEVER_PASSED = {
    Kind.INPUT: "walks end there",
    Kind.PARAMETER: "parameters are no way to an input",
    Kind.CONSTANT: "constants are no way to an input",
    Kind.EMBEDDING: "integers have no relevance: walks end at what was looked up",
}
"""Kinds at which no mapping is ever asked, and why."""


class _Shift(nn.Module):
    """A sum with a parameter."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.shift


class _Factor(nn.Module):
    """A product with a parameter."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.randn(size))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor


@functools.cache
def model_of(kind: Kind) -> tuple[nn.Module, tuple[Tensor, Tensor]]:
    """A model that has layers of this kind, in float64 and evaluation mode, and a batch of its inputs."""
    shape, make = _MADE[kind]
    with seeded(2):
        model = Several(*make()).double().eval()
        shake(model)
        inputs = torch.randn(3, *shape, dtype=torch.float64), torch.randn(3, *shape, dtype=torch.float64)
    return model, inputs
