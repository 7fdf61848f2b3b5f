"""Where a search begins."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from xai_activation_max.learning import Learnt
from xai_activation_max.parametrizations import Parametrization
from xai_activation_max.rows import Rows
from xaicore.engine import generator
from xaicore.errors import NotFittedError

STARTS = ("noise", "mean", "clusters", "input")
_PURPOSE = 0  # beside the seed; random changes at each step are drawn for purpose 1


@dataclass(frozen=True)
class Starts:
    """Points around which the rows of a search begin.

    Parameters
    ----------
    start : str or None
        As in `PrototypeSearch`.
    noise : float
        Of the starts, in the units of the data.
    seed : int
    learnt : Learnt or None
    """

    start: str | None
    noise: float
    seed: int
    learnt: Learnt | None

    def unit(self, parametrization: Parametrization) -> float:
        """What the noise is measured in: the spread of the data, or a quarter of the bounds' width, or 1."""
        box = getattr(parametrization, "box", None)
        if self.learnt is not None:
            return self.learnt.spread or 1.0
        return 1.0 if box is None else box.width / 4

    def middle(self, parametrization: Parametrization, example: Tensor) -> Tensor:
        """The mean of the data, or the middle of the bounds, or zero; shaped like the example."""
        box = getattr(parametrization, "box", None)
        if self.learnt is not None:
            return self.learnt.mean.to(example.device, example.dtype).expand(example.shape)
        return torch.zeros_like(example) if box is None else box.middle(example)

    def leaves(
        self, parametrization: Parametrization, example: Tensor, classes: list[int | None], rows: Rows, near: bool
    ) -> list[Tensor]:
        """What is optimised, one row an attempt.

        Its random numbers depend on the seed, the number of the prototype and that of the restart, and not on the rows
        beside it.

        Parameters
        ----------
        example : Tensor (samples, *shape)
        classes : list of int or None
            The class of each sample.
        near : bool
            Whether prototypes are to stay near the example.
        """
        centres = self._centres(parametrization, example, classes, rows.count, near)
        deviation = self.noise * self.unit(parametrization)
        made = []
        for sample, number, restart in rows.all():
            random = generator(self.seed, _PURPOSE, number, restart)
            drawn = torch.randn(example.shape[1:], generator=random, dtype=torch.float64)
            point = centres[sample][number] + deviation * drawn.to(example.device, example.dtype)
            made.append(parametrization.leaves(point[None], random))
        return [torch.cat([each.detach() for each in parts]).requires_grad_() for parts in zip(*made, strict=True)]

    def _centres(
        self, parametrization: Parametrization, example: Tensor, classes: list[int | None], count: int, near: bool
    ) -> list[Tensor]:
        """For each sample, (count, *shape)."""
        start = self.start
        if start is None:
            start = "input" if near else "noise" if self.learnt is None else "clusters" if count > 1 else "mean"
        if start == "input":
            return [each.expand(count, *each.shape) for each in example]
        if start == "noise":
            return [each.expand(count, *each.shape) for each in self.middle(parametrization, example)]
        if self.learnt is None:
            raise NotFittedError(f"start={start!r} is learnt from data: call fit(data), or choose start='noise'")
        found = {}
        for number in dict.fromkeys(classes):
            if start == "clusters":
                found[number] = self.learnt.clusters(number, count, self.seed)
            else:
                found[number] = self.learnt.mean_of(number).expand(count, *self.learnt.shape)
        return [found[number].to(example.device, example.dtype) for number in classes]
