"""Patterns from moments: what varies together with the output of a unit (Kindermans et al. 2018, section 4)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from xai_patternnet.layouts import Layout
from xai_patternnet.moments import ALL, CLOSED, OPEN, Moments, merged

LINEAR, POSITIVE, NEGATIVE = ESTIMATORS = ("linear", "positive", "negative")
_ROUNDING = 1e-12  # of a sum, as a share of what cancels in it
_OFFSET_ROUNDING = 1e-16  # of co-moments, as a share of the means: much less, since they are of centred values


class Estimate(NamedTuple):
    """The pattern of each unit, in the shape of the entries; how many units there are, and how many have none."""

    pattern: Tensor
    units: int
    dead: int


def estimate_all(layout: Layout, moments: Mapping[str, Moments]) -> dict[str, Estimate]:
    """The patterns by each estimator that these moments are enough for."""
    if ALL in moments:
        return {LINEAR: linear_pattern(layout, moments[ALL])}
    whole = merged(moments[OPEN], moments[CLOSED])
    return {
        LINEAR: linear_pattern(layout, whole),
        POSITIVE: regime_pattern(layout, moments[OPEN], whole.y),
        NEGATIVE: regime_pattern(layout, moments[CLOSED], whole.y),
    }


def linear_pattern(layout: Layout, moments: Moments) -> Estimate:
    """``a = cov[x, y] / (w' cov[x, y])``, the denominator being the variance of y: the linear estimator."""
    return regime_pattern(layout, moments, moments.y)


def regime_pattern(layout: Layout, moments: Moments, mean: Tensor) -> Estimate:
    """``a = (E+[x y] - E+[x] E[y]) / (w' E+[x y] - w' E+[x] E[y])``, E+ over one regime, E over all."""
    # E+[x y] = cov+[x, y] + E+[x] E+[y]. Much of this is as large as the weights: written over where it can be.
    count = moments.count.clamp(min=1)
    numerator = (moments.x * (moments.y - mean)).add_(moments.co / count)
    weight = layout.weight
    products = weight * numerator
    denominator = layout.total(products)
    # What is left where all of it cancels is rounding; that is so where y is the same for all samples.
    rounding = _ROUNDING * layout.total(products.abs_())
    offset = layout.total(torch.mul(weight, moments.x, out=products).abs_()) * (moments.y.abs() + mean.abs())
    dead = (moments.count == 0) | (denominator.abs() <= rounding + _OFFSET_ROUNDING * offset)
    scale = torch.where(dead, 0.0, 1 / torch.where(dead, 1.0, denominator))
    return Estimate(numerator.mul_(scale), layout.count(torch.ones_like(dead)), layout.count(dead))
