"""Shapley sampling: what features add to the output when they appear in random orders."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_perturbation.features import check_features, resolve_features
from xai_perturbation.filling import Filled
from xai_perturbation.orders import Orders
from xai_perturbation.parameters import check_integer, check_spread
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError


class ShapleySampling(ExpansionAnalyzer):
    """Shapley values by random orders in which features appear (Castro et al. 2009; Strumbelj and Kononenko 2010).

    Along an order, the features appear one after the other in place of the fill; each gets what the output gains when
    it appears, and the mean over the orders is its value. Each order shares the output less that of the fill out among
    the features, so that the values always sum to it. An order of G features takes G - 1 runs of the model, since all
    orders begin with the same run and end with the input itself.

    Parameters
    ----------
    features : None, int, tuple, str, Segmentation, Tensor or dict of them by input
        Which entries appear together. None: columns, tokens, cells of an 8 x 8 grid. An int or tuple: the size of grid
        cells. Labels of your own, or superpixels (``'quickshift'``, ``'slic'``, ``'felzenszwalb'``). See
        `xai_perturbation.features.resolve_features`.
    samples : int
        How many orders.
    fill : float, sequence of float, str, Tensor or Baseline
        What stands for features that have not appeared: a number, one a channel, ``"mean"``, ``"blur"``, values; of
        tokens the index of one, such as the mask token. Of several variants, such as `Data` (a background of samples),
        each order has one, in turn. At an inner layer, in values of that layer.
    antithetic : bool
        Whether every second order is the reverse of the one before, with the same fill: the errors of the two partly
        cancel (Mitchell et al. 2022).
    spread : {'share', 'each'}
        How the value of a feature comes to its entries: in equal shares, which keep the sum, or the whole value at
        each.
    seed : int
        Of the orders.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        features: Any = None,
        samples: int = 26,
        fill: Any = 0.0,
        antithetic: bool = True,
        spread: str = "share",
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.features = features
        self.samples = samples
        self.fill = fill
        self.antithetic = antithetic
        self.spread = spread
        self.seed = seed
        check_features(features)
        check_integer("samples", samples, least=1)
        resolve_baseline(fill, what="fill")
        if not isinstance(antithetic, bool):
            raise ParameterError(f"antithetic={antithetic!r} must be True or False")
        check_spread(spread)
        check_integer("seed", seed, least=0)

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Follow one order after the other."""
        features = resolve_features(self.features, evaluation)
        fill = evaluation.own(resolve_baseline(self.fill, what="fill"))
        orders = Orders(features.counts, self.samples, self.seed, self.antithetic, evaluation.device)
        variants = torch.tensor(orders.variants(fill.count))
        fills = int(variants.max()) + 1
        filled = Filled(evaluation, features, fill)

        def places(block: Block) -> tuple[Tensor, Tensor]:
            """Of the steps behind the fills: which order each follows, and how many features have appeared there."""
            numbers = torch.arange(max(block.first, fills), max(block.last, fills)) - fills
            between = max(1, features.count - 1)
            return numbers // between, numbers % between + 1

        def run(block: Block) -> Tensor:
            order, appeared = places(block)
            # The first steps are the fills themselves, where nothing has appeared.
            alone = len(block.steps) - len(order)
            nothing = torch.zeros(alone, dtype=torch.long)
            present = orders.present(torch.cat([nothing, order]), torch.cat([nothing, appeared]), block)
            return filled.scores(present, [*block.steps[:alone], *variants[order].tolist()], block)

        empty = torch.zeros(evaluation.batch, fills, dtype=torch.float64)
        # Each run counts for the feature that has just appeared, and against the next one.
        gains = torch.zeros(evaluation.batch, orders.nobody + 1, dtype=torch.float64)
        steps = fills + self.samples * (features.count - 1)
        sweep = engine.sweep(evaluation.batch, steps, run, device=evaluation.device, footprint=evaluation.footprint)
        for block, found in sweep:
            scores = found.cpu().double()
            order, appeared = places(block)
            alone = len(block.steps) - len(order)
            block.of(empty)[:, list(block.steps[:alone])] = scores[:, :alone]
            following = orders.at(order, appeared, block)
            latest = orders.at(order, appeared - 1, block).where(following != orders.nobody, orders.nobody)
            block.of(gains).scatter_add_(1, latest, scores[:, alone:]).scatter_add_(1, following, -scores[:, alone:])
        before, after = empty[:, variants], evaluation.values.cpu().double()[:, None].expand(-1, self.samples)
        gains.scatter_add_(1, orders.first(), -before).scatter_add_(1, orders.last(), after)

        dtype = dtype_of_sums(evaluation)
        values = gains[:, : features.count] / self.samples
        return Attribution(
            features.spread(values.to(evaluation.device, dtype), self.spread),
            reference=before.mean(1).to(evaluation.device, dtype),
            conserving=self.spread == "share",
            finished=sweep.finished,
        )
