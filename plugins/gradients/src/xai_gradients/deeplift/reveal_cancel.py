"""RevealCancel: positive and negative parts of what enters a nonlinearity have multipliers of their own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from xai_gradients.deeplift.differences import derivative, difference, is_lost, wide
from xai_gradients.deeplift.rescale import Comparing
from xaicore.graph import Graph, Kind, Layer, Ref
from xaicore.propagation import State, reads

_UNMIXING = (Kind.RESHAPE, Kind.SELECT, Kind.SCALE, Kind.ADD, Kind.CAST)


def is_elementwise(layer: Layer) -> bool:
    """Whether the layer is a function of one tensor, number by number."""
    alike = len(layer.inputs) == 1 and layer.inputs[0].info.shape == layer.outputs[0].shape
    return layer.kind is Kind.ACTIVATION and alike and len(layer.outputs) == 1


def nonlinearity_after(layer: Layer, graph: Graph) -> Layer | None:
    """The elementwise nonlinearity that alone reads a weighted layer or a sum; None: there is no such pair."""
    weighted = layer.kind in (Kind.CONVOLUTION, Kind.LINEAR) and len(layer.inputs) == 1
    added = layer.kind is Kind.ADD and layer.op_name in ("add", "sub", "rsub") and len(layer.inputs) == 2
    readers = graph.consumers.get(layer.ref, [])
    if not (weighted or added) or len(readers) != 1 or layer.ref in graph.outputs.values():
        return None
    return readers[0] if is_elementwise(readers[0]) else None


@reads()
def handed_on(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> Sequence[Tensor | None]:
    """A nonlinearity whose rule is applied by the layer before it, which knows the parts of its input."""
    return rs


class RevealCancel(Comparing):
    """A weighted layer or a sum, together with the nonlinearity behind it (Shrikumar et al. 2017, section 3.5.3).

    The change of the nonlinearity's input has a positive and a negative part, the sums of the contributions of either
    sign. Each part changes the output on its own and after the other one; its multiplier is from the mean of both. A
    contribution to the layer then takes the multiplier of the part that it belongs to, by its sign; an input that does
    not change takes half of each (section 3.5.1).
    """

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        """Multipliers of the layer's inputs, given those of the nonlinearity's output."""
        if rs[0] is None:
            return [None] * len(xs)
        changes = [difference(x, x0) for x, x0 in zip(xs, self.reference.xs(state.layer), strict=True)]
        if state.layer.kind is Kind.ADD:
            return self._through_sum(changes, ys[0], rs[0], state)
        return [self._through_weights(changes[0], ys[0], rs[0], state)]

    def _through_sum(self, changes: Sequence[Tensor], y: Tensor, r: Tensor, state: State) -> list[Tensor | None]:
        signs = _signs(state.layer)
        given = [change * sign for change, sign in zip(changes, signs, strict=True)]
        positive = sum((each.clamp(min=0) for each in given[1:]), given[0].clamp(min=0))
        up, down = self._multipliers(y, positive, r, state)
        found: list[Tensor | None] = []
        for change, contribution, sign in zip(changes, given, signs, strict=True):
            multiplier = torch.where(contribution > 0, up, torch.where(contribution < 0, down, (up + down) / 2))
            found.append((multiplier * sign).sum_to_size(change.shape))
        return found

    def _through_weights(self, change: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        form = state.linear
        assert form is not None  # a convolution or linear layer with constant weights
        weight = form.weight
        plus = state.cached("positive weight", lambda: weight.clamp(min=0))
        minus = state.cached("negative weight", lambda: weight.clamp(max=0))
        change = change.to(weight.dtype)
        positive = form.apply(change.clamp(min=0), plus) + form.apply(change.clamp(max=0), minus)
        up, down = (each.to(weight.dtype) for each in self._multipliers(y, wide(positive), r, state))
        rising = form.pull(up, plus) + form.pull(down, minus)
        falling = form.pull(up, minus) + form.pull(down, plus)
        return torch.where(change > 0, rising, torch.where(change < 0, falling, (rising + falling) / 2))

    def _multipliers(self, y: Tensor, positive: Tensor, r: Tensor, state: State) -> tuple[Tensor, Tensor]:
        """Multipliers of the positive and the negative part of the change of the nonlinearity's input."""
        nonlinearity = nonlinearity_after(state.layer, self.reference.graph)
        assert nonlinearity is not None
        y, y0 = wide(y), wide(self.reference.ys(state.layer)[0])
        negative = difference(y, y0) - positive

        def f(at: Tensor) -> Tensor:
            return wide(self.reference.evaluate(nonlinearity, [at.to(state.layer.outputs[0].dtype)])[0])

        both, none, first, second = f(y), f(y0), f(y0 + positive), f(y0 + negative)
        rises = ((first - none) + (both - second)) / 2
        falls = ((second - none) + (both - first)) / 2
        lost = [is_lost(part, y, y0) for part in (positive, negative)]
        slopes = [change / part for change, part in ((rises, positive), (falls, negative))]
        if bool(lost[0].any()) or bool(lost[1].any()):
            gradient = derivative(self.reference, nonlinearity, y, y0)
            slopes = [torch.where(each, gradient, slope) for each, slope in zip(lost, slopes, strict=True)]
        return wide(r) * slopes[0], wide(r) * slopes[1]


def nonlinearities_by_rescale(graph: Graph, layers: Sequence[Layer], starts: Sequence[Ref]) -> list[str]:
    """The elementwise nonlinearities among these layers to which only Rescale applies, by name.

    Those whose input mixes nothing, being a number of what is varied, shifted or scaled, are not among them: there both
    rules are the same.
    """
    return [
        layer.module_path or layer.name
        for layer in layers
        if is_elementwise(layer)
        and nonlinearity_after(layer.inputs[0].layer, graph) is None
        and not _is_unmixed(layer.inputs[0], starts)
    ]


def _is_unmixed(ref: Ref, starts: Sequence[Ref]) -> bool:
    while ref not in starts and ref.layer.kind in _UNMIXING and len(ref.layer.inputs) == 1:
        ref = ref.layer.inputs[0]
    return ref in starts


def _signs(layer: Layer) -> list[float]:
    """The factor of each input of a sum."""
    alpha = layer.options.get("alpha", 1)
    factors = {"add": (1, alpha), "sub": (1, -alpha), "rsub": (-alpha, 1)}[layer.op_name]
    return [float(factors[0] if name == "self" else factors[1]) for name in layer.input_names]
