"""The Gini index of relevance."""

from __future__ import annotations

import torch

from xai_evaluation.complexity.features import magnitudes, undefined_notes
from xaicore.scoring import Case, Metric, Scores


class Gini(Metric):
    """Gini index of the magnitudes of relevance: 0 where all features have as much, towards 1 where few have all.

    For magnitudes m_1 <= ... <= m_F it is the sum of (2 i - F - 1) m_i by F times the sum of all m_i, which is at most
    1 - 1/F. Of all channels of a pixel the magnitude is that of their sum; equal features may come in any order.

    Notes
    -----
    NaN where all relevance is 0, or some is not finite.

    References
    ----------
    Hurley and Rickard 2009, "Comparing measures of sparsity", table I. Chalasani et al. 2020, "Concise explanations of
    neural networks using adversarial training".
    """

    higher_is_better = True
    bounds = (0.0, 1.0)

    def score(self, case: Case) -> Scores:
        sizes = magnitudes(case)
        count, total = sizes.shape[1], sizes.sum(1)
        weights = 2 * torch.arange(1, count + 1, device=sizes.device, dtype=sizes.dtype) - count - 1
        index = (sizes.sort(1).values * weights).sum(1) / (count * total)
        # The weights of equal features cancel but for rounding.
        values = torch.where((total > 0) & torch.isfinite(total), index.clamp(min=0), torch.nan)
        return self.scores(values, notes=undefined_notes(sizes))
