"""The inputs themselves."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_activation_max.parametrizations.box import Box, check_keep


class Pixels:
    """The search changes the entries of the input themselves.

    Parameters
    ----------
    bounds : (low, high), optional
        Lowest and highest value: numbers, one number a channel each, or tensors like a sample.
    keep : {'clamp', 'sigmoid'}
        How inputs stay within bounds: moved back after each step, so that the walls are reached exactly; or made by a
        sigmoid from what is optimised, for optimizers that know no bounds.
    """

    def __init__(self, bounds: Any = None, keep: str = "clamp") -> None:
        check_keep(keep, bounds)
        self.bounds, self.keep = bounds, keep
        self._box = None if bounds is None else Box(bounds)

    def leaves(self, starts: Tensor, generator: torch.Generator) -> list[Tensor]:
        begin = starts.detach().clone()
        if self._box is not None:
            begin = self._box.unsquashed(begin) if self.keep == "sigmoid" else self._box.clamped(begin)
        return [begin.requires_grad_()]

    def inputs(self, leaves: list[Tensor]) -> Tensor:
        return self._box.squashed(leaves[0]) if self._box is not None and self.keep == "sigmoid" else leaves[0]

    def log_prior(self, leaves: list[Tensor]) -> Tensor:
        return leaves[0].new_zeros(len(leaves[0]))

    def check(self, shape: tuple[int, ...]) -> None:
        if self._box is not None:
            self._box.check(shape)

    @property
    def projects(self) -> bool:
        """Whether steps are mended by `project`."""
        return self._box is not None and self.keep == "clamp"

    def project(self, leaves: list[Tensor]) -> None:
        """Move the leaves back into the box."""
        if self._box is not None and self.keep == "clamp":
            with torch.no_grad():
                leaves[0].copy_(self._box.clamped(leaves[0]))

    @property
    def box(self) -> Box | None:
        """The bounds, ready for use."""
        return self._box

    def __repr__(self) -> str:
        return "Pixels()" if self._box is None else f"Pixels(bounds={self._box!r}, keep={self.keep!r})"
