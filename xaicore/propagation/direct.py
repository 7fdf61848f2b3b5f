"""Layers whose vector-Jacobian product is one known operation, so that their forward needs no record of autograd's.

Most of a network is convolutions, additions and ReLUs. A record costs some fifty microseconds a layer, which is much
beside what a layer of a small batch takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from xaicore.graph import Kind, Layer
from xaicore.propagation.linear_form import linear_form
from xaicore.propagation.record import Record, without_data

Pullback = Callable[[Tensor], Sequence[Tensor | None]]


@dataclass
class DirectRecord(Record):
    """The record of a layer with one output, by the function that takes its relevance or gradient back."""

    pullback: Pullback = lambda r: ()

    @classmethod
    def by(cls, pullback: Pullback, xs: Sequence[Tensor], y: Tensor, active: Sequence[bool]) -> DirectRecord:
        """The record of a layer that gave ``y`` for ``xs``."""
        return cls(tuple(xs), (y,), tuple(active), (None,) * len(xs), (None,), pullback=pullback)

    def vjp(self, rs: Sequence[Tensor | None], *, create_graph: bool) -> list[Tensor | None]:
        """See `Record.vjp`."""
        (r,) = rs
        if r is None:
            return [None] * len(self.xs)
        return [each if flag else None for each, flag in zip(self.pullback(r), self.active, strict=True)]


def pullback_of(
    layer: Layer, xs: Sequence[Tensor], parameter: Callable[[str], Tensor | None]
) -> Callable[[Tensor], Pullback] | None:
    """Gives, from the layer's output, its vector-Jacobian product; None where only autograd knows it."""
    if is_relu(layer):
        return _through_relu
    if layer.kind is Kind.ADD and layer.op_name == "add" and _adds_alike(layer, xs):
        return lambda y: lambda r: (r, r)
    if layer.kind in (Kind.CONVOLUTION, Kind.LINEAR) and len(xs) == 1:
        form = linear_form(layer, xs[0], parameter)
        if form is not None and form.weight.dtype == xs[0].dtype:
            return lambda y: lambda r: (form.pull(r),)
    return None


def is_relu(layer: Layer) -> bool:
    """Whether the layer is ReLU itself: the derivative of a clamp, which is called so as well, is one at zero."""
    return layer.op is torch.ops.aten.relu.default


def _adds_alike(layer: Layer, xs: Sequence[Tensor]) -> bool:
    plain = len(xs) == 2 and layer.options.get("alpha", 1) == 1
    return plain and xs[0].shape == xs[1].shape and xs[0].dtype == xs[1].dtype


def _through_relu(y: Tensor) -> Pullback:
    return lambda r: (torch.ops.aten.threshold_backward.default(r, y, 0),)


def relu_in_place(x: Tensor) -> tuple[Tensor, DirectRecord]:
    """Clip ``x`` itself; the result is all that the derivative needs."""
    with torch.no_grad():
        y = torch.relu_(x.detach())
    return y, DirectRecord.by(_through_relu(y), [without_data(x)], y, [True])
