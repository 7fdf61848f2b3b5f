"""What a rule of xai-lrp is told when it stands at one linear map inside a cell."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

from torch import Tensor

from xaicore.propagation import DenseForm

if TYPE_CHECKING:
    from xaicore.propagation import State


class InnerState:
    """The part of `xaicore.propagation.State` that rules for linear layers use, for one map of a recurrent layer.

    Parameters
    ----------
    outer : State
        Of the recurrent layer: keeps the books and what is derived from weights.
    name : Hashable
        Which map of the layer this is.
    linear : DenseForm
    """

    factored = False
    nonnegative = (False,)

    def __init__(self, outer: State, name: Hashable, linear: DenseForm) -> None:
        self.layer = outer.layer
        self.ledger_open = outer.ledger_open
        self.linear = linear
        self._outer = outer
        self._name = name

    def cached(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """See `State.cached`."""
        return self._outer.cached((self._name, key), make)

    def absorb(self, *, bias: Tensor | None = None, stabilizer: Tensor | None = None) -> None:
        """See `State.absorb`."""
        self._outer.absorb(bias=bias, stabilizer=stabilizer)

    def note(self, *args: object, **options: object) -> None:
        """See `State.note`."""
        self._outer.note(*args, **options)  # type: ignore[arg-type]
