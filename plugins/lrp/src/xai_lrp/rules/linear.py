"""Access to the linear form of a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xaicore.errors import MatchError

if TYPE_CHECKING:
    from xaicore.propagation import LinearForm, State


def linear_of(state: State) -> LinearForm:
    """The layer as ``y = A(x, weight) + bias``, or an error that says why there is none."""
    if state.linear is None:
        raise MatchError(
            f"A rule for linear layers stands at {state.layer.where()}, which is of kind '{state.layer.kind}'. "
            "Narrow the condition in the composite: kind(Kind.CONVOLUTION, Kind.LINEAR)."
        )
    return state.linear
