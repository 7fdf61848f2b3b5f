"""Relevance in two factors: what each value of a tensor counts, times the value."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from xaicore.graph import Layer, Ref
from xaicore.propagation.matching import Matching

MappingT = TypeVar("MappingT", bound=Callable[..., Any])

#: A mapping hands on coefficients, whatever it is given.
ALWAYS = "always"
#: A mapping hands on coefficients if all it is given are coefficients.
IF_GIVEN = "if_given"


@dataclass(frozen=True)
class Coefficient:
    """Relevance ``tensor * value`` at a tensor of the graph, not multiplied out.

    Rules that share relevance in proportion to contributions find what each unit of an input's value is worth. As long
    as that is not multiplied with the value, the layer before need not divide by its own value again: a sum hands it
    on as it is. That saves passes over memory, and no number near zero is divided by.

    Attributes
    ----------
    tensor : Tensor
        The coefficients, shaped like the value. Branches share it: never written to.
    clipped : bool
        The value counts only where it is positive: relevance comes from behind a ReLU that reads it.
    """

    tensor: Tensor
    clipped: bool = False

    def times(self, value: Tensor) -> Tensor:
        """The relevance itself."""
        return self.tensor * (value.clamp(min=0) if self.clipped else value)

    def of_nonzero(self, value: Tensor, nonnegative: bool = False) -> Tensor:
        """The coefficients where the value counts and is not zero, zero elsewhere."""
        if self.clipped or nonnegative:
            found: Tensor = torch.ops.aten.threshold_backward.default(self.tensor, value, 0)
            return found
        return self.tensor * (value != 0)


def hands_on_coefficients(when: str) -> Callable[[MappingT], MappingT]:
    """Say that a mapping function takes `Coefficient` for relevance where ``state.factored``, and returns it so.

    Parameters
    ----------
    when : {ALWAYS, IF_GIVEN}
    """

    def declare(mapping: MappingT) -> MappingT:
        mapping.hands_on = lambda layer: when  # type: ignore[attr-defined]
        return mapping

    return declare


def hands_on(mapping: Any, layer: Layer) -> str | None:
    """When a mapping hands on coefficients at this layer; None: it knows relevance only as it is."""
    declared = getattr(mapping, "hands_on", None)
    return None if declared is None else declared(layer)


def only_coefficients(matching: Matching, dense: Collection[Ref]) -> set[Ref]:
    """The tensors at which nothing but coefficients can arrive on a factored walk.

    ``dense`` are those at which something else may: where a walk starts, and where a filter stands.
    """
    found: set[Ref] = set()
    for layer in reversed(matching.graph.layers):
        for index in range(len(layer.outputs)):
            ref = Ref(layer, index)
            readers = [matching.matches[c] for c in matching.graph.consumers.get(ref, ()) if c in matching.matches]
            if readers and ref not in dense and all(_sends_coefficients(reader, found) for reader in readers):
                found.add(ref)
    return found


def _sends_coefficients(match: Any, found: set[Ref]) -> bool:
    when = hands_on(match.mapping, match.layer)
    if when == IF_GIVEN:
        return all(Ref(match.layer, index) in found for index in range(len(match.layer.outputs)))
    return when == ALWAYS


class Arrived:
    """What has arrived at one tensor, over all branches."""

    def __init__(self) -> None:
        self._sums: dict[bool | None, Tensor] = {}  # by the clipping of coefficients; None: relevance itself
        self._own: set[bool | None] = set()  # sums that were made here, so that more may be added in place

    def add(self, sent: Tensor | Coefficient) -> None:
        """Add what one more branch sends."""
        key, tensor = (sent.clipped, sent.tensor) if isinstance(sent, Coefficient) else (None, sent)
        if key not in self._sums:
            self._sums[key] = tensor
        elif key in self._own and not (self._sums[key].requires_grad or tensor.requires_grad):
            self._sums[key].add_(tensor)
        else:
            self._sums[key] = self._sums[key] + tensor
            self._own.add(key)

    def total(self, value: Callable[[], Tensor]) -> Tensor | Coefficient | None:
        """The sum of all: coefficients where only coefficients arrived, None where nothing did."""
        coefficients = [Coefficient(tensor, key) for key, tensor in self._sums.items() if key is not None]
        if None not in self._sums:
            if len(coefficients) > 1:
                plain, clipped = sorted(coefficients, key=lambda each: each.clipped)
                return Coefficient(plain.tensor + clipped.of_nonzero(value()))
            return coefficients[0] if coefficients else None
        return sum((each.times(value()) for each in coefficients), self._sums[None])
