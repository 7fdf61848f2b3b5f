"""Small networks with the structures that have tripped up other tools."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Plain(nn.Module):
    """Convolutions, overlapping max pooling, average pooling, a linear head."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(2, 4, 3, padding=1, bias=bias)
        self.second = nn.Conv2d(4, 4, 3, padding=1, bias=bias)
        self.head = nn.Linear(4 * 4, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.first(x).relu(), 3, stride=2, padding=1)
        return self.head(F.avg_pool2d(self.second(x).relu(), 2).flatten(1))


class Residual(nn.Module):
    """A sum of a signal and a function of it, written in three ways."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=bias)
        self.inner = nn.Conv2d(4, 4, 3, padding=1, bias=bias)
        self.short = nn.Conv2d(4, 4, 1, bias=bias)
        self.head = nn.Linear(4, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.inner(x))
        y = self.inner(x)
        y += self.short(x)
        return self.head(torch.sub(F.relu(y), x, alpha=0.5).mean((2, 3)))


class Branches(nn.Module):
    """Branches that are split, transformed, interpolated and put together again."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 3, 3, padding=1, bias=bias)
        self.right = nn.Conv2d(2, 3, 3, stride=2, padding=1, bias=bias)
        self.head = nn.Linear(6 * 16, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        right = F.interpolate(self.right(x).relu(), scale_factor=2, mode="bilinear")
        both = torch.cat([self.left(x).relu(), F.pad(right, (0, 0, 0, 0))], dim=1)
        top, bottom = both.chunk(2, dim=2)
        both = torch.stack([top, bottom * 0.5], dim=1).sum(1)
        return self.head(both[..., ::2].permute(0, 2, 3, 1).reshape(len(x), -1)[:, :96].repeat(1, 2)[:, :96])


class Reused(nn.Module):
    """One module called twice, an input used twice, a plain Python sum."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.shared = nn.Linear(6, 6, bias=bias)
        self.head = nn.Linear(6, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = x.flatten(1)[:, :6]
        first = torch.relu(self.shared(x))
        second = torch.relu(self.shared(first))
        return self.head(first + second + first)


class Normalized(nn.Module):
    """Batch norm after a convolution, before one, and where it can be folded into neither."""

    def __init__(self, bias: bool) -> None:
        super().__init__()
        self.before = nn.BatchNorm2d(2, affine=bias)
        self.conv = nn.Conv2d(2, 4, 3, bias=bias)
        self.after = nn.BatchNorm2d(4, affine=bias)
        self.alone = nn.BatchNorm2d(6, affine=bias)
        self.head = nn.Linear(6, 3, bias=bias)
        for norm in (self.before, self.after, self.alone):
            norm.running_var.uniform_(0.5, 2)
            if bias:
                norm.running_mean.normal_()
                nn.init.normal_(norm.weight)
                nn.init.normal_(norm.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.after(self.conv(self.before(x))).relu()
        both = torch.cat([y, F.adaptive_max_pool2d(x, y.shape[2:])], dim=1)
        return self.head(F.adaptive_avg_pool2d(self.alone(both).relu(), 1).flatten(1))


class Constants(nn.Module):
    """Constants that enter by a sum, a product, a padding and a concatenation: they keep their share, like a bias."""

    def __init__(self, bias: bool = True) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 1, 4))
        self.position = nn.Parameter(torch.randn(9, 4))
        self.embed = nn.Linear(4, 4, bias=bias)
        self.head = nn.Linear(4, 3, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x.flatten(2).reshape(len(x), -1, 4)[:, :8])
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.position
        x = F.pad(x * 2 - 0.25, (0, 0, 1, 1), value=0.5)
        return self.head(1 - x.mean(1))


NETWORKS: dict[str, Callable[[bool], nn.Module]] = {
    "plain": Plain,
    "residual": Residual,
    "branches": Branches,
    "reused": Reused,
    "normalized": Normalized,
}


def fresh(name: str, bias: bool, dtype: torch.dtype = torch.float64) -> nn.Module:
    """A new network with random parameters, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        model = Constants() if name == "constants" else NETWORKS[name](bias)
    return model.to(dtype).eval()


@functools.cache
def build(name: str, bias: bool, dtype: torch.dtype = torch.float64) -> nn.Module:
    """The same as `fresh`, kept from test to test: so that its graph is captured once. Do not change its parameters."""
    return fresh(name, bias, dtype)


def images(count: int = 3, dtype: torch.dtype = torch.float64) -> Tensor:
    """Random images of 2 channels and 8 x 8 pixels, of either sign."""
    return torch.randn(count, 2, 8, 8, generator=torch.Generator().manual_seed(5), dtype=torch.float64).to(dtype)
