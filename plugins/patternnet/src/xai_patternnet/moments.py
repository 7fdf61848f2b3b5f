"""Means and co-moments of a layer's inputs and outputs, which grow batch by batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xai_patternnet.layouts import Layout


@dataclass
class Moments:
    """Of the samples of one regime: how many, means, and the sum of ``(x_i - mean x_i) (y - mean y)``.

    ``count`` and ``y`` have one number a unit, ``x`` and ``co`` one an entry (see `xai_patternnet.layouts`); float64.
    """

    count: Tensor
    y: Tensor
    x: Tensor
    co: Tensor

    def add(self, other: Moments) -> None:
        """Take in other samples, which are used up (Chan, Golub and LeVeque 1979, equations 2.1)."""
        share = other.count / (self.count + other.count).clamp(min=1)
        dy, dx = other.y.sub_(self.y), other.x.sub_(self.x)
        self.co.add_(other.co).addcmul_(dx, dy * self.count * share)
        self.x.addcmul_(dx, share.expand_as(dx))
        self.y.addcmul_(dy, share)
        self.count += other.count

    @property
    def finite(self) -> bool:
        """Whether all of it is finite."""
        return all(bool(torch.isfinite(each.sum())) for each in (self.y, self.x, self.co))


ALL, OPEN, CLOSED = "all", "open", "closed"


def measure(layout: Layout, xs: Sequence[Tensor], y: Tensor, linear: Tensor, by_regime: bool) -> dict[str, Moments]:
    """The moments of one batch.

    Parameters
    ----------
    layout : Layout
    xs : sequence of Tensor
        The layer's inputs.
    y : Tensor
        Its output: a unit is open where that is positive.
    linear : Tensor
        Its output without bias, float64: what moments are of.
    by_regime : bool
        Moments of where units are open and of where they are closed; else of all samples together.
    """
    every = torch.ones_like(linear)
    if not by_regime:
        sums = layout.all_entries(xs, linear)
        return {ALL: _centred(layout, xs, linear, {ALL: every}, {ALL: sums})[ALL]}
    is_open = (y > 0).double()
    (open_sums,) = layout.entries(xs, [is_open])
    closed_sums = layout.all_entries(xs, linear) - open_sums
    masks = {OPEN: is_open, CLOSED: every - is_open}
    return _centred(layout, xs, linear, masks, {OPEN: open_sums, CLOSED: closed_sums})


def _centred(
    layout: Layout, xs: Sequence[Tensor], y: Tensor, masks: dict[str, Tensor], sums: dict[str, Tensor]
) -> dict[str, Moments]:
    """Where y is centred, the sum of ``x_i y`` is the co-moment: x need not be, and padding stays zero.

    Rounding leaves y a little off its centre, which a large mean of x would blow up: that is taken off again.
    """
    counts = {name: layout.units(mask) for name, mask in masks.items()}
    means = {name: layout.units(mask * y) / counts[name].clamp(min=1) for name, mask in masks.items()}
    centred = {name: mask * (y - layout.outputs(means[name])) for name, mask in masks.items()}
    products = dict(zip(masks, layout.entries(xs, list(centred.values())), strict=True))
    found = {}
    for name, count in counts.items():
        x = sums[name] / count.clamp(min=1)
        found[name] = Moments(count, means[name], x, products[name].addcmul_(x, layout.units(centred[name]), value=-1))
    return found


def merged(first: Moments, second: Moments) -> Moments:
    """The moments of all samples of two regimes, which stay as they are."""
    count = first.count + second.count
    share = second.count / count.clamp(min=1)
    dy, dx = second.y - first.y, second.x - first.x
    co = (first.co + second.co).addcmul_(dx, dy * first.count * share)
    return Moments(count, first.y + dy * share, dx.mul_(share).add_(first.x), co)
