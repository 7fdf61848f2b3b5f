"""Linear models fitted by scikit-learn to what a model says about variations of a sample."""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from xaicore.errors import InputError, ParameterError, nearest

_WORDS = ("ridge", "lasso", "linear")


@dataclass(frozen=True)
class Fit:
    """One linear model for each of B samples.

    Attributes
    ----------
    weights : array (B, G)
    r_squared : array (B,)
        Share of the weighted variance that the model accounts for.
    """

    weights: np.ndarray
    r_squared: np.ndarray


def check_regressor(regressor: Any) -> None:
    """Refuse what is neither a word for a regressor nor one of scikit-learn's that takes weights.

    Raises
    ------
    ParameterError
    """
    if isinstance(regressor, str):
        if regressor not in _WORDS:
            raise ParameterError(
                f"regressor={regressor!r} is not known: choose one of {', '.join(_WORDS)}, or give a linear regressor "
                f"of scikit-learn.{nearest(regressor, _WORDS)}"
            )
    elif regressor is not None:
        if not hasattr(regressor, "fit") or not hasattr(regressor, "get_params") or isinstance(regressor, type):
            raise ParameterError(
                f"regressor={regressor!r} is not a regressor: give one of {', '.join(_WORDS)}, or an instance of a "
                "linear regressor of scikit-learn, such as Ridge(alpha=0.1)"
            )
        if "sample_weight" not in inspect.signature(regressor.fit).parameters:
            raise ParameterError(
                f"regressor={regressor!r} takes no sample_weight in fit, so that near variations could not count more: "
                "choose one that does, such as Ridge, Lasso or LinearRegression"
            )


def resolve_regressor(regressor: Any, default: str) -> Any:
    """A regressor of scikit-learn: the user's own, or the one that a word means."""
    from sklearn.linear_model import Lasso, LinearRegression, Ridge

    word = default if regressor is None else regressor
    if word == "ridge":
        return Ridge(alpha=1.0)
    if word == "lasso":
        return Lasso(alpha=0.01)
    return LinearRegression() if word == "linear" else word


def fit_each(regressor: Any, design: np.ndarray, scores: np.ndarray, importance: np.ndarray) -> Fit:
    """Fit a copy of the regressor to each sample.

    Parameters
    ----------
    regressor
        Of scikit-learn, linear: with ``coef_`` once it is fitted.
    design : array (n, G)
        What was varied, the same for all samples.
    scores : array (n, B)
        What the model said.
    importance : array (n,)
        How much each variation counts.

    Raises
    ------
    InputError
        Where scores are NaN or infinite.
    ParameterError
        Where the fitted regressor has no ``coef_``.
    """
    from sklearn.base import clone
    from sklearn.linear_model import LinearRegression, Ridge
    from sklearn.metrics import r2_score

    check_finite(scores)
    columns = scores.shape[1]
    # These two solve for all samples at once, in the time of one.
    together = type(regressor) in (LinearRegression, Ridge)
    weights = np.zeros((columns, design.shape[1]))
    r_squared = np.ones(columns)
    parts = [slice(0, columns)] if together else [slice(each, each + 1) for each in range(columns)]
    for part in parts:
        fitted = clone(regressor)
        fitted.fit(design, scores[:, part] if together else scores[:, part.start], sample_weight=importance)
        if not hasattr(fitted, "coef_"):
            raise ParameterError(f"regressor={regressor!r} has no coef_ after fit: only linear models have weights")
        weights[part] = np.reshape(fitted.coef_, (part.stop - part.start, -1))
        predicted = np.reshape(fitted.predict(design), (len(design), -1))
        if len(design) > 1:
            r_squared[part] = r2_score(scores[:, part], predicted, sample_weight=importance, multioutput="raw_values")
    return Fit(weights, r_squared)


def check_finite(scores: np.ndarray) -> None:
    """Refuse scores that no regression can use."""
    bad = ~np.isfinite(scores)
    if bad.any():
        sample = int(bad.any(0).nonzero()[0][0])
        raise InputError(
            f"the model's output is NaN or infinite for {int(bad[:, sample].sum())} of {len(scores)} variations of "
            f"sample {sample}: choose a fill that the model can take, or another target"
        )


def as_columns(scores: Tensor) -> np.ndarray:
    """Scores (B, n) as one column a sample, (n, B), in float64."""
    columns: np.ndarray = scores.detach().cpu().double().numpy().T
    return columns
