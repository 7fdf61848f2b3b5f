"""How much relevance lies on the object: as a share, and by pixel beside what lies around it."""

from __future__ import annotations

import torch

from xai_evaluation.localization.base import Localization
from xaicore.explanation import relevance_inside
from xaicore.scoring import Case, Scores

_NOTHING = "undefined where no relevance counts: `of` says which does"


class RelevanceMass(Localization):
    """Share of the relevance that lies on the object: the sum over its pixels by the sum over all pixels.

    A map without any structure gets the share of the image that the object takes, so that scores of small and large
    objects are no more comparable than their sizes are.

    Parameters
    ----------
    of : {"positive", "absolute", "negative"}
        Which relevance counts, channels summed.

    Notes
    -----
    NaN where the mask is empty, where no relevance counts, or some is not finite. 1 where the mask is full.

    References
    ----------
    Arras, Osman and Samek 2022, "CLEVR-XAI", relevance mass accuracy. Kohlbrenner et al. 2020, "Towards best practice
    in explaining neural network decisions with LRP", attribution localisation.
    """

    signs = ("positive", "absolute", "negative")

    def score(self, case: Case) -> Scores:
        values = relevance_inside(case.relevance[case.located], case.masks, self.of)
        nothing = bool((self.pixels(case).sum(1) == 0).any())
        return self.judged(case, values, needs_outside=False, notes=[_NOTHING] if nothing else [])


class InsideOutsideRatio(Localization):
    """Mean relevance of a pixel on the object by that of a pixel beside it: 1 for a map without any structure.

    The inverse of the outside-inside ratio by which Lapuschkin et al. measure how much context a model uses.

    Parameters
    ----------
    of : {"positive", "absolute", "negative"}
        Which relevance counts, channels summed.

    Notes
    -----
    Infinite where all that counts lies on the object; a mean over samples is then infinite too, and has no interval:
    the median, or `RelevanceMass`, says more. NaN where the mask is empty or full, where no relevance counts, or some
    is not finite.

    References
    ----------
    Lapuschkin et al. 2016, "Analyzing classifiers: Fisher vectors and deep neural networks", outside-inside relevance
    ratio.
    """

    bounds = (0.0, None)
    signs = ("positive", "absolute", "negative")

    def score(self, case: Case) -> Scores:
        relevance, masks = case.relevance[case.located], case.masks
        # Two shares, and not one and its rest: of nothing outside the share is exactly 0.
        inside, outside = relevance_inside(relevance, masks, self.of), relevance_inside(relevance, ~masks, self.of)
        sizes = masks.flatten(1).sum(1), (~masks).flatten(1).sum(1)
        values = (inside / sizes[0]) / (outside / sizes[1])
        notes = [_NOTHING] if bool((self.pixels(case).sum(1) == 0).any()) else []
        notes += ["infinite where nothing that counts lies outside"] if bool(torch.isinf(values).any()) else []
        return self.judged(case, values, needs_outside=True, notes=notes)
