"""Pass: relevance unchanged."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

from xaicore.errors import MatchError
from xaicore.propagation import IF_GIVEN, Coefficient

if TYPE_CHECKING:
    from xaicore.graph import Layer
    from xaicore.propagation import State


@dataclass(frozen=True)
class Pass:
    """Relevance unchanged, for layers whose one input has the shape of their output."""

    @property
    def needs(self) -> Collection[str]:
        """Shapes only, no values."""
        return frozenset()

    def hands_on(self, layer: Layer) -> str | None:
        """A ReLU keeps values or makes them zero: what its output is worth, its input is worth where it is positive."""
        return IF_GIVEN if layer.op_name == "relu" else None

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        if len(xs) != 1 or xs[0].shape != ys[0].shape:
            shapes = ", ".join(str(tuple(x.shape)) for x in xs)
            raise MatchError(
                f"Pass() hands relevance on unchanged and needs one input of the output's shape, but "
                f"{state.layer.where()} turns {shapes} into {tuple(ys[0].shape)}. Use another rule there: Flat()."
            )
        (r,) = rs
        return [Coefficient(r.tensor, clipped=True) if isinstance(r, Coefficient) else r]
