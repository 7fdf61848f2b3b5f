"""Mappings with one thing wrong each, and one with nothing wrong, for the tests of the kit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.propagation import ALWAYS, Coefficient, State, reads


class Right:
    """Relevance in proportion to contributions, for layers that are sums."""

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        if rs[0] is None:
            return [None] * len(xs)
        return self.share(xs, ys[0], rs[0], state)

    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        pulled = state.vjp([r / self.stabilized(y)])
        found = [self.factor(x) * x * p for x, p in zip(xs, pulled, strict=True)]
        state.absorb(stabilizer=r.sum() - sum(each.sum() for each in found))
        return found

    def factor(self, x: Tensor) -> Any:
        return 1.0

    def stabilized(self, y: Tensor) -> Tensor:
        return torch.where(y < 0, y - 0.1, y + 0.1)


class WidensHalves(Right):
    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        found = super().share(xs, y, r, state)
        return [each.float() if y.dtype == torch.bfloat16 else each for each in found]


class WritesToOutputs(Right):
    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        found = super().share(xs, y, r, state)
        if not torch.is_grad_enabled():
            y.abs_()
        return found


class ReadsMore(Right):
    needs = frozenset[str]()


class AsksForDerivatives(Right):
    differentiates = False


class DividesByZero(Right):
    def stabilized(self, y: Tensor) -> Tensor:
        return torch.where(y == 0, y, super().stabilized(y))


class MeansOverTheBatch(Right):
    def factor(self, x: Tensor) -> Tensor:
        return 1 + (x - x.mean(0)).square().mean()


class CoefficientsOfTwo(Right):
    def hands_on(self, layer: Any) -> str:
        return ALWAYS

    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        if not state.factored:
            return super().share(xs, y, r, state)
        relevance = r.times(y) if isinstance(r, Coefficient) else r
        return [Coefficient(2 * p) for p in state.vjp([relevance / self.stabilized(y)])]


class RectifiesRelevance(Right):
    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        state.absorb(stabilizer=r.clamp(max=0))
        return super().share(xs, y, r.clamp(min=0), state)


class ForgetsTheStabilizer(Right):
    def share(self, xs: Sequence[Tensor], y: Tensor, r: Any, state: State) -> list[Any]:
        pulled = state.vjp([r / self.stabilized(y)])
        return [x * p for x, p in zip(xs, pulled, strict=True)]


class CopiesToNumbers(Right):
    def stabilized(self, y: Tensor) -> Tensor:
        return super().stabilized(y.detach())


@reads()
def wants_all_outputs(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """Nothing, where one output has no relevance."""
    if any(r is None for r in rs):
        state.absorb(stabilizer=sum(r.sum() for r in rs if r is not None))
        return [torch.zeros_like(x, device=rs[0].device if rs[0] is not None else rs[1].device) for x in xs]
    return state.vjp(rs)


@reads()
def by_derivative(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """Right for layers that copy values."""
    return state.vjp(rs)


right = Right()


@reads()
def turns_round(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
    """All relevance arrives, in another order."""
    return [r.flip(-1) for r in state.vjp(rs) if r is not None]
