"""A backward mapping under observation: what it is given, and what it returns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xaicore.propagation import BackwardMapping, Coefficient, State


@dataclass(frozen=True)
class Call:
    """One call of a mapping: copies of what it was given, which it may have written to, what they were, its answer."""

    xs: Sequence[Tensor]
    ys: Sequence[Any]
    rs: Sequence[Any]
    originals: Sequence[Sequence[Any]]
    returned: Any


class Watched:
    """A mapping that notes its calls; what it declares (``needs``, ``hands_on``, ...) is that of the mapping.

    It is given copies, so that one that writes to them spoils nothing for the checks after.
    """

    def __init__(self, mapping: BackwardMapping) -> None:
        self.mapping = mapping
        self.calls: list[Call] = []

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Any], rs: Sequence[Any], state: State) -> Any:
        own_xs, own_ys, own_rs = ([_copy(value) for value in values] for values in (xs, ys, rs))
        returned = self.mapping(own_xs, own_ys, own_rs, state)
        self.calls.append(Call(own_xs, own_ys, own_rs, (xs, ys, rs), returned))
        return returned

    def __getattr__(self, name: str) -> Any:
        return getattr(self.mapping, name)


def tensor_of(value: Any) -> Tensor | None:
    """The tensor itself, or that of a coefficient; None for what is neither, or has no data."""
    found = value.tensor if isinstance(value, Coefficient) else value
    return found if isinstance(found, Tensor) and not found.is_meta else None


def _copy(value: Any) -> Any:
    if isinstance(value, Coefficient):
        return Coefficient(value.tensor.clone(), value.clipped)
    return value.clone() if isinstance(value, Tensor) else value
