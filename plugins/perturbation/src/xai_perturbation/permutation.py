"""Permutation: a feature gets the values that it has in other samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor

from xai_perturbation.features import check_features, resolve_features
from xai_perturbation.pool import Pool, check_alike, tensors_of
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.engine import Block, Engine, generator
from xaicore.errors import InputError, ParameterError


class Permutation(ExpansionAnalyzer):
    """What the output loses when a feature is exchanged between samples (Breiman 2001; Fisher et al. 2019).

    The importance of a feature by permutation, for each sample: its output as it is, less the mean of its outputs with
    the feature's values of other samples. The mean over a data set tells which features a model uses there.

    The other samples are those of the batch, so that a result depends on it, and a batch needs two samples or more.
    After ``fit(data)`` they are samples of the data, and a result no longer depends on the batch.

    Parameters
    ----------
    features : None, int, tuple, str, Segmentation, Tensor or dict of them by input
        Which entries are exchanged together; default: columns, tokens, or the cells of a grid. See
        `xai_perturbation.features.resolve_features`.
    repeats : int
        With how many other samples each feature is exchanged, all different; at most as many as there are.
    pool : int
        How many samples ``fit`` keeps of the data, drawn at random where there are more.
    seed : int
        Of the choice of the other samples.

    Attributes
    ----------
    pool_ : Pool
        After ``fit``: the samples to take values from.
    """

    family = "perturbation"
    needs_whole_batch = True

    def __init__(self, model: Any, *, features: Any = None, repeats: int = 1, pool: int = 500, seed: int = 0) -> None:
        super().__init__(model)
        self.features = features
        self.repeats = repeats
        self.pool = pool
        self.seed = seed
        check_features(features)
        for name, value in (("repeats", repeats), ("pool", pool)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ParameterError(f"{name}={value!r} must be a positive integer")
        if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
            raise ParameterError(f"seed={seed!r} must be an integer that is not negative")

    def fit(self, data: Any = None) -> Self:
        """Keep samples of the data, to take the values of features from.

        Parameters
        ----------
        data : Tensor, array, tuple or dict of them, or iterable of batches
            Inputs as ``analyze`` takes them.
        """
        pool = Pool(self.pool, self.seed)
        for tensors in tensors_of(self.model, data):
            pool.add(tensors)
        if not pool.size:
            raise InputError("fit needs data: the iterable holds no batch")
        self.pool_ = pool
        return self

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Exchange one feature after the other."""
        features, dtype = resolve_features(self.features, evaluation), dtype_of_sums(evaluation)
        varied, device = evaluation.varied, evaluation.device
        others = self._others(evaluation)
        fitted = hasattr(self, "pool_")
        size = len(next(iter(others.values())))
        repeats = min(self.repeats, size if fitted else size - 1)

        def losses(block: Block) -> Tensor:
            """What each sample loses at each step, (samples, steps)."""
            numbers = torch.arange(block.first, block.last, device=device) // repeats
            present = ~features.only(numbers)
            orders = {group: order_of(size, self.seed, group) for group in range(int(numbers[0]), int(numbers[-1]) + 1)}
            columns = [
                drawn(orders[step // repeats], step % repeats)
                if fitted
                else partners(orders[step // repeats], step % repeats)
                for step in block.steps
            ]
            index = torch.stack(columns, dim=1).to(device)
            index = index.expand(block.samples, -1) if fitted else block.of(index)
            rows = {}
            for name, x in varied.items():
                if name not in features.labels:
                    rows[name] = block.repeat(x)
                    continue
                keep = features.entries(name, present, block)
                rows[name] = torch.where(keep, block.cross(x), others[name][index]).flatten(0, 1)
            scores = block.grid(evaluation.scores(rows, block))
            return block.cross(evaluation.values).to(dtype) - scores.to(dtype)

        values = torch.zeros(evaluation.batch, features.count, dtype=dtype, device=device)
        sweep = engine.sweep(
            evaluation.batch, features.count * repeats, losses, device=device, footprint=evaluation.footprint
        )
        for block, lost in sweep:
            numbers = torch.arange(block.first, block.last, device=device) // repeats
            block.of(values).index_add_(1, numbers, lost, alpha=1 / repeats)
        return Attribution(features.spread(values, how="each"), finished=sweep.finished)

    def _others(self, evaluation: Evaluation) -> Mapping[str, Tensor]:
        """The samples from which features get their values, (size, ...) each."""
        if hasattr(self, "pool_"):
            if evaluation.layer is not None:
                raise InputError(
                    "permutation was fitted on inputs, which have no values for an inner layer: explain at the inputs, "
                    "or leave fit out, so that the samples of the batch exchange their values"
                )
            check_alike(evaluation.varied, self.pool_.samples, "the batch", "the data of fit")
            return self.pool_.samples
        if evaluation.batch < 2:
            raise InputError(
                "permutation exchanges features between samples, and this batch has only one: give more samples, or "
                "call fit(data), so that they are exchanged with samples of the data"
            )
        return evaluation.varied


def order_of(size: int, seed: int, group: int) -> Tensor:
    """A random order of the other samples, of its own for each feature, (size,)."""
    return torch.randperm(size, generator=generator(seed, group))


def partners(order: Tensor, repeat: int) -> Tensor:
    """With which other sample each sample of a batch exchanges, (B,), for a random order of the batch.

    The samples stand in a circle, and each takes the values of the one ``repeat + 1`` places further: never its own,
    every other one once in B - 1 repeats.
    """
    found = torch.empty_like(order)
    found[order] = order.roll(-(repeat + 1))
    return found


def drawn(order: Tensor, repeat: int) -> Tensor:
    """The sample of the pool for all samples of a batch, (1,), for a random order of the pool."""
    return order[repeat : repeat + 1]
