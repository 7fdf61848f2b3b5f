"""Selections that depend on the input: which of two tensors ``where`` takes, which entries an index picks."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import difference, wide
from xai_gradients.deeplift.rescale import Comparing
from xaicore.graph import Graph, Kind, Layer
from xaicore.propagation import State, reads

_CONDITIONS = {"where": "condition", "masked_fill": "mask"}


class Choice(Comparing):
    """``where`` and ``masked_fill`` under a condition that is computed from the input.

    Where sample and reference choose alike, the layer is linear. Where they do not, the difference of the output is
    shared between both tensors in proportion to the sizes of their own differences; with one tensor and a constant it
    is Rescale, so that a ReLU written as ``where(x > 0, x, 0)`` is treated as one. Nothing is lost, unless both are
    the same in sample and reference and only the condition differs.
    """

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the tensors that are chosen from."""
        r, layer = rs[0], state.layer
        if r is None:
            return [None] * len(xs)
        x0s, y0 = self.reference.xs(layer), self.reference.ys(layer)[0]
        at = layer.input_names.index(_CONDITIONS[layer.op_name])
        alike = xs[at] == x0s[at]
        r, dy = wide(r), difference(ys[0], y0)
        changes = {i: difference(x, x0s[i]) for i, x in enumerate(xs) if x.is_floating_point()}
        size = sum((change.abs() for change in changes.values()), torch.zeros_like(dy))
        share = torch.where(size > 0, r * dy / size, 0)
        lost = (~alike & (size == 0) & (dy != 0)).sum()
        state.note(_told(layer), when=lost > 0, values=[lost])
        plain = state.vjp([torch.where(alike, r, 0)])
        found: list[Tensor | None] = [None] * len(xs)
        for i, change in changes.items():
            differing = torch.where(alike, 0, share * change.sign())
            kept = plain[i]
            found[i] = differing.sum_to_size(xs[i].shape) + (0 if kept is None else wide(kept))
        return found


@reads()
def picked(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> Sequence[Tensor | None]:
    """A selection by indices that depend on the input: linear with those of the sample, and a note."""
    state.note(
        f"'{state.layer.name}' selects by what it computes from the input: what a change of that selection contributes "
        "is not attributed, and the completeness gap tells how much that is"
    )
    return state.vjp(rs)


def is_choice(layer: Layer, graph: Graph) -> bool:
    """Whether a layer is a ``where`` or ``masked_fill`` whose condition depends on the input."""
    return _CONDITIONS.get(layer.op_name) in layer.input_names


def is_picked(layer: Layer, graph: Graph) -> bool:
    """Whether a layer selects by integers or truth values that depend on the input."""
    return layer.kind is Kind.SELECT and any(not ref.info.differentiable for ref in layer.inputs)


def _told(layer: Layer) -> str:
    return (
        f"'{layer.name}' chooses otherwise for the reference where nothing that it chooses from differs: what that "
        "contributes is not attributed, and the completeness gap tells how much that is"
    )
