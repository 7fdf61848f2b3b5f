"""How the steps of sequences lie in a tensor: time first for the cells, as the user has them outside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Steps:
    """The layout of a layer's sequences.

    Attributes
    ----------
    one_step : bool
        The layer is one step of a cell: its tensors have no dimension for time.
    batch_first : bool
        (batch, time, features); else time comes first.
    lengths : Tensor or None
        (batch,): how many steps each sequence has, where they differ; the rest is padding.
    """

    one_step: bool
    batch_first: bool
    lengths: Tensor | None = None

    def time_first(self, x: Tensor) -> Tensor:
        """(time, batch, features)."""
        if self.one_step:
            return x.unsqueeze(0)
        return x.transpose(0, 1) if self.batch_first else x

    def as_given(self, x: Tensor) -> Tensor:
        """The inverse of `time_first`."""
        if self.one_step:
            return x.squeeze(0)
        return x.transpose(0, 1) if self.batch_first else x

    def reversed(self, x: Tensor) -> Tensor:
        """Each sequence of (time, batch, features) from its own last step to its first; padding stays behind."""
        if self.lengths is None:
            return x.flip(0)
        steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
        lengths = self.lengths.to(x.device).unsqueeze(0)
        order = torch.where(steps < lengths, lengths - 1 - steps, steps)
        return x.gather(0, order.unsqueeze(-1).expand_as(x))

    def valid(self, x: Tensor) -> Tensor:
        """What lies in padding set to zero."""
        if self.lengths is None:
            return x
        steps = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
        return x * (steps < self.lengths.to(x.device)).unsqueeze(-1)

    def at_last(self, x: Tensor, count: int) -> Tensor:
        """(time, batch, features) that is zero but for ``x`` (batch, features) at the last step of each sequence."""
        steps = torch.arange(count, device=x.device).unsqueeze(1)
        last = (count - 1) if self.lengths is None else self.lengths.to(x.device).unsqueeze(0) - 1
        return (steps == last).unsqueeze(-1) * x
