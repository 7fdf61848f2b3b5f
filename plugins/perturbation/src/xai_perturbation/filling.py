"""Coalitions put to the model: the features of a coalition as they are, the others filled."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from xai_perturbation.features import Features
from xaicore.analyzers import Evaluation
from xaicore.analyzers.baselines import Baseline
from xaicore.engine import Block


class Tables:
    """A table of coalitions for each number of features that a sample has, looked up for the rows of a block.

    Parameters
    ----------
    features : Features
    tables : mapping of int to Tensor
        For each number of features G, coalitions as (n, G) of bool. Where one has fewer than the others, its samples
        are run as they are in the remaining steps.
    device : torch.device

    Attributes
    ----------
    steps : int
        The most coalitions that a number of features has.
    """

    def __init__(self, features: Features, tables: Mapping[int, Tensor], device: torch.device) -> None:
        self.steps = max(len(table) for table in tables.values())
        self._tables = torch.ones(len(tables), self.steps, features.count, dtype=torch.bool, device=device)
        for place, (count, table) in enumerate(tables.items()):
            self._tables[place, : len(table), :count] = table.to(device)
        order = list(tables)
        self._places = torch.tensor([order.index(count) for count in features.counts], device=device)

    def present(self, numbers: Tensor, block: Block) -> Tensor:
        """The coalitions with these numbers, one a step: (steps, G), or (rows, G) where samples differ."""
        if len(self._tables) == 1:
            return self._tables[0, numbers]
        return self._tables[block.of(self._places)[:, None], numbers].flatten(0, 1)


class Filled:
    """What the model says about coalitions.

    Parameters
    ----------
    evaluation : Evaluation
    features : Features
    fill : Baseline
        What stands in place of absent features.
    """

    def __init__(self, evaluation: Evaluation, features: Features, fill: Baseline) -> None:
        self._evaluation, self._features = evaluation, features
        own = evaluation.own(fill)
        # The last one is enough: the steps of a variant follow each other.
        self._fills = functools.lru_cache(1)(lambda number: own.at(evaluation.varied, number))

    def scores(self, present: Tensor, variants: Sequence[int], block: Block) -> Tensor:
        """The explained value of each row of a block, (samples, steps).

        Parameters
        ----------
        present : Tensor of bool
            (steps, G) or (rows, G), as in `Features.masked`.
        variants : sequence of int
            Which variant of the fill each step has.
        """
        runs: dict[str, list[Tensor]] = {name: [] for name in self._evaluation.varied}
        for first, last in _runs(variants):
            part = Block(block.start, block.stop, block.first + first, block.first + last)
            own = (
                present[first:last]
                if len(present) == len(block.steps)
                else block.grid(present)[:, first:last].flatten(0, 1)
            )
            rows = self._features.masked(self._evaluation.varied, self._fills(variants[first]), own, part)
            for name, each in rows.items():
                runs[name].append(part.grid(each))
        joined = {name: parts[0] if len(parts) == 1 else torch.cat(parts, 1) for name, parts in runs.items()}
        return block.grid(self._evaluation.scores({name: each.flatten(0, 1) for name, each in joined.items()}, block))


def _runs(variants: Sequence[int]) -> list[tuple[int, int]]:
    """Where equal numbers follow each other: (first, last) of each run."""
    cuts = [at for at in range(1, len(variants)) if variants[at] != variants[at - 1]]
    return list(zip([0, *cuts], [*cuts, len(variants)], strict=True))
