"""Values and gradients at chosen points on one line a sample, round by round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor

from xai_gradients.paths import along, between, start_of, wide
from xaicore.analyzers import GraphEvaluation
from xaicore.engine import Block, Engine, Sweep

Result = TypeVar("Result")


@dataclass(frozen=True)
class Rows(Block):
    """Rows of any samples, in any order, for an evaluation: ``picked`` are the numbers of their samples."""

    picked: Tensor

    @classmethod
    def of_samples(cls, picked: Sequence[int]) -> Rows:
        return cls(0, len(picked), 0, 1, torch.as_tensor(picked, dtype=torch.long))

    def of(self, per_sample: Tensor) -> Tensor:
        return per_sample.index_select(0, self.picked.to(per_sample.device))

    def numbers(self, device: torch.device | str = "cpu") -> Tensor:
        return self.picked.to(device)


class Lines:
    """One straight line for each sample of a block.

    Samples are counted from the first of the block, positions from 0 at the start of a line to 1 at its end.

    Parameters
    ----------
    evaluation : GraphEvaluation
    engine : Engine
    block : Block
        The samples.
    start, stop : mapping of str to Tensor
        The ends, (samples, ...) or (1, ...) each.
    """

    def __init__(
        self,
        evaluation: GraphEvaluation,
        engine: Engine,
        block: Block,
        start: Mapping[str, Tensor],
        stop: Mapping[str, Tensor],
    ) -> None:
        self.evaluation, self.engine, self.block = evaluation, engine, block
        self.start, self.stop = start, stop
        self.difference = {
            name: (stop[name].to(wide(x)) - start[name].to(wide(x))).expand(block.samples, *x.shape[1:])
            for name, x in evaluation.varied.items()
        }

    def scores(self, samples: Sequence[int], positions: Sequence[float]) -> list[float]:
        """The explained value at a position on the line of a sample, for each pair of these."""

        def run(part: Block) -> list[float]:
            points, rows, _ = self._points(samples, positions, part)
            found: list[float] = self.evaluation.scores(points, rows).double().tolist()
            return found

        return [score for _, scores in self._sweep(len(samples), run) for score in scores]

    def gradients(
        self, samples: Sequence[int], positions: Sequence[float]
    ) -> tuple[list[float], list[float], dict[str, Tensor]]:
        """Explained values, their derivatives along the lines, and gradients (rows, ...), as in `scores`."""
        scores, slopes = [], []
        kept = {
            name: torch.empty((len(samples), *each.shape[1:]), dtype=each.dtype, device=each.device)
            for name, each in self.difference.items()
        }

        def run(part: Block) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
            points, rows, local = self._points(samples, positions, part)
            values, gradients = self.evaluation.gradients(points, rows)
            slope = torch.zeros(part.rows, dtype=torch.float64, device=self.evaluation.device)
            for name, gradient in gradients.items():
                along_line = gradient * local.of(self.difference[name])
                slope += along_line.reshape(part.rows, -1).sum(1, dtype=torch.float64)
            return values, slope, gradients

        for part, (values, slope, gradients) in self._sweep(len(samples), run):
            scores += values.double().tolist()
            slopes += slope.tolist()
            for name, gradient in gradients.items():
                part.of(kept[name]).copy_(gradient)
        return scores, slopes, kept

    def _points(
        self, samples: Sequence[int], positions: Sequence[float], part: Block
    ) -> tuple[dict[str, Tensor], Rows, Rows]:
        here = slice(part.start, part.stop)
        at, local = positions[here], Rows.of_samples(samples[here])
        rows = Rows.of_samples([self.block.start + sample for sample in samples[here]])
        points = {
            name: between(start_of(start, local), start_of(self.stop[name], local), along(at, start, dim=0))
            for name, start in self.start.items()
        }
        return points, rows, local

    def _sweep(self, rows: int, run: Callable[[Block], Result]) -> Sweep[Result]:
        evaluation = self.evaluation
        return self.engine.sweep(rows, 1, run, device=evaluation.device, footprint=evaluation.footprint)


def in_groups(
    evaluation: GraphEvaluation, engine: Engine, rows: int, function: Callable[[Block, Engine], Result]
) -> Sweep[Result]:
    """Run a function that goes through rounds, for some samples at a time; it is given them and an engine.

    Parameters
    ----------
    rows : int
        How many rows of a sample are run in a round, about: as many samples go together as fit.
    """
    inner = engine.within()
    most = engine.rows(evaluation.footprint, evaluation.device)
    groups = engine.within(batch_size=None if most is None else max(1, most // rows), nested=engine.nested)
    groups.progress = engine.progress
    return groups.sweep(
        evaluation.batch, 1, lambda block: function(block, inner), device=evaluation.device, unit="sample", outer=True
    )
