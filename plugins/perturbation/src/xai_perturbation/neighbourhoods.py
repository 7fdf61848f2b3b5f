"""Neighbourhoods of a sample, from which LIME learns: what is varied, and how the linear model sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from xai_perturbation.coalitions import random_coalitions
from xai_perturbation.features import Features
from xai_perturbation.filling import Filled
from xaicore.analyzers import Evaluation
from xaicore.analyzers.baselines import Baseline
from xaicore.engine import Block, generator
from xaicore.errors import InputError


class Neighbourhood(ABC):
    """Variations of each sample, all drawn alike whatever the batch.

    Attributes
    ----------
    number : int
        How many variations, beside the sample itself.
    repetitions : int
        How often each is run, with another variant of the fill.
    """

    number: int
    repetitions: int = 1

    @abstractmethod
    def scores(self, block: Block) -> Tensor:
        """The explained value of each row of a block, (samples, steps); a step is a variation and a repetition."""

    @abstractmethod
    def designs(self) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """Which samples have which design: (1 + number, G), the sample itself in front."""

    @abstractmethod
    def spread(self, weights: Tensor, how: str) -> dict[str, Tensor]:
        """The weights of the features, (B, G), as values of the entries."""


class Presence(Neighbourhood):
    """Features are present or filled, each with probability one half; the linear model sees which are present."""

    def __init__(self, evaluation: Evaluation, features: Features, fill: Baseline, number: int, seed: int) -> None:
        self.number, self.repetitions = number, fill.count
        self._features = features
        # The numbers of a feature do not depend on how many there are, so that all samples can share them.
        self._present = random_coalitions(features.count, number, seed)
        self._table = self._present.to(evaluation.device)
        self._filled = Filled(evaluation, features, fill)

    def scores(self, block: Block) -> Tensor:
        present = self._table[torch.arange(block.first, block.last, device=self._table.device) % self.number]
        return self._filled.scores(present, [step // self.number for step in block.steps], block)

    def designs(self) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        counts = self._features.counts
        for count in dict.fromkeys(counts):
            present = self._present[:, :count].double().numpy()
            samples = [number for number, own in enumerate(counts) if own == count]
            yield samples, np.concatenate([np.ones((1, count)), present])

    def spread(self, weights: Tensor, how: str) -> dict[str, Tensor]:
        return self._features.spread(weights, how)


class _Columns(Neighbourhood):
    """Every entry of the inputs is a feature of its own."""

    def __init__(self, evaluation: Evaluation, number: int) -> None:
        self.number, self._evaluation = number, evaluation
        self._sizes = [x[0].numel() for x in evaluation.varied.values()]

    def _scores(self, flat: Tensor, block: Block) -> Tensor:
        """The values of rows given as (samples, steps, columns)."""
        rows = {}
        for (name, x), part in zip(self._evaluation.varied.items(), flat.split(self._sizes, -1), strict=True):
            rows[name] = part.reshape(block.rows, *x.shape[1:]).to(x.dtype)
        return block.grid(self._evaluation.scores(rows, block))

    def spread(self, weights: Tensor, how: str) -> dict[str, Tensor]:
        parts = weights.split(self._sizes, 1)
        return {
            name: part.reshape(x.shape) for (name, x), part in zip(self._evaluation.varied.items(), parts, strict=True)
        }


class Gaussian(_Columns):
    """Normal noise in units of the standard deviations of the columns; the linear model sees the noise."""

    def __init__(self, evaluation: Evaluation, scales: Tensor, number: int, seed: int) -> None:
        super().__init__(evaluation, number)
        self._flat = columns_of(evaluation.varied)
        self._scales = scales
        noise = [
            torch.randn(len(scales), generator=generator(seed, step), dtype=torch.float64) for step in range(number)
        ]
        # A column that is constant in the data is not varied.
        self._noise = torch.stack(noise) * (scales > 0)

    def scores(self, block: Block) -> Tensor:
        moved = (self._noise[block.first : block.last] * self._scales).to(self._flat.device, self._flat.dtype)
        return self._scores(block.cross(self._flat) + moved, block)

    def designs(self) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        yield range(len(self._flat)), np.concatenate([np.zeros((1, len(self._scales))), self._noise.numpy()])


class Quartiles(_Columns):
    """Each column drawn from the data; the linear model sees which stay in the quartile of the sample."""

    def __init__(self, evaluation: Evaluation, data: Tensor, number: int, seed: int) -> None:
        super().__init__(evaluation, number)
        flat = columns_of(evaluation.varied)
        draws = [torch.randint(len(data), data.shape[1:], generator=generator(seed, step)) for step in range(number)]
        self._drawn = data.gather(0, torch.stack(draws))
        self._edges = torch.from_numpy(np.quantile(data.numpy(), [0.25, 0.5, 0.75], axis=0))
        self._own = self._quartile(flat.cpu().to(data.dtype))
        self._dtype, self._device = flat.dtype, flat.device

    def scores(self, block: Block) -> Tensor:
        drawn = self._drawn[block.first : block.last].to(self._device, self._dtype)
        return self._scores(drawn.expand(block.samples, -1, -1), block)

    def designs(self) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        drawn = self._quartile(self._drawn)
        for sample, own in enumerate(self._own):
            same = (drawn == own).double().numpy()
            yield [sample], np.concatenate([np.ones((1, same.shape[1])), same])

    def _quartile(self, values: Tensor) -> Tensor:
        """The number of the quartile of each value, (rows, columns); an edge belongs to the quartile below it."""
        return (values.unsqueeze(0) > self._edges.unsqueeze(1)).sum(0)


def columns_of(varied: Mapping[str, Tensor]) -> Tensor:
    """All entries of each sample in one row, (B, columns)."""
    for name, x in varied.items():
        if not x.is_floating_point():
            raise InputError(
                f"input {name!r} is of type {x.dtype}: only floating-point columns can be varied in units of their "
                "spread. Give floats, or use mode='presence'"
            )
    return torch.cat([x.flatten(1) for x in varied.values()], 1)
