"""Copies of inputs with noise, made a few at a time, in the form in which analyzers take inputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from xaicore.analyzers.on_callable import restoring
from xaicore.analyzers.originals import own_tensors
from xaicore.engine import Block, Inputs, generator, prepare_arrays
from xaicore.engine.preparation import prepare
from xaicore.errors import InputError, ParameterError, nearest

DISTRIBUTIONS = ("normal", "uniform")


class NoisyCopies:
    """A batch of inputs, and as many noisy copies of each sample as are asked for.

    The noise of a copy depends on the seed and the number of the copy alone. All samples have the same, each at its
    own scale, so that a sample's copies do not depend on the batch that it is in.

    Parameters
    ----------
    model : torch.nn.Module or callable
        Takes the inputs.
    inputs : Any
        As a user passes them.
    noise : float
        The standard deviation: a share of the range of each sample, or with ``relative=False`` in units of the input.
    names : sequence of str, optional
        Which inputs get noise. Default: all that are floating-point and have the batch in front.

    Raises
    ------
    InputError, ParameterError
        For names that are no inputs; for inputs to none of which noise can be added.
    """

    def __init__(
        self,
        model: Any,
        inputs: Any,
        *,
        noise: float,
        relative: bool,
        distribution: str,
        seed: int,
        names: Sequence[str] | None = None,
    ) -> None:
        is_module = isinstance(model, nn.Module)
        self.prepared = prepare(inputs, model) if is_module else prepare_arrays(inputs)
        self._restore = {} if is_module else restoring(inputs, self.prepared)
        self.own = own_tensors(inputs, self.prepared)
        self.tensors = self.prepared.tensors()
        self.batch = self.prepared.batch
        self.device = next(iter(self.tensors.values())).device
        self._distribution, self._seed = distribution, seed
        chosen = self._chosen(names)
        self._numbers = {name: number for number, name in enumerate(self.tensors) if name in chosen}
        ranges = {name: _range(self.tensors[name]) for name in chosen}
        self._scales = {name: noise * (each if relative else torch.ones_like(each)) for name, each in ranges.items()}
        self._still = {name: int((each == 0).sum()) for name, each in ranges.items()} if relative and noise else {}

    def _chosen(self, names: Sequence[str] | None) -> list[str]:
        possible = [
            name for name, tensor in self.tensors.items() if tensor.is_floating_point() and self._is_own(tensor)
        ]
        if names is None:
            if not possible:
                raise InputError(
                    f"there is nothing to add noise to: none of the inputs ({', '.join(self.tensors)}) is "
                    "floating-point with the batch in front. Of tokens, explain the embeddings as inputs."
                )
            return possible
        for name in names:
            if name not in self.tensors:
                known = list(self.tensors)
                raise ParameterError(
                    f"inputs={list(names)!r}: there is no input {name!r}.{nearest(name, known)} It is one of {known}."
                )
            if name not in possible:
                tensor = self.tensors[name]
                raise InputError(
                    f"inputs={list(names)!r}: noise cannot be added to {name!r}, of type {tensor.dtype} and shape "
                    f"{tuple(tensor.shape)}: only to floating-point inputs with the batch of {self.batch} in front"
                )
        return list(names)

    def _is_own(self, tensor: Tensor) -> bool:
        """Whether a tensor has one entry a sample."""
        return tensor.shape[:1] == (self.batch,)

    @property
    def divisible(self) -> bool:
        """Whether copies of different samples can be run apart, and several of one sample together.

        Not where a floating-point input has no batch in front: it belongs to all samples, or has them in another place.
        """
        return all(self._is_own(tensor) for tensor in self.tensors.values() if tensor.is_floating_point())

    def notes(self) -> list[str]:
        """What the user should know about the noise."""
        return [
            f"no noise in {count} of {self.batch} samples: input '{name}' is constant there, and noise is a share of "
            "its range. relative=False takes it in units of the input"
            for name, count in self._still.items()
            if count
        ]

    def clean(self, block: Block) -> Any:
        """The samples of a block as they are."""
        return self._given(
            self.prepared if block.samples == self.batch else self.prepared.slice(block.start, block.stop)
        )

    def rows(self, block: Block) -> Any:
        """The noisy copies of a block: one sample with all its copies, then the next."""
        return self._given(self._mapped(lambda name, tensor: self._copies(name, tensor, block)))

    def _copies(self, name: str, tensor: Tensor, block: Block) -> Tensor:
        if name not in self._scales:
            return block.repeat(tensor) if tensor.ndim and self._is_own(tensor) else tensor
        draws = torch.stack([self._draw(name, tensor, step) for step in block.steps])
        # In full precision until the sum: half precision would round small noise away twice.
        noisy = torch.addcmul(
            block.cross(tensor).to(draws.dtype), block.cross(self._scales[name]).to(draws.dtype), draws
        )
        return noisy.flatten(0, 1).to(tensor.dtype)

    def _draw(self, name: str, tensor: Tensor, step: int) -> Tensor:
        """Noise of standard deviation 1, the same for inputs of any type."""
        source = generator(self._seed, step, self._numbers[name], device=tensor.device)
        shape = tensor.shape[1:]
        if self._distribution == "normal":
            drawn = torch.randn(shape, generator=source, device=tensor.device)
        else:
            drawn = (2 * torch.rand(shape, generator=source, device=tensor.device) - 1) * math.sqrt(3)
        return drawn.to(torch.promote_types(tensor.dtype, torch.float32))

    def _mapped(self, change: Callable[[str, Tensor], Tensor]) -> Inputs:
        names = iter(self.tensors)
        return self.prepared.map(lambda leaf: change(next(names), leaf) if isinstance(leaf, Tensor) else leaf)

    def _given(self, inputs: Inputs) -> Any:
        """Arguments in the form in which users pass them."""
        restore = iter(self._restore.values())
        if self._restore:
            inputs = inputs.map(lambda leaf: next(restore)(leaf) if isinstance(leaf, Tensor) else leaf)
        if inputs.kwargs:
            return inputs.kwargs
        alone = len(inputs.args) == 1 and not isinstance(inputs.args[0], dict | tuple)
        return inputs.args[0] if alone else inputs.args

    def kept(self) -> Tensor | dict[str, Tensor]:
        """The inputs without noise, for an explanation to keep."""
        found = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        return next(iter(found.values())) if len(found) == 1 else found


def _range(tensor: Tensor) -> Tensor:
    """Largest minus smallest value of each sample, (B, 1, ...)."""
    flat = tensor.reshape(len(tensor), -1).to(torch.promote_types(tensor.dtype, torch.float32))
    return (flat.amax(1) - flat.amin(1)).reshape(-1, *[1] * (tensor.ndim - 1))
