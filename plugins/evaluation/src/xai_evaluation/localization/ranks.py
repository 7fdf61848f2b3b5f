"""Whether the most relevant pixels lie on the object. Equally relevant pixels get the mean over all their orders."""

from __future__ import annotations

import math
import numbers

import torch
from torch import Tensor

from xai_evaluation.localization.base import Localization
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Scores


class RankAccuracy(Localization):
    """Share of the K most relevant pixels that lie on the object, where the object has K pixels.

    Pixels that are equally relevant count with the mean over all orders of them: a constant map gets the share of the
    image that the object takes, which is chance.

    Parameters
    ----------
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts, channels summed; what does not count is equally irrelevant.

    Notes
    -----
    NaN where the mask is empty or relevance is not finite. 1 where the mask is full.

    References
    ----------
    Arras, Osman and Samek 2022, "CLEVR-XAI", relevance rank accuracy.
    """

    def score(self, case: Case) -> Scores:
        inside = case.masks.flatten(1)
        return self.judged(case, share_of_top(self.pixels(case), inside, inside.sum(1)), needs_outside=False)


class TopKIntersection(Localization):
    """Share of the k most relevant pixels that lie on the object.

    Where the object has fewer than k pixels, the score cannot reach 1. Pixels that are equally relevant count with the
    mean over all orders of them.

    Parameters
    ----------
    k : int or float
        How many pixels; a float between 0 and 1: which share of the image, rounded to at least one pixel.
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts, channels summed; what does not count is equally irrelevant.

    Notes
    -----
    NaN where the mask is empty or relevance is not finite. 1 where the mask is full.

    References
    ----------
    Theiner, Mueller-Budack and Ewerth 2022, "Interpretable semantic photo geolocation".
    """

    def __init__(self, *, k: int | float = 0.1, of: str = "positive") -> None:
        super().__init__(of=of)
        self.k = k
        is_count = isinstance(k, numbers.Integral) and not isinstance(k, bool) and k >= 1
        if not is_count and not (isinstance(k, float) and 0 < k <= 1):
            raise ParameterError(f"k={k!r} must be a number of pixels, or a share of them as a float up to 1.0")

    def score(self, case: Case) -> Scores:
        values = self.pixels(case)
        count = values.shape[1]
        k = max(1, round(self.k * count)) if isinstance(self.k, float) else int(self.k)
        if k > count:
            raise InputError(f"k={k}: the relevance has {count} pixels only; a share, such as k=0.1, fits any size")
        most = torch.full((len(values),), k, device=values.device)
        return self.judged(case, share_of_top(values, case.masks.flatten(1), most), needs_outside=False)


class PointingGame(Localization):
    """Whether the most relevant pixel lies on the object: 1 or 0.

    Where several pixels are the most relevant, the share of them that lies on the object. A map on which nothing counts
    thus gets the share of the image that the object takes.

    Parameters
    ----------
    tolerance : float
        A pixel hits that is at most so far from one of the object's, in pixels; Zhang et al. take 15 for photographs.
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts, channels summed; what does not count is equally irrelevant.

    Notes
    -----
    NaN where the mask is empty or relevance is not finite. 1 where the mask is full.

    References
    ----------
    Zhang et al. 2018, "Top-down neural attention by excitation backprop", the pointing game.
    """

    def __init__(self, *, tolerance: float = 0.0, of: str = "positive") -> None:
        super().__init__(of=of)
        self.tolerance = tolerance
        if isinstance(tolerance, bool) or not isinstance(tolerance, numbers.Real) or not 0 <= tolerance < math.inf:
            raise ParameterError(f"tolerance={tolerance!r} must be a distance in pixels, 0 or more")

    def score(self, case: Case) -> Scores:
        masks = _widened(case.masks, self.tolerance) if self.tolerance else case.masks
        values = self.pixels(case)
        first = torch.ones(len(values), dtype=torch.long, device=values.device)
        return self.judged(case, share_of_top(values, masks.flatten(1), first), needs_outside=False)


class LocalizationAUC(Localization):
    """Area under the ROC curve of relevance as a detector of the object's pixels.

    The probability that a pixel of the object is more relevant than one beside it, where a draw counts as one half
    (Mann and Whitney): 0.5 for a constant map, whatever the size of the object.

    Parameters
    ----------
    of : {"positive", "absolute", "negative", "signed"}
        Which relevance counts, channels summed; what does not count is equally irrelevant.

    Notes
    -----
    NaN where the mask is empty or full, or relevance is not finite.

    References
    ----------
    Fawcett 2006, "An introduction to ROC analysis". Mann and Whitney 1947.
    """

    def score(self, case: Case) -> Scores:
        from scipy.stats import rankdata

        values, inside = self.pixels(case), case.masks.flatten(1)
        ranks = torch.from_numpy(rankdata(values.cpu().numpy(), axis=1)).to(values)  # draws share their mean rank
        size = inside.sum(1)
        wins = torch.where(inside, ranks, 0).sum(1) - size * (size + 1) / 2
        return self.judged(case, wins / (size * (inside.shape[1] - size)), needs_outside=True)


def share_of_top(values: Tensor, inside: Tensor, k: Tensor) -> Tensor:
    """The share of the k largest of each row that is inside, (B,): over draws for the last places, the expected one.

    Parameters
    ----------
    values, inside : Tensor (B, P)
    k : Tensor (B,)
        NaN for a row where it is 0.
    """
    last = values.sort(1, descending=True).values.gather(1, (k - 1).clamp_min(0)[:, None])
    above, drawn = values > last, values == last
    places = k - above.sum(1)
    hits = (above & inside).sum(1) + places * (drawn & inside).sum(1) / drawn.sum(1)
    return torch.where(k > 0, hits.double() / k, torch.nan)


def _widened(masks: Tensor, distance: float) -> Tensor:
    """Masks (B, 1, ...) or (B, T) with all that is at most so far from what is inside."""
    from scipy.ndimage import distance_transform_edt

    found = masks.clone()
    for sample, mask in enumerate(masks):
        if bool(mask.any()):
            inside = mask[0] if mask.ndim > 1 else mask
            near = distance_transform_edt(~inside.cpu().numpy()) <= distance
            found[sample] = torch.from_numpy(near).to(masks.device)
    return found
