"""Baselines: what stands for "nothing is there", as the start of a path, a reference, or the fill of a mask.

`resolve_baseline` turns what a user writes as ``baseline=`` or ``fill=`` into a `Baseline`, which knows how many
variants it has and makes them one at a time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from xaicore.engine import generator
from xaicore.errors import InputError, ParameterError, nearest

Varied = Mapping[str, Tensor]
_WORDS = ("zero", "mean", "low", "high", "blur", "uniform")


class Baseline(ABC):
    """Something to compare each sample with.

    Attributes
    ----------
    count : int
        How many variants there are, over which a method takes the mean; 1 for a single baseline.
    """

    count: int = 1

    @abstractmethod
    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        """Variant ``number`` for the input ``x`` (B, ...) called ``name``: (B, ...), or (1, ...) for all samples."""

    def is_discrete(self, name: str) -> bool:
        """Whether what it gives for this input is integers: indices, not numbers."""
        return False

    def at(self, varied: Varied, number: int = 0) -> dict[str, Tensor]:
        """Variant ``number`` for all inputs, each (B, ...) or (1, ...), of their type and on their device.

        The same for a sample whatever batch it comes in.
        """
        return {name: self.of(name, x, number).to(x.device, x.dtype) for name, x in varied.items()}


class Constant(Baseline):
    """The same value everywhere, or one a channel.

    Parameters
    ----------
    value : float or sequence of float
        One number, or one for each channel (dimension 1).
    """

    def __init__(self, value: float | Sequence[float] = 0.0) -> None:
        self.value = value

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        values = torch.as_tensor(self.value, device=x.device)
        if values.ndim and (x.ndim < 2 or values.shape != x.shape[1:2]):
            raise InputError(
                f"a baseline of {len(values)} values, one a channel, does not fit input {name!r} of shape "
                f"{tuple(x.shape)}"
            )
        values = values.reshape(1, -1, *[1] * (x.ndim - 2)) if values.ndim else values
        return values.to(x.dtype).expand(1, *x.shape[1:])

    def __repr__(self) -> str:
        return f"Constant({self.value!r})"


class Given(Baseline):
    """Values that the user gives: for one sample, or for each sample of the batch.

    Parameters
    ----------
    values : Tensor, array, or mapping of input names to these
        Shaped like the input without its batch, or (1, ...), or (B, ...).
    """

    def __init__(self, values: Any) -> None:
        self.values = values

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        chosen = _of_input(self.values, name)
        values = torch.as_tensor(chosen if isinstance(chosen, Tensor) else np.asarray(chosen))
        values = values.unsqueeze(0) if values.shape == x.shape[1:] else values
        if values.shape[1:] != x.shape[1:] or len(values) not in (1, len(x)):
            raise InputError(
                f"the baseline for input {name!r} has shape {tuple(values.shape)}; it must be {tuple(x.shape[1:])}, or "
                f"that for each of {len(x)} samples"
            )
        return values

    def is_discrete(self, name: str) -> bool:
        return _is_discrete(_of_input(self.values, name))

    def __repr__(self) -> str:
        return f"Given({_shown(self.values)})"


class Mean(Baseline):
    """The mean of each channel of the sample itself: a picture without any contrast."""

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        if x.ndim < 3:
            raise InputError(f"input {name!r} of shape {tuple(x.shape)} has no positions to average a channel over")
        return x.mean(tuple(range(2, x.ndim)), keepdim=True).expand_as(x)

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
        over = tuple(range(2, x.ndim)) if x.ndim > 2 else tuple(range(1, x.ndim))
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
        self.count = _positive("samples", samples)

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        low = RangeEnd(high=False, value=self.low).of(name, x, 0)
        high = RangeEnd(high=True, value=self.high).of(name, x, 0)
        key = sum(ord(letter) * 257**place for place, letter in enumerate(name)) % 2**32
        random = generator(self.seed, number, key, device=x.device)
        return low + (high - low) * torch.rand(x.shape[1:], generator=random, device=x.device, dtype=x.dtype)

    def __repr__(self) -> str:
        return f"UniformNoise({self.low!r}, {self.high!r}, samples={self.count}, seed={self.seed})"


class Data(Baseline):
    """Samples of a data set; the mean over several draws.

    Parameters
    ----------
    values : Tensor, array, or mapping of input names to these
        (N, ...): the data set.
    samples : int, optional
        How many to draw, without repetition as far as there are enough; several inputs are drawn together. Default:
        all, each once, in order.
    seed : int
    """

    def __init__(self, values: Any, *, samples: int | None = None, seed: int = 0) -> None:
        self.values, self.seed, self.samples = values, seed, samples
        each = values.values() if isinstance(values, Mapping) else [values]
        sizes = {len(value) for value in each}
        if len(sizes) != 1 or 0 in sizes:
            raise ParameterError(f"a baseline of data needs as many samples for each input; it has {sorted(sizes)}")
        (self.size,) = sizes
        self.count = self.size if samples is None else _positive("samples", samples)

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        chosen = _of_input(self.values, name)
        picked = chosen[self.index(number) : self.index(number) + 1]
        values = torch.as_tensor(picked if isinstance(picked, Tensor) else np.asarray(picked))
        if values.shape[1:] != x.shape[1:]:
            raise InputError(
                f"the data for the baseline of input {name!r} have samples of shape {tuple(values.shape[1:])}; the "
                f"inputs have {tuple(x.shape[1:])}"
            )
        return values

    def is_discrete(self, name: str) -> bool:
        return _is_discrete(_of_input(self.values, name))

    def index(self, number: int) -> int:
        """Which sample of the data variant ``number`` is."""
        if self.samples is None:
            return number
        rounds, place = divmod(number, self.size)
        order = torch.randperm(self.size, generator=generator(self.seed, rounds))
        return int(order[place])

    def __repr__(self) -> str:
        return f"Data({_shown(self.values)}, samples={self.samples!r}, seed={self.seed})"


def resolve_baseline(baseline: Any, *, what: str = "baseline") -> Baseline:
    """Turn what a user writes as a baseline into a `Baseline`.

    Parameters
    ----------
    baseline
        A number: everywhere the same. A list of numbers: one a channel. A word: ``"zero"``; ``"mean"`` of each
        channel; ``"low"``, ``"high"`` (ends of the sample's range); ``"blur"``; ``"uniform"`` noise. A tensor or array
        (of two dimensions or more), or a dict of them by input: the values. A `Baseline`: itself.
    what : str
        The name of the parameter, for messages.

    Raises
    ------
    ParameterError
        For anything else.
    """
    if isinstance(baseline, Baseline):
        return baseline
    if isinstance(baseline, str):
        if baseline not in _WORDS:
            raise ParameterError(
                f"{what}={baseline!r} is not known: choose a number, one of {', '.join(_WORDS)}, a tensor, or one of "
                f"xaicore.baselines.{nearest(baseline, _WORDS)}"
            )
        words: dict[str, Baseline] = {
            "zero": Constant(0.0),
            "mean": Mean(),
            "low": RangeEnd(high=False),
            "high": RangeEnd(high=True),
            "blur": Blurred(),
            "uniform": UniformNoise(),
        }
        return words[baseline]
    if isinstance(baseline, bool) or baseline is None:
        raise ParameterError(f"{what}={baseline!r} is not a baseline: give a number, a word, a tensor or a Baseline")
    if isinstance(baseline, int | float):
        return Constant(float(baseline))
    if isinstance(baseline, list | tuple) and all(isinstance(each, int | float) for each in baseline):
        return Constant([float(each) for each in baseline])
    if isinstance(baseline, Mapping | Tensor) or hasattr(baseline, "__array__"):
        return Given(baseline)
    raise ParameterError(f"{what}={baseline!r} is not a baseline: give a number, a word, a tensor or a Baseline")


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


def _is_discrete(values: Any) -> bool:
    if isinstance(values, Tensor):
        return not values.is_floating_point() and not values.is_complex()
    return np.asarray(values).dtype.kind in "iub"


def _of_input(values: Any, name: str) -> Any:
    if not isinstance(values, Mapping):
        return values
    if name not in values:
        raise InputError(f"the baseline has no entry for input {name!r}; it has {', '.join(map(repr, values))}")
    return values[name]


def _positive(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name}={value!r} must be a positive integer")
    return value


def _shown(values: Any) -> str:
    if isinstance(values, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shown(value)}" for name, value in values.items()) + "}"
    return f"<{'x'.join(map(str, np.shape(values)))}>"
