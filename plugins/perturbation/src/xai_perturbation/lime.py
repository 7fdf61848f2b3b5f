"""LIME: a linear model fitted to the output around each sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from xai_perturbation.features import check_features, resolve_features
from xai_perturbation.locality import check_locality, counting, distances_of, importance_of
from xai_perturbation.neighbourhoods import Gaussian, Neighbourhood, Presence, Quartiles, columns_of
from xai_perturbation.parameters import check_integer, check_spread
from xai_perturbation.regression import as_columns, check_regressor, fit_each, resolve_regressor
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer, varied_inputs
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Engine, prepare_arrays
from xaicore.errors import InputError, NotFittedError, ParameterError, nearest

_MODES = ("presence", "gaussian", "quartiles")
_THIN = (
    "fewer variations count than there are features: weights say little there, whatever R^2 is; give a larger "
    "kernel_width, or more samples"
)


class Lime(ExpansionAnalyzer):
    """Weights of a linear model fitted to the output around each sample (Ribeiro et al. 2016, section 3.3).

    Relevance is the weight of each feature: what the output gains when it is present (or, of ``mode="gaussian"``, when
    it grows by one standard deviation). How well the linear model fits is recorded as ``r_squared``, one number a
    sample: where it is small, the weights say little.

    Parameters
    ----------
    features : None, int, tuple, str, Segmentation, Tensor or dict of them by input
        Which entries are present or filled together. None: columns, tokens, cells of an 8 x 8 grid. An int or tuple:
        the size of grid cells. Labels of your own, or superpixels (``'quickshift'``, ``'slic'``, ``'felzenszwalb'``).
        See `xai_perturbation.features.resolve_features`.
    samples : int
        How many variations of each sample the linear model is fitted to, the sample itself among them.
    fill : float, sequence of float, str, Tensor or Baseline
        What stands for absent features: a number, one a channel, ``"mean"``, ``"blur"``, values; of tokens the index of
        one, such as the mask token. The mean over its variants, where it has several.
    mode : {'presence', 'gaussian', 'quartiles'}
        How samples are varied. ``'presence'``: each feature is present or filled with probability one half. For
        tables, after ``fit(data)``: ``'gaussian'`` adds normal noise in units of the standard deviation of each column;
        ``'quartiles'`` draws each column from the data, and the linear model sees which stay in the same quartile.
    distance : {'cosine', 'euclidean'} or callable, optional
        Between what the linear model sees of a variation and of the sample. A function of these, (n, G) and (G,),
        returns (n,). Default: cosine of presences, else Euclidean.
    kernel : 'exponential' or callable
        How much a variation counts. ``'exponential'``: ``exp(-distance^2 / (2 kernel_width^2))``. A function of the
        distances, (n,), returns (n,).
    kernel_width : float, optional
        Default: 0.25 with the cosine distance, else 0.75 times the square root of the number of features.
    regressor : optional
        ``'ridge'`` (alpha 1), ``'lasso'`` (alpha 0.01), ``'linear'``, or a linear regressor of scikit-learn that takes
        sample weights. Default: ridge.
    spread : {'each', 'share'}
        How the weight of a feature comes to its entries: the whole weight at each, or in equal shares.
    seed : int
        Of the variations.
    """

    family = "perturbation"

    def __init__(
        self,
        model: Any,
        *,
        features: Any = None,
        samples: int = 1000,
        fill: Any = 0.0,
        mode: str = "presence",
        distance: str | Callable[[np.ndarray, np.ndarray], np.ndarray] | None = None,
        kernel: str | Callable[[np.ndarray], np.ndarray] = "exponential",
        kernel_width: float | None = None,
        regressor: Any = None,
        spread: str = "each",
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.features = features
        self.samples = samples
        self.fill = fill
        self.mode = mode
        self.distance = distance
        self.kernel = kernel
        self.kernel_width = kernel_width
        self.regressor = regressor
        self.spread = spread
        self.seed = seed
        check_features(features)
        check_integer("samples", samples, least=2)
        resolve_baseline(fill, what="fill")
        if mode not in _MODES:
            raise ParameterError(
                f"mode={mode!r} is not known: choose one of {', '.join(_MODES)}.{nearest(str(mode), _MODES)}"
            )
        if mode != "presence" and features is not None:
            raise ParameterError(
                f"features={features!r}: mode={mode!r} varies each column by itself; leave features out"
            )
        check_locality(distance, kernel, kernel_width)
        if mode == "gaussian" and distance == "cosine":
            raise ParameterError(
                "distance='cosine' does not fit mode='gaussian': seen from the sample itself, it has no direction. "
                "Choose 'euclidean' or a function"
            )
        check_regressor(regressor)
        check_spread(spread)
        check_integer("seed", seed, least=0)

    def fit(self, data: Any = None) -> Self:
        """Learn how the columns vary; needed for the modes ``'gaussian'`` and ``'quartiles'``.

        Parameters
        ----------
        data
            As the inputs of `analyze`: (N, ...), a tensor or array, or a tuple or dict of them.

        Raises
        ------
        InputError
            For data that are missing, empty or not floating-point.
        """
        if data is None:
            raise InputError("Lime.fit needs data, such as the training data: it learns how the columns vary")
        tensors = varied_inputs(prepare_arrays(data))
        self.data_ = {name: columns_of({name: tensor}).cpu().double() for name, tensor in tensors.items()}
        return self

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        """Run the variations, then fit a linear model to each sample."""
        neighbourhood = self._neighbourhood(evaluation)
        number, repetitions = neighbourhood.number, neighbourhood.repetitions
        scores = torch.zeros(evaluation.batch, number, dtype=torch.float64)
        sweep = engine.sweep(
            evaluation.batch,
            number * repetitions,
            neighbourhood.scores,
            device=evaluation.device,
            footprint=evaluation.footprint,
        )
        for block, found in sweep:
            numbers = torch.arange(block.first, block.last) % number
            block.of(scores).index_add_(1, numbers, found.cpu().double(), alpha=1 / repetitions)
        scores = torch.cat([evaluation.values.cpu().double()[:, None], scores], 1)

        regressor = resolve_regressor(self.regressor, "ridge")
        fits, thin = [], False
        for samples, design in neighbourhood.designs():
            distances, width = distances_of(self.distance, self.mode == "presence", design)
            importance = importance_of(self.kernel, self.kernel_width or width, distances)
            thin |= counting(design, importance) < design.shape[1]
            fits.append((samples, fit_each(regressor, design, as_columns(scores[list(samples)]), importance)))
        weights = np.zeros((evaluation.batch, max(fit.weights.shape[1] for _, fit in fits)))
        r_squared = np.zeros(evaluation.batch)
        for samples, fit in fits:
            weights[samples, : fit.weights.shape[1]] = fit.weights
            r_squared[samples] = fit.r_squared
        dtype = dtype_of_sums(evaluation)
        return Attribution(
            neighbourhood.spread(torch.from_numpy(weights).to(evaluation.device, dtype), self.spread),
            recorded={"r_squared": torch.from_numpy(r_squared).to(evaluation.device, dtype)},
            notes=[_told(r_squared[: sweep.finished]), *([_THIN] if thin else [])],
            finished=sweep.finished,
        )

    def _neighbourhood(self, evaluation: Evaluation) -> Neighbourhood:
        number = self.samples - 1
        if self.mode == "presence":
            features = resolve_features(self.features, evaluation)
            fill = evaluation.own(resolve_baseline(self.fill, what="fill"))
            return Presence(evaluation, features, fill, number, self.seed)
        data = self._data_for(evaluation)
        if self.mode == "gaussian":
            return Gaussian(evaluation, data.std(0, correction=0), number, self.seed)
        return Quartiles(evaluation, data, number, self.seed)

    def _data_for(self, evaluation: Evaluation) -> Tensor:
        """The data that were learnt from, (N, columns), in the order of what is varied."""
        if not hasattr(self, "data_"):
            raise NotFittedError(f"Lime with mode={self.mode!r} learns how the columns vary: call fit(data) first")
        if evaluation.layer is not None:
            raise InputError(
                f"mode={self.mode!r} varies columns as in the data that it was fitted to: leave layer= out"
            )
        varied = evaluation.varied
        by_name = set(self.data_) == set(varied)
        parts = [self.data_[name] for name in varied] if by_name else list(self.data_.values())
        fitted, needed = [part.shape[1] for part in parts], [x[0].numel() for x in varied.values()]
        if fitted != needed:
            raise InputError(
                f"Lime was fitted to inputs of {fitted} columns; these inputs have {needed}. Fit to data like these"
            )
        return torch.cat(parts, 1)


def _told(r_squared: np.ndarray) -> str:
    if len(r_squared) <= 8:
        return f"R^2 of the local linear models: {', '.join(f'{each:.3f}' for each in r_squared)}"
    return (
        f"R^2 of the local linear models: {r_squared.min():.3f} to {r_squared.max():.3f}, mean {r_squared.mean():.3f}"
    )
