"""The layers that every rule is checked on: name -> (module, shape of one sample)."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import nn

Shape = tuple[int, ...]


def _norm(layer: nn.Module) -> nn.Module:
    """A batch norm with statistics and an affine part that are not the neutral ones."""
    with torch.no_grad():
        layer.running_mean.normal_()
        layer.running_var.uniform_(0.5, 2)
        layer.weight.normal_()
        layer.bias.normal_()
    return layer


_MAKERS: dict[str, Callable[[], tuple[nn.Module, Shape]]] = {
    "linear": lambda: (nn.Linear(7, 5), (7,)),
    "linear without bias": lambda: (nn.Linear(6, 4, bias=False), (6,)),
    "linear on a sequence": lambda: (nn.Linear(4, 3), (5, 4)),
    "conv1d": lambda: (nn.Conv1d(2, 3, 3, padding=1), (2, 7)),
    "conv1d dilated": lambda: (nn.Conv1d(2, 3, 3, dilation=2, padding=3), (2, 8)),
    "conv1d reflect": lambda: (nn.Conv1d(2, 3, 3, padding=2, padding_mode="reflect"), (2, 6)),
    "conv2d": lambda: (nn.Conv2d(2, 3, 3), (2, 5, 6)),
    "conv2d strided, odd padding": lambda: (nn.Conv2d(3, 4, (3, 2), stride=(2, 3), padding=(2, 1)), (3, 6, 7)),
    "conv2d grouped": lambda: (nn.Conv2d(4, 6, 3, padding=1, stride=2, groups=2), (4, 5, 5)),
    "conv2d depthwise dilated": lambda: (nn.Conv2d(3, 3, 3, dilation=2, padding=2, groups=3), (3, 5, 5)),
    "conv2d same": lambda: (nn.Conv2d(2, 2, 3, dilation=2, padding="same"), (2, 5, 5)),
    "conv2d replicate": lambda: (nn.Conv2d(2, 2, 3, padding=(1, 2), padding_mode="replicate"), (2, 4, 4)),
    "conv2d circular": lambda: (nn.Conv2d(2, 2, 3, padding=1, padding_mode="circular"), (2, 4, 5)),
    "conv3d": lambda: (nn.Conv3d(2, 2, 2, stride=(1, 2, 1), padding=(0, 1, 0)), (2, 3, 4, 3)),
    "transposed conv1d": lambda: (nn.ConvTranspose1d(2, 3, 3, stride=2, padding=1, output_padding=1), (2, 5)),
    "transposed conv2d grouped": lambda: (nn.ConvTranspose2d(4, 4, 2, stride=2, groups=2), (4, 3, 2)),
    "transposed conv2d with gaps": lambda: (nn.ConvTranspose2d(2, 2, 2, stride=3), (2, 2, 3)),
    "transposed conv3d dilated": lambda: (nn.ConvTranspose3d(1, 2, 2, dilation=2, padding=1), (1, 2, 2, 3)),
    "batch norm of features": lambda: (_norm(nn.BatchNorm1d(6)), (6,)),
    "batch norm of maps": lambda: (_norm(nn.BatchNorm2d(3)), (3, 3, 4)),
}
NAMES = list(_MAKERS)


@functools.cache
def make(name: str) -> tuple[nn.Module, Shape]:
    """The layer with random parameters, the same for all tests, in float64 and eval mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(len(name))
        layer, shape = _MAKERS[name]()
    return layer.double().eval(), shape


def sample(shape: Shape, nonnegative: bool, seed: int = 0) -> torch.Tensor:
    """One sample of either sign, or without negative values and then with a corner of zeros, as a ReLU leaves it."""
    x = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    if nonnegative:
        x = x.abs()
        x[(slice(None), *[slice(0, 2)] * (len(shape) - 1))] = 0
    return x
