"""Blocks: which variations of which samples are run together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Block:
    """Some steps of some samples: a rectangle of rows, ordered sample by sample.

    A row is one variation of one sample: the sample at one step of a path, with one draw of noise, behind one mask.
    Rows are made when the block is run and are gone after it, so that memory does not grow with the number of steps.

    Attributes
    ----------
    start, stop : int
        The samples, as in ``range(start, stop)``.
    first, last : int
        The steps, as in ``range(first, last)``.

    Examples
    --------
    >>> block = Block(0, 2, 5, 8)
    >>> block.rows, list(block.steps)
    (6, [5, 6, 7])
    >>> block.repeat(torch.tensor([10.0, 20.0]))
    tensor([10., 10., 10., 20., 20., 20.])
    """

    start: int
    stop: int
    first: int
    last: int

    @property
    def samples(self) -> int:
        """How many samples."""
        return self.stop - self.start

    @property
    def steps(self) -> range:
        """The numbers of the steps."""
        return range(self.first, self.last)

    @property
    def rows(self) -> int:
        """How many rows: samples times steps."""
        return self.samples * (self.last - self.first)

    def of(self, per_sample: Tensor) -> Tensor:
        """The entries of these samples, (B, ...) -> (samples, ...)."""
        return per_sample[self.start : self.stop]

    def repeat(self, per_sample: Tensor) -> Tensor:
        """One entry a row, (B, ...) -> (rows, ...): each sample as often as there are steps."""
        mine = self.of(per_sample)
        return mine if len(self.steps) == 1 else mine.repeat_interleave(len(self.steps), 0)

    def grid(self, per_row: Tensor) -> Tensor:
        """One entry a row as samples by steps, (rows, ...) -> (samples, steps, ...); a view."""
        return per_row.reshape(self.samples, len(self.steps), *per_row.shape[1:])

    def cross(self, per_sample: Tensor) -> Tensor:
        """The entries of these samples with room for the steps, (B, ...) -> (samples, 1, ...); a view.

        What is computed from it and from one entry a step, (steps, ...), is a grid; ``grid.flatten(0, 1)`` makes rows.
        """
        return self.of(per_sample).unsqueeze(1)

    def numbers(self, device: torch.device | str = "cpu") -> Tensor:
        """The number of the sample that each row belongs to, (rows,)."""
        return torch.arange(self.start, self.stop, device=device).repeat_interleave(len(self.steps))

    def halves(self) -> tuple[Block, Block]:
        """The two parts that are run where this block was too large; steps are parted before samples."""
        if len(self.steps) > 1:
            middle = (self.first + self.last) // 2
            return (
                Block(self.start, self.stop, self.first, middle),
                Block(self.start, self.stop, middle, self.last),
            )
        middle = (self.start + self.stop) // 2
        return Block(self.start, middle, self.first, self.last), Block(middle, self.stop, self.first, self.last)


def even(total: int, most: int) -> int:
    """The size of equal parts of ``total`` that hold at most ``most`` each."""
    parts = -(-total // max(1, most))
    return -(-total // parts)


def blocks_of(samples: int, steps: int, rows: int) -> Iterator[Block]:
    """All steps of all samples in blocks of at most ``rows``: some samples through all their steps, then the next."""
    if not samples or not steps:
        return
    group = even(samples, rows)
    span = even(steps, rows // group)
    for start in range(0, samples, group):
        for first in range(0, steps, span):
            yield Block(start, min(start + group, samples), first, min(first + span, steps))
