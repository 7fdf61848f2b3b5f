"""Baselines that are given: one value, values, the samples of a data set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.analyzers.baselines.base import Baseline
from xaicore.engine import generator
from xaicore.errors import InputError, ParameterError


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
        values = torch.as_tensor(self.value, dtype=x.dtype if x.is_floating_point() else None, device=x.device)
        if values.ndim and (x.ndim < 2 or values.shape != x.shape[1:2]):
            raise InputError(
                f"a baseline of {len(values)} values, one a channel, does not fit input {name!r} of shape "
                f"{tuple(x.shape)}"
            )
        values = values.reshape(1, -1, *[1] * (x.ndim - 2)) if values.ndim else values
        return values.expand(1, *x.shape[1:])

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
        self._part: tuple[int, int, int] | None = None

    def part(self, start: int, stop: int, total: int) -> Baseline:
        """The values of these samples."""
        part = Given(self.values)
        part._part = (start, stop, total)
        return part

    def of(self, name: str, x: Tensor, number: int) -> Tensor:
        chosen = _of_input(self.values, name)
        values = torch.as_tensor(chosen if isinstance(chosen, Tensor) else np.asarray(chosen))
        values = values.unsqueeze(0) if values.shape == x.shape[1:] else values
        start, stop, total = self._part or (0, len(x), len(x))
        if values.shape[1:] != x.shape[1:] or len(values) not in (1, total):
            raise InputError(
                f"the baseline for input {name!r} has shape {tuple(values.shape)}; it must be {tuple(x.shape[1:])}, or "
                f"that for each of {total} samples; a data set is given as xaicore.baselines.Data(values)"
            )
        return values if len(values) == 1 else values[start:stop]

    def is_discrete(self, name: str) -> bool:
        return _is_discrete(_of_input(self.values, name))

    def __repr__(self) -> str:
        return f"Given({_shown(self.values)})"


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
        self.count = self.size if samples is None else positive("samples", samples)

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


def positive(name: str, value: Any) -> int:
    """Return a positive integer, or refuse it."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParameterError(f"{name}={value!r} must be a positive integer")
    return value


def _of_input(values: Any, name: str) -> Any:
    if not isinstance(values, Mapping):
        return values
    if name not in values:
        raise InputError(f"the baseline has no entry for input {name!r}; it has {', '.join(map(repr, values))}")
    return values[name]


def _is_discrete(values: Any) -> bool:
    if isinstance(values, Tensor):
        return not values.is_floating_point() and not values.is_complex()
    return np.asarray(values).dtype.kind in "iub"


def _shown(values: Any) -> str:
    if isinstance(values, Mapping):
        return "{" + ", ".join(f"{name!r}: {_shown(value)}" for name, value in values.items()) + "}"
    return f"<{'x'.join(map(str, np.shape(values)))}>"
