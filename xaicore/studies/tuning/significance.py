"""Which candidates may be as good as the best: a winner was chosen because it won, which is partly luck."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from xaicore.scoring import resamples


def as_good_as_the_best(scores: NDArray[np.float64], higher_is_better: bool, *, seed: int = 0) -> NDArray[np.float64]:
    """Return for each candidate how likely it is to fall this far behind the best, were it as good as all others.

    Multiple comparisons with the best (Hsu 1981), by a bootstrap of the samples: a candidate's distance to whichever is
    best is compared with the distances of centred resamples, with Student's allowance for few samples. The best being
    chosen after the fact is thereby allowed for, and so is the number of candidates. The level is that of each
    candidate by itself: of several that are all equally good, one or another falls below it more often.

    Parameters
    ----------
    scores : array (candidates, samples)
        Finite; of the same samples for all.
    higher_is_better : bool
    seed : int
        Of the resamples.

    Returns
    -------
    array (candidates,)
        1 for the best, and for what equals it in every sample. NaN with fewer than two samples.

    References
    ----------
    Hsu 1981, "Simultaneous confidence intervals for all distances from the best"; Efron 1979.
    """
    candidates, samples = scores.shape
    if samples < 2:
        return np.full(candidates, math.nan)
    oriented = scores if higher_is_better else -scores
    means = oriented.mean(1)
    behind = means.max() - means
    further = np.zeros(candidates)
    total = 0
    random = np.random.default_rng([seed, 1])
    for index in resamples(samples, seed, candidates):
        # Resampled means vary less than means of new samples would, by this factor.
        deviations = (oriented[:, index].mean(2) - means[:, None]) * math.sqrt(samples / (samples - 1))
        # How much single samples vary is itself only estimated: the difference between Student's t and the normal.
        deviations *= np.sqrt((samples - 1) / random.chisquare(samples - 1, len(index)))
        distances = deviations.max(0) - deviations
        further += (distances >= behind[:, None] - 1e-12).sum(1)
        total += len(index)
    found: NDArray[np.float64] = (1 + further) / (1 + total)
    return found
