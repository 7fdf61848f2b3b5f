"""Which prototype each row of a search is an attempt at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor


class Row(NamedTuple):
    """One attempt: the sample (and with it the target), the number of the prototype, the number of the restart."""

    sample: int
    number: int
    restart: int


@dataclass(frozen=True)
class Rows:
    """All attempts of a search: samples, with their prototypes, with their restarts, in this order.

    Attributes
    ----------
    samples, count, restarts : int
        How many samples, prototypes of each, and attempts at each prototype.
    """

    samples: int
    count: int
    restarts: int

    @property
    def total(self) -> int:
        """How many rows."""
        return self.samples * self.count * self.restarts

    def all(self) -> list[Row]:
        """Every row."""
        return [
            Row(sample, number, restart)
            for sample in range(self.samples)
            for number in range(self.count)
            for restart in range(self.restarts)
        ]

    def of_samples(self, device: torch.device) -> Tensor:
        """The sample of each row, (rows,)."""
        return torch.arange(self.samples, device=device).repeat_interleave(self.count * self.restarts)

    def groups(self, x: Tensor) -> Tensor:
        """Rows (rows, ...) as prototypes that are found together: (samples, restarts, count, ...)."""
        return x.view(self.samples, self.count, self.restarts, *x.shape[1:]).transpose(1, 2)

    def ungroup(self, x: Tensor) -> Tensor:
        """Undo `groups`."""
        return x.transpose(1, 2).reshape(self.total, *x.shape[3:])

    def best(self, objective: Tensor, together: bool) -> Tensor:
        """The row of the best attempt at each prototype, (samples * count,).

        ``together``: prototypes that were kept apart from each other are taken from the same restart.
        """
        grouped = self.groups(objective)
        # (samples, restarts, count) -> the restart of each prototype.
        shared = grouped.sum(2).argmax(1, keepdim=True).expand(-1, self.count)
        chosen = shared if together else grouped.argmax(1)
        sample = torch.arange(self.samples, device=objective.device)[:, None]
        number = torch.arange(self.count, device=objective.device)[None]
        return ((sample * self.count + number) * self.restarts + chosen).flatten()
