"""RISE: random smooth masks, weighted by what the model makes of what they leave."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xai_perturbation.parameters import check_integer
from xai_perturbation.positions import mixed, over_channels, stretched, with_positions
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine, generator
from xaicore.errors import ParameterError, nearest

_DIVISORS = ("probability", "coverage")


class Rise(ExpansionAnalyzer):
    """Mean of random smooth masks, weighted by the output that each of them leaves (Petsiuk et al. 2018).

    A mask is a coarse grid of zeros and ones, enlarged by linear interpolation and moved at random by less than a
    cell. The map at a position estimates the expected output given that the position is seen (equations 4 to 6): it is
    about the level of the output and does not sum to it. Needs ``samples`` runs of the model, which may be anything
    that can be called. The map of an input (B, C, ...) is split evenly over the channels, so that their sum is the
    map. Inputs without positions behind their channels stay as they are and have no relevance; of several inputs with
    positions, each has masks of its own.

    Parameters
    ----------
    samples : int
        How many masks. The error falls with its square root.
    cells : int or sequence of int
        Size of the grid: for all dimensions behind the channels, or for each of them.
    probability : float
        With which a cell is seen, between 0 and 1.
    fill : float, sequence of float, str, Tensor or Baseline
        What stands where nothing is seen: a number, one a channel, ``"mean"``, ``"blur"``, values.
    divide_by : {'probability', 'coverage'}
        What makes a mean of the sum. ``'probability'``: the number of masks times the probability, as published;
        unbiased. ``'coverage'``: the sum of the masks at each position; far less noise where the output has a large
        mean, since a constant output then gives a constant map.
    seed : int
        The same seed gives the same masks on one kind of device, whatever the batch size.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        samples: int = 2000,
        cells: int | Sequence[int] = 7,
        probability: float = 0.5,
        fill: Any = 0.0,
        divide_by: str = "probability",
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.samples, self.cells, self.probability = samples, cells, probability
        self.fill, self.divide_by, self.seed = fill, divide_by, seed
        if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
            raise ParameterError(f"samples={samples!r} must be a positive integer: the number of masks")
        each = [cells] if isinstance(cells, int) else list(cells) if isinstance(cells, Sequence) else [None]
        if not each or any(isinstance(n, bool) or not isinstance(n, int) or n < 1 for n in each):
            raise ParameterError(f"cells={cells!r} must be a positive integer, or one for each dimension")
        if not isinstance(probability, int | float) or not 0 < probability < 1:
            raise ParameterError(f"probability={probability!r} must lie between 0 and 1: with which a cell is seen")
        if divide_by not in _DIVISORS:
            raise ParameterError(
                f"divide_by={divide_by!r}: choose one of {', '.join(_DIVISORS)}.{nearest(str(divide_by), _DIVISORS)}"
            )
        resolve_baseline(fill, what="fill")
        check_integer("seed", seed, least=0)

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Run the model behind one mask after the other."""
        masked = with_positions(evaluation.varied, "perturbation.rise")
        fill = evaluation.own(resolve_baseline(self.fill, what="fill"))
        fills = functools.lru_cache(1)(lambda number: fill.at(masked, number))
        dtype = dtype_of_sums(evaluation)
        sums = {name: _zeros(x, dtype) for name, x in masked.items()}
        coverage = {name: _zeros(x, dtype) for name, x in masked.items()}
        seen = torch.zeros(evaluation.batch, dtype=dtype, device=evaluation.device)

        def run(block: Block) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
            masks = self._masks(block.steps, masked, evaluation.device, dtype)
            rows = {name: block.repeat(x) for name, x in evaluation.varied.items() if name not in masked}
            for name, x in masked.items():
                numbers = [step % fill.count for step in block.steps] if fill.count > 1 else [0]
                filled = torch.cat([block.cross(_per_sample(fills(number)[name], x)) for number in numbers], 1)
                rows[name] = mixed(block.cross(x), filled, masks[name].unsqueeze(1)).flatten(0, 1)
            scores = block.grid(evaluation.scores(rows, block)).to(dtype)
            weighted = {name: torch.tensordot(scores, each, 1) for name, each in masks.items()}
            return weighted, {name: each.sum(0) for name, each in masks.items()}

        sweep = engine.sweep(
            evaluation.batch, self.samples, run, device=evaluation.device, footprint=evaluation.footprint
        )
        for block, (weighted, covered) in sweep:
            part = slice(block.start, block.stop)
            seen[part] += len(block.steps)
            for name in masked:
                sums[name][part] += weighted[name]
                coverage[name][part] += covered[name]
        relevance = {name: torch.zeros_like(x, dtype=dtype) for name, x in evaluation.varied.items()}
        for name, x in masked.items():
            expected = self.probability * seen.view(-1, *[1] * (x.ndim - 2))
            total = expected if self.divide_by == "probability" else coverage[name]
            # A position that no mask has shown has no mean; nothing is known of it.
            relevance[name] = over_channels(torch.where(total > 0, sums[name] / total, 0.0), x)
        notes = self._notes(evaluation, masked, coverage, seen)
        return Attribution(relevance, notes=notes, finished=_begun(sweep.done))

    def _masks(
        self, steps: range, masked: Mapping[str, Tensor], device: torch.device, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """The masks of these steps for each input, (steps, ...)."""
        drawn: dict[str, list[tuple[Tensor, Tensor]]] = {name: [] for name in masked}
        for step in steps:
            random = generator(self.seed, step, device=device)
            for name, x in masked.items():
                cells = self._cells(name, x)
                shown = torch.rand(cells, generator=random, device=device) < self.probability
                drawn[name].append((shown, torch.rand(len(cells), generator=random, device=device)))
        masks = {}
        for name, x in masked.items():
            cells = self._cells(name, x)
            mask = torch.stack([shown for shown, _ in drawn[name]]).to(dtype)
            moved = torch.stack([shift for _, shift in drawn[name]]).to(dtype)
            for dim, (length, number) in enumerate(zip(x.shape[2:], cells, strict=True)):
                # As in the paper, the grid is stretched over one cell more than the input, and the input's part of it
                # begins anywhere within the first one. The centres of cells are where their values hold.
                cell = math.ceil(length / number)
                begin = (moved[:, dim] * (cell + 1)).floor()
                at = (torch.arange(length, device=device, dtype=dtype) + begin[:, None] + 0.5) / (
                    cell * (number + 1) / number
                ) - 0.5
                mask = stretched(mask, dim + 1, at)
            masks[name] = mask
        return masks

    def _cells(self, name: str, x: Tensor) -> tuple[int, ...]:
        lengths = x.shape[2:]
        cells = [self.cells] * len(lengths) if isinstance(self.cells, int) else list(self.cells)
        if len(cells) != len(lengths):
            raise ParameterError(
                f"cells={self.cells!r} has {len(cells)} entries; input {name!r} of shape {tuple(x.shape)} has "
                f"{len(lengths)} dimensions behind the channels"
            )
        return tuple(min(number, length) for number, length in zip(cells, lengths, strict=True))

    def _notes(
        self, evaluation: Evaluation, masked: Mapping[str, Tensor], coverage: Mapping[str, Tensor], seen: Tensor
    ) -> list[str]:
        notes = []
        if left := [name for name in evaluation.varied if name not in masked]:
            notes.append(f"inputs without positions stay as they are: {', '.join(left)}")
        begun = seen[seen > 0]
        if len(begun) and float(begun.min()) < self.samples:
            notes.append(f"interrupted: some maps are from {int(begun.min())} of {self.samples} masks")
        hidden = sum(int((each[seen > 0] == 0).sum()) for each in coverage.values())
        if hidden:
            notes.append(
                f"{hidden} positions were behind every mask, and their relevance says nothing: give more samples"
            )
        return notes


def _zeros(x: Tensor, dtype: torch.dtype) -> Tensor:
    return torch.zeros(len(x), *x.shape[2:], dtype=dtype, device=x.device)


def _per_sample(fill: Tensor, x: Tensor) -> Tensor:
    return fill if len(fill) == len(x) else fill.expand_as(x)


def _begun(done: Sequence[int]) -> int:
    """How many samples, from the first, have an estimate: an unfinished one is an estimate from fewer masks."""
    return next((number for number, steps in enumerate(done) if not steps), len(done))
