"""How sure a mean over samples is: the bootstrap."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from xaicore.errors import ParameterError

_RESAMPLES = 2000
_AT_ONCE = 2**22
"""Most numbers that are drawn together."""


class Interval(NamedTuple):
    """The lower and the upper end."""

    low: float
    high: float


def bootstrap_interval(values: Tensor, confidence: float = 0.95, *, seed: int = 0) -> Interval:
    """Return the percentile bootstrap interval of the mean of independent samples.

    Parameters
    ----------
    values : Tensor (B,)
    confidence : float
        Between 0 and 1.
    seed : int
        Of the resamples.

    Returns
    -------
    Interval
        NaN where a value is NaN or infinite, or there are fewer than two.

    References
    ----------
    Efron 1979, "Bootstrap methods: another look at the jackknife".
    """
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence={confidence!r} must lie between 0 and 1")
    numbers = values.detach().cpu().double().numpy()
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        return Interval(math.nan, math.nan)
    low, high = np.quantile(resampled_means(numbers, seed), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def resampled_means(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """The means of 2000 resamples with replacement."""
    random = np.random.default_rng(seed)
    step = min(max(1, _AT_ONCE // len(values)), _RESAMPLES)
    counts = [min(step, _RESAMPLES - start) for start in range(0, _RESAMPLES, step)]
    return np.concatenate([values[random.integers(len(values), size=(count, len(values)))].mean(1) for count in counts])
