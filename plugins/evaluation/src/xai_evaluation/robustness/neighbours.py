"""Neighbours of samples: inputs with noise, translated ones, or those that a user brings; made block by block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers import Translation
from xaicore.engine import Block, generator
from xaicore.errors import InputError, ParameterError

DISTRIBUTIONS = ("normal", "uniform")


class Neighbours(ABC):
    """As many neighbours of each sample as there are steps.

    Attributes
    ----------
    steps : int
        How many neighbours each sample has.
    """

    steps: int

    @abstractmethod
    def rows(self, block: Block) -> dict[str, Tensor]:
        """The neighbours of a block, (rows, ...) for each of the inputs that can be changed."""

    def follows(self, step: int) -> bool:
        """Whether this neighbour is compared with the one before it, not with the sample itself."""
        return False


class Noisy(Neighbours):
    """Copies with noise, which depends on the seed and the number of the copy alone; all samples have the same.

    Parameters
    ----------
    varied : dict of str to Tensor
        The inputs, (B, ...); those that are not floating-point stay as they are.
    size : float
        Standard deviation of normal noise; of uniform noise the largest value.
    relative : bool
        Whether the size is a share of the range of each input of each sample (largest minus smallest value).
    """

    def __init__(
        self,
        varied: Mapping[str, Tensor],
        *,
        size: float,
        distribution: str = "uniform",
        relative: bool = False,
        samples: int,
        seed: int,
    ) -> None:
        self.steps = samples
        self._varied, self._seed, self._distribution = varied, seed, distribution
        self._sizes = {name: _size(x, size, relative) for name, x in varied.items() if x.is_floating_point()}
        if not self._sizes:
            raise InputError(
                f"noise makes neighbours of floating-point inputs; the inputs are "
                f"{', '.join(f'{name!r} of type {x.dtype}' for name, x in varied.items())}. Of a model of tokens, "
                "explain the model from the embeddings on"
            )

    def rows(self, block: Block) -> dict[str, Tensor]:
        return {name: self._copies(number, name, block) for number, name in enumerate(self._varied)}

    def _copies(self, number: int, name: str, block: Block) -> Tensor:
        x = self._varied[name]
        if name not in self._sizes:
            return block.repeat(x)
        noise = torch.stack([self._draw(x, step, number) for step in block.steps])
        # Half precision would round small noise away twice.
        moved = block.cross(x).to(noise.dtype) + block.cross(self._sizes[name]).to(noise.dtype) * noise
        return moved.flatten(0, 1).to(x.dtype)

    def _draw(self, x: Tensor, step: int, number: int) -> Tensor:
        random = generator(self._seed, step, number, device=x.device)
        if self._distribution == "normal":
            drawn = torch.randn(x.shape[1:], generator=random, device=x.device)
        else:
            drawn = 2 * torch.rand(x.shape[1:], generator=random, device=x.device) - 1
        return drawn.to(torch.promote_types(x.dtype, torch.float32))


class Translated(Neighbours):
    """Copies moved step by step along each direction, each compared with the position before it.

    Parameters
    ----------
    x : Tensor (B, C, ...)
    directions : sequence of tuple of int
        How far one step goes along each dimension behind the channels.
    shifts : int
        How many steps are taken in each direction.
    fill : float, 'replicate' or 'reflect'
        What stands where the copy was moved away from.
    """

    def __init__(
        self, name: str, x: Tensor, *, directions: Sequence[tuple[int, ...]], shifts: int, fill: float | str
    ) -> None:
        mode, value = (fill, 0.0) if isinstance(fill, str) else ("constant", float(fill))
        for direction in directions:
            if len(direction) != x.ndim - 2:
                raise InputError(
                    f"the direction {direction} has {len(direction)} numbers; an input of shape {tuple(x.shape)} has "
                    f"{max(0, x.ndim - 2)} dimensions behind the channels to move along"
                )
            if any(abs(by) * shifts >= size for by, size in zip(direction, x.shape[2:], strict=True)):
                raise InputError(
                    f"{shifts} shifts by {direction} move an input of shape {tuple(x.shape)} out of itself: take fewer"
                )
        self.steps, self._shifts = len(directions) * shifts, shifts
        self._name, self._x = name, x
        self._views = [
            Translation(tuple(position * by for by in direction), mode, value)
            for direction in directions
            for position in range(1, shifts + 1)
        ]

    def rows(self, block: Block) -> dict[str, Tensor]:
        x = block.of(self._x)
        moved = torch.stack([self._views[step].take(x) for step in block.steps], 1)
        return {self._name: moved.flatten(0, 1)}

    def follows(self, step: int) -> bool:
        return step % self._shifts > 0


class Given(Neighbours):
    """Neighbours that the user brings: (B, K, ...), or (B, ...) for one each; a dict of them for several inputs.

    Parameters
    ----------
    varied : dict of str to Tensor
        The inputs.
    neighbours : tensor, array, dict of them, or callable
        A callable is given the inputs (a tensor, or a dict by name where there are several) and returns them.
    """

    def __init__(self, varied: Mapping[str, Tensor], neighbours: Any) -> None:
        self._varied = varied
        found = neighbours
        if callable(neighbours):
            copies = {name: x.clone() for name, x in varied.items()}
            function: Callable[[Any], Any] = neighbours
            found = function(next(iter(copies.values())) if len(copies) == 1 else copies)
        if not isinstance(found, Mapping):
            if len(varied) != 1:
                raise InputError(
                    f"neighbours: the model has the inputs {', '.join(map(repr, varied))}: give a dict by name"
                )
            found = {next(iter(varied)): found}
        unknown = [name for name in found if name not in varied]
        if unknown or not found:
            raise InputError(f"neighbours are given for {unknown or 'no input'}; the inputs are {list(varied)}")
        self._given = {name: _fitting(name, each, varied[name]) for name, each in found.items()}
        counts = {name: each.shape[1] for name, each in self._given.items()}
        if len(set(counts.values())) > 1:
            raise InputError(f"neighbours: the inputs have different numbers of them: {counts}")
        self.steps = next(iter(counts.values()))

    def rows(self, block: Block) -> dict[str, Tensor]:
        return {name: self._of(name, x, block) for name, x in self._varied.items()}

    def _of(self, name: str, x: Tensor, block: Block) -> Tensor:
        if name not in self._given:
            return block.repeat(x)
        return block.of(self._given[name])[:, block.first : block.last].flatten(0, 1)


def _fitting(name: str, given: Any, x: Tensor) -> Tensor:
    if not x.is_floating_point():
        raise InputError(f"neighbours: input {name!r} is of type {x.dtype}: there is no distance between its values")
    try:
        found = torch.as_tensor(given)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ParameterError(f"neighbours={given!r:.80} is no tensor") from error
    if found.shape == x.shape:
        found = found.unsqueeze(1)
    if found.shape[:1] + found.shape[2:] != x.shape or not found.shape[1]:
        raise InputError(
            f"neighbours of shape {tuple(found.shape)} do not fit input {name!r} of shape {tuple(x.shape)}: give K "
            f"neighbours a sample as {(len(x), 'K', *x.shape[1:])}".replace("'K'", "K")
        )
    if not bool(torch.isfinite(found).all()):
        raise InputError(f"the neighbours of input {name!r} hold values that are not finite")
    return found.to(x.device, x.dtype)


def _size(x: Tensor, size: float, relative: bool) -> Tensor:
    """The size of the noise of each sample, (B, 1, ...)."""
    flat = x.reshape(len(x), -1).to(torch.promote_types(x.dtype, torch.float32))
    scale = flat.amax(1) - flat.amin(1) if relative else torch.ones(len(x), device=x.device, dtype=flat.dtype)
    return (size * scale).reshape(-1, *[1] * (x.ndim - 1))
