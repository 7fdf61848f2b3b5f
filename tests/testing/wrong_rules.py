"""Rules with one thing wrong each, and two with nothing wrong, for the tests of the kit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import MatchError, ParameterError
from xaicore.graph import Kind
from xaicore.propagation import ALWAYS, Coefficient, State


@dataclass(frozen=True)
class Right:
    """LRP-epsilon (Bach et al. 2015, eq. 58), written for these tests alone."""

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        if not isinstance(self.epsilon, int | float) or not self.epsilon >= 0:
            raise ParameterError(f"epsilon={self.epsilon!r} must be a number, zero or more")

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        if state.linear is None:
            raise MatchError(f"{state.layer.where()} is not linear")
        return [None if rs[0] is None else self.share(xs[0], ys[0], rs[0], state)]

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Any:
        per_unit = r / self.stabilized(y)
        bias = state.linear.bias
        state.absorb(bias=None if bias is None else per_unit * bias, stabilizer=r - per_unit * y)
        return x * state.linear.pull(per_unit, self.weight(state))

    def weight(self, state: State) -> Tensor:
        return state.linear.weight

    def stabilized(self, y: Tensor) -> Tensor:
        return torch.where(y < 0, y - self.epsilon, y + self.epsilon)

    def jacobian_form(self, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        return weight * x / self.stabilized(weight @ x + bias)[:, None]


class WithoutForm(Right):
    jacobian_form = None  # type: ignore[assignment]

    def scaled(self, x: Tensor, y: Tensor, r: Tensor, state: State, factor: Any) -> Tensor:
        """A share, times a factor; the ledger is told honestly."""
        found = factor * (x * state.linear.pull(r / self.stabilized(y)))
        state.absorb(stabilizer=r.sum() - found.sum())
        return found


class RightFactored(Right):
    """It hands on coefficients as well."""

    factor = 1.0

    def hands_on(self, layer: Any) -> str:
        return ALWAYS

    def share(self, x: Tensor, y: Tensor, r: Any, state: State) -> Any:
        if not state.factored:
            return super().share(x, y, r, state)
        relevance = r.times(y) if isinstance(r, Coefficient) else r
        return Coefficient(self.factor * state.linear.pull(relevance / self.stabilized(y)))


class CoefficientsOfTwo(RightFactored):
    factor = 2.0


class ReprOfAnObject(Right):
    __repr__ = object.__repr__


class ReprWithoutParameters(Right):
    def __repr__(self) -> str:
        return "ReprWithoutParameters()"


class EqualToNone(Right):
    __eq__ = object.__eq__
    __hash__ = object.__hash__


class EqualToAll(Right):
    def __eq__(self, other: object) -> bool:
        return isinstance(other, EqualToAll)

    def __hash__(self) -> int:
        return 1


class WithoutHash(Right):
    __hash__ = None  # type: ignore[assignment]


class HoldsAFunction(Right):
    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "sign", lambda y: y.sign())


class TakesAnything(Right):
    def __post_init__(self) -> None:
        pass


class WidensHalves(Right):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        found = super().share(x, y, r, state)
        return found.float() if x.dtype == torch.bfloat16 else found


class WritesToRelevance(Right):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        found = super().share(x, y, r, state)
        if not torch.is_grad_enabled():
            r.zero_()
        return found


class WritesToInputs(Right):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        found = super().share(x, y, r, state)
        if not torch.is_grad_enabled():
            x.clamp_(min=0.1)
        return found


class ReadsMore(Right):
    needs = frozenset({"xs"})


class DividesByZero(Right):
    def stabilized(self, y: Tensor) -> Tensor:
        return torch.where(y == 0, y, super().stabilized(y))


class MeansOverTheBatch(WithoutForm):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        return self.scaled(x, y, r, state, 1 + (x - x.mean(0)).square().mean())


class KeepsWeights(Right):
    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "kept", {})

    def weight(self, state: State) -> Tensor:
        if torch.is_grad_enabled():
            return state.linear.weight
        return self.kept.setdefault(id(state.layer), state.linear.weight.clone())


class SaysAnotherForm(Right):
    def jacobian_form(self, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        return weight * x / (weight @ x + bias)[:, None]


class HalvesConvolutions(WithoutForm):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        return self.scaled(x, y, r, state, 0.5 if state.linear.weight.ndim > 2 else 1.0)


class RectifiesRelevance(WithoutForm):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        found = self.scaled(x, y, r.clamp(min=0), state, 1.0)
        state.absorb(stabilizer=r.clamp(max=0))
        return found


class ForgetsTheBias(Right):
    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Tensor:
        per_unit = r / self.stabilized(y)
        state.absorb(stabilizer=r - per_unit * y)
        return x * state.linear.pull(per_unit)


class DetachesWeights(Right):
    def weight(self, state: State) -> Tensor:
        return state.linear.weight.detach()


class SpreadsOverAll(WithoutForm):
    """Every input gets as much, whatever an output reads."""

    def share(self, x: Tensor, y: Tensor, r: Tensor, state: State) -> Any:
        return torch.ones_like(x) * (r.flatten(1).sum(1) / x[0].numel()).reshape(-1, *[1] * (x.dim() - 1))


class ForConvolutions(Right):
    """Nothing is wrong with it: it takes convolutions alone."""

    def __call__(self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Any], state: State) -> list[Any]:
        if state.layer.kind is not Kind.CONVOLUTION:
            raise MatchError(f"{state.layer.where()} is no convolution")
        return super().__call__(xs, ys, rs, state)
