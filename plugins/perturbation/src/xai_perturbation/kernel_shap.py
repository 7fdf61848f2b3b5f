"""Kernel SHAP: Shapley values by a weighted regression on coalitions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_perturbation.coalitions import Coalitions, kernel_coalitions
from xai_perturbation.features import check_features, resolve_features
from xai_perturbation.filling import Filled, Tables
from xai_perturbation.parameters import check_integer, check_spread
from xai_perturbation.regression import as_columns, check_regressor, fit_each, resolve_regressor
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine


class KernelShap(ExpansionAnalyzer):
    """Shapley values by a weighted linear regression on coalitions (Lundberg and Lee 2017, theorem 2).

    The value of a coalition of features is the output where the others are filled. The values of all features sum to
    the output less that of the fill: exactly, whatever the number of coalitions. Where all coalitions are run, they
    are the Shapley values themselves.

    Parameters
    ----------
    features : None, int, tuple, str, Segmentation, Tensor or dict of them by input
        Which entries are present or absent together. None: columns, tokens, cells of an 8 x 8 grid. An int or tuple:
        the size of grid cells. Labels of your own, or superpixels (``'quickshift'``, ``'slic'``, ``'felzenszwalb'``).
        See `xai_perturbation.features.resolve_features`.
    samples : int, optional
        Most coalitions to run, for each variant of the fill, beside the empty one. Default: 2 G + 2048 for G features.
        With at least 2^G - 2 of them all are run.
    fill : float, sequence of float, str, Tensor or Baseline
        What stands for absent features: a number, one a channel, ``"mean"``, ``"blur"``, values; of tokens the index of
        one, such as the mask token. Of `Data` (a background of samples) the value of a coalition is the mean over all
        of it. At an inner layer, in values of that layer.
    regressor : optional
        A linear regressor of scikit-learn that takes sample weights, such as ``Lasso(alpha=0.001)`` for few features
        with a value, or ``'ridge'`` or ``'lasso'``. Default: least squares. The sum of the values is exact with each.
    spread : {'share', 'each'}
        How the value of a feature comes to its entries: in equal shares, which keep the sum, or the whole value at
        each.
    seed : int
        Of the coalitions that are drawn.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        features: Any = None,
        samples: int | None = None,
        fill: Any = 0.0,
        regressor: Any = None,
        spread: str = "share",
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.features = features
        self.samples = samples
        self.fill = fill
        self.regressor = regressor
        self.spread = spread
        self.seed = seed
        check_features(features)
        if samples is not None:
            check_integer("samples", samples, least=2)
        resolve_baseline(fill, what="fill")
        check_regressor(regressor)
        check_spread(spread)
        check_integer("seed", seed, least=0)

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Run the coalitions, then fit the values."""
        features = resolve_features(self.features, evaluation)
        fill = evaluation.own(resolve_baseline(self.fill, what="fill"))
        chosen = {count: self._coalitions(count) for count in dict.fromkeys(features.counts)}
        tables = Tables(
            features, {count: _after_empty(each.present) for count, each in chosen.items()}, evaluation.device
        )
        filled = Filled(evaluation, features, fill)

        def run(block: Block) -> Tensor:
            numbers = torch.arange(block.first, block.last, device=evaluation.device)
            present = tables.present(numbers % tables.steps, block)
            return filled.scores(present, [step // tables.steps for step in block.steps], block)

        scores = torch.zeros(evaluation.batch, tables.steps, dtype=torch.float64)
        sweep = engine.sweep(
            evaluation.batch,
            tables.steps * fill.count,
            run,
            device=evaluation.device,
            footprint=evaluation.footprint,
        )
        for block, found in sweep:
            numbers = torch.arange(block.first, block.last) % tables.steps
            block.of(scores).index_add_(1, numbers, found.cpu().double(), alpha=1 / fill.count)

        full, empty = evaluation.values.cpu().double(), scores[:, 0]
        values = torch.zeros(evaluation.batch, features.count, dtype=torch.float64)
        regressor = resolve_regressor(self.regressor, "linear")
        for count, coalitions in chosen.items():
            samples = [number for number, own in enumerate(features.counts) if own == count]
            rest = scores[samples, 1 : 1 + len(coalitions.present)]
            fitted = shapley_values(coalitions, rest, full[samples], empty[samples], regressor)
            values[samples, :count] = torch.from_numpy(fitted)
        dtype = dtype_of_sums(evaluation)
        return Attribution(
            features.spread(values.to(evaluation.device, dtype), self.spread),
            reference=empty.to(evaluation.device, dtype),
            conserving=self.spread == "share",
            notes=_told(chosen),
            finished=sweep.finished,
        )

    def _coalitions(self, count: int) -> Coalitions:
        return kernel_coalitions(count, 2 * count + 2048 if self.samples is None else self.samples, self.seed)


def shapley_values(coalitions: Coalitions, scores: Tensor, full: Tensor, empty: Tensor, regressor: Any) -> np.ndarray:
    """The linear function of coalitions that fits their values best and is exact for the full and the empty one.

    What all features share equally of the gain, ``(full - empty) / G``, is taken off; what is left of the values sums
    to zero. A row of ones with target zero says so to the regression. It is orthogonal to all others, which are centred
    for this, so that it takes nothing from the fit, and all features are treated alike.

    Parameters
    ----------
    coalitions : Coalitions
        n of G features.
    scores : Tensor (B, n)
        The values of the coalitions.
    full, empty : Tensor (B,)
        Those of the full and of the empty one.
    regressor
        Of scikit-learn, linear.

    Returns
    -------
    array (B, G)
    """
    count = coalitions.present.shape[1]
    gain = (full - empty).numpy()
    present = coalitions.present.double().numpy()
    share = present.mean(1, keepdims=True)
    design = np.concatenate([present - share, np.ones((1, count))])
    targets = as_columns(scores - empty[:, None]) - share * gain
    # One each on average, as the penalty of a ridge regression expects.
    importance = np.append(coalitions.weights.numpy(), 1 / count) * max(1, len(present))
    if "fit_intercept" in regressor.get_params():
        regressor = regressor.set_params(fit_intercept=False)
    fit = fit_each(regressor, design, np.concatenate([targets, np.zeros((1, len(gain)))]), importance)
    apart: np.ndarray = fit.weights - fit.weights.mean(1, keepdims=True)
    return apart + gain[:, None] / count


def _after_empty(present: Tensor) -> Tensor:
    return torch.cat([present.new_zeros(1, present.shape[1]), present])


def _told(chosen: dict[int, Coalitions]) -> list[str]:
    """How far the values can be trusted, for coalitions by the number of features."""
    estimated = {count: len(each.present) for count, each in chosen.items() if not each.complete}
    if not estimated:
        return ["exact Shapley values: all coalitions were run"]
    features, number = _range(estimated), _range(estimated.values())
    # A coalition and its complement tell the regression the same.
    few = any(each // 2 < count - 1 for count, each in estimated.items())
    return [
        f"Shapley values estimated from {number} coalitions of {features} features"
        f"{'; too few to tell all features apart' if few else ''}"
    ]


def _range(numbers: Collection[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"
