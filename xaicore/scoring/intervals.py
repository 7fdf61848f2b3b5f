"""How sure a mean over samples is: the bootstrap."""

from __future__ import annotations

import math
from collections.abc import Iterator
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
    """Return the bootstrap interval of the mean of independent samples.

    Percentiles of resampled means, moved outwards for few samples as Student's t is beside the normal distribution.
    It never leaves the range of the values, so that with fewer than some ten samples it still holds the true mean less
    often than it says: of normal numbers 49 % with 2 samples, 72 % with 3, 91 % with 5, 95 % with 10.

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
    Efron 1979, "Bootstrap methods: another look at the jackknife"; Hesterberg 2015, "What teachers should know about
    the bootstrap", on the expanded percentile interval.
    """
    if not 0 < confidence < 1:
        raise ParameterError(f"confidence={confidence!r} must lie between 0 and 1")
    numbers = values.detach().cpu().double().numpy()
    if len(numbers) < 2 or not np.isfinite(numbers).all():
        return Interval(math.nan, math.nan)
    means = np.concatenate([numbers[index].mean(1) for index in resamples(len(numbers), seed)])
    tail = _expanded_tail((1 - confidence) / 2, len(numbers))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(low), float(high))


def _expanded_tail(tail: float, samples: int) -> float:
    """The share of resampled means to leave out at each end."""
    from scipy.stats import norm, t

    return float(norm.cdf(math.sqrt(samples / (samples - 1)) * t.ppf(tail, samples - 1)))


def resamples(samples: int, seed: int, rows: int = 1) -> Iterator[NDArray[np.int64]]:
    """Numbers of samples drawn with replacement, (some, samples) at a time, 2000 in all.

    ``rows`` says how many lines of numbers each of them picks from: more make fewer at a time, which bounds the memory.
    """
    random = np.random.default_rng(seed)
    step = min(max(1, _AT_ONCE // (samples * rows)), _RESAMPLES)
    for start in range(0, _RESAMPLES, step):
        yield random.integers(samples, size=(min(step, _RESAMPLES - start), samples))
