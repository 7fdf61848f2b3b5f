"""What a baseline is: something to compare each sample with."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping

import torch
from torch import Tensor

from xaicore.errors import InputError

Varied = Mapping[str, Tensor]


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
        return {name: _like(x, self.of(name, x, number), name) for name, x in varied.items()}

    def part(self, start: int, stop: int, total: int) -> Baseline:
        """The baseline of the samples from ``start`` to ``stop`` of a batch of ``total``, where each has its own."""
        return self


def _like(x: Tensor, found: Tensor, name: str) -> Tensor:
    """A baseline in the type of the input; refuses to cut fractions off."""
    values = found.to(x.device, x.dtype)
    if (
        found.is_floating_point()
        and not x.is_floating_point()
        and not torch.equal(values.to(found.dtype), found.to(x.device))
    ):
        raise InputError(
            f"the baseline for input {name!r} has values that are no {x.dtype}, the type of that input. Give the input "
            "as floating-point numbers, or a baseline of its type"
        )
    return values
