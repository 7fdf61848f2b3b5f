"""Baselines made from the sample itself: its mean, the ends of its range, its blur, noise in its range."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from xaicore.analyzers.baselines.base import Baseline
from xaicore.analyzers.baselines.values import Constant, positive
from xaicore.engine import generator
from xaicore.errors import InputError, ParameterError


class Mean(Baseline):
    """The mean of each channel of the sample itself: a picture without any contrast."""

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        if x.ndim < 3:
            raise InputError(
                f"input {name!r} of shape {tuple(x.shape)} has no positions to average a channel over; for the columns "
                "of a table give their means over the data, data.mean(0), or xaicore.baselines.Data(data, samples=10)"
            )
        numbers = x if x.is_floating_point() else x.double()
        return numbers.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x)

    def __repr__(self) -> str:
        return "Mean()"


class RangeEnd(Baseline):
    """The lowest or highest value: an end of the range of inputs, such as black or white.

    Parameters
    ----------
    high : bool
        The upper end.
    value : float or sequence of float, optional
        The end of the range; default: that of the values of each sample, channel by channel.
    """

    def __init__(self, *, high: bool, value: float | Sequence[float] | None = None) -> None:
        self.high, self.value = high, value

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        if self.value is not None:
            return Constant(self.value).of(name, x, number)
        if x.ndim == 1:
            raise InputError(f"input {name!r} has one number a sample, which has no range: give the ends of the range")
        over = tuple(range(2, x.ndim)) if x.ndim > 2 else (1,)
        return (x.amax if self.high else x.amin)(over, keepdim=True).expand_as(x)

    def __repr__(self) -> str:
        return f"RangeEnd(high={self.high}, value={self.value!r})"


class Blurred(Baseline):
    """The sample blurred by a Gaussian, along all dimensions behind the channels.

    Parameters
    ----------
    sigma : float
        Standard deviation of the Gaussian, in positions.
    """

    def __init__(self, sigma: float = 5.0) -> None:
        if not sigma > 0:
            raise ParameterError(f"sigma={sigma!r} must be positive: it is the width of the blur, in positions")
        self.sigma = sigma

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        if x.ndim < 3 or not x.is_floating_point():
            raise InputError(f"input {name!r} of shape {tuple(x.shape)} and type {x.dtype} cannot be blurred")
        return blurred(x, self.sigma)

    def __repr__(self) -> str:
        return f"Blurred(sigma={self.sigma!r})"


class UniformNoise(Baseline):
    """Noise, uniform over the range of inputs; the mean over several draws.

    Parameters
    ----------
    low, high : float, optional
        The range; default: that of each sample, channel by channel.
    samples : int
        How many draws.
    seed : int
    """

    def __init__(self, low: float | None = None, high: float | None = None, *, samples: int = 8, seed: int = 0) -> None:
        self.low, self.high, self.seed = low, high, seed
        self.count = positive("samples", samples)

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        if not x.is_floating_point():
            raise InputError(
                f"input {name!r} is of type {x.dtype}: noise takes the place of floating-point numbers only"
            )
        low = RangeEnd(high=False, value=self.low).of(name, x, 0)
        high = RangeEnd(high=True, value=self.high).of(name, x, 0)
        key = sum(ord(letter) * 257**place for place, letter in enumerate(name)) % 2**32
        random = generator(self.seed, number, key, device=x.device)
        return low + (high - low) * torch.rand(x.shape[1:], generator=random, device=x.device, dtype=x.dtype)

    def __repr__(self) -> str:
        return f"UniformNoise({self.low!r}, {self.high!r}, samples={self.count}, seed={self.seed})"


def blurred(x: Tensor, sigma: float) -> Tensor:
    """``x`` (B, C, ...) blurred by a Gaussian of width ``sigma`` along the dimensions behind the channels.

    The border is continued by its own values, so that a constant stays one.
    """
    reach = max(1, round(3 * sigma))
    offsets = torch.arange(-reach, reach + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-0.5 * (offsets / sigma) ** 2)
    weights = (weights / weights.sum()).view(1, 1, -1)
    for dim in range(2, x.ndim):
        moved = x.movedim(dim, -1)
        lines = moved.reshape(-1, 1, moved.shape[-1])
        lines = F.conv1d(F.pad(lines, (reach, reach), mode="replicate"), weights)
        x = lines.view(moved.shape).movedim(-1, dim)
    return x
