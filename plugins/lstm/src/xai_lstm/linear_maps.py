"""Relevance through the linear maps of a cell, step by step, with any rule of xai-lrp."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from xai_lrp.rules import Epsilon, Zero, stabilized_ratio
from xai_lstm.inner_state import InnerState
from xaicore.propagation import DenseForm

if TYPE_CHECKING:
    from xaicore.propagation import State


@dataclass(frozen=True)
class Terms:
    """``z = x W^T + h U^T + b`` at every step: what is multiplied, with what, and the sum.

    Attributes
    ----------
    name : Hashable
        Tells the maps of a layer apart.
    z : Tensor
        (time, batch, outputs).
    x, to_x : Tensor
        (time, batch, inputs) and (outputs, inputs): known for all steps at once.
    h, to_h : Tensor
        (time, batch, states) and (outputs, states): each step's relevance is needed by the step before. Where a map
        has no such part, it is of width zero (`without`).
    bias : Tensor or None
        (outputs,).
    """

    name: Hashable
    z: Tensor
    x: Tensor
    to_x: Tensor
    h: Tensor
    to_h: Tensor
    bias: Tensor | None = None

    @property
    def count(self) -> int:
        """How many units each output is connected to."""
        return self.x.shape[-1] + self.h.shape[-1]


def without(tensor: Tensor) -> Tensor:
    """A tensor like this with nothing in its last dimension: a part that a map does not have."""
    return tensor[..., :0]


class LinearMap(Protocol):
    """Relevance through a linear map, from the last step to the first."""

    def back(self, step: int, r: Tensor) -> Tensor:
        """Take the relevance of ``z`` at one step, (batch, outputs), and return that of ``h``, (batch, states)."""

    def of_inputs(self) -> Tensor:
        """The relevance of ``x``, (time, batch, inputs), once all steps were taken; closes the books."""


def linear_map(rule: Any, terms: Terms, state: State) -> LinearMap:
    """Relevance through ``terms`` by this rule; LRP-0 and epsilon, whose ratios are known for all steps, are fused."""
    return _FusedMap(rule, terms, state) if is_fused(rule) else _AnyMap(rule, terms, state)


def is_fused(rule: Any) -> bool:
    """Whether a rule is LRP-0 or epsilon itself; one that is derived from them may share in another way."""
    return type(rule) is Zero or (type(rule) is Epsilon and rule.epsilon_relative == 0)


def epsilon_of(rule: Any) -> float:
    """The stabilizer of a rule that is `Epsilon` or `Zero`."""
    return float(getattr(rule, "epsilon", 0.0))


class _FusedMap:
    """LRP-epsilon: what outputs are divided by is computed for all steps at once, and so is what the inputs get."""

    def __init__(self, rule: Any, terms: Terms, state: State) -> None:
        self.terms = terms
        self.state = state
        self.mode = rule.bias
        z, bias = terms.z, terms.bias
        below = z - bias if bias is not None and self.mode == "ignore" else z
        self.inverse = stabilized_ratio(torch.ones_like(below), below, epsilon_of(rule))
        self.at_step = self.inverse.unbind(0)
        self.h = terms.h.unbind(0)
        self.steps: list[Tensor | None] = [None] * z.shape[0]
        # What part of an output's relevance the bias holds, and what part the stabilizer keeps.
        asked = state.ledger_open or self.mode in ("distribute", "conserve")
        self.of_bias = bias * self.inverse if asked and bias is not None and self.mode != "ignore" else None
        self.kept = 1 - below * self.inverse if asked else None
        self.spread = self._spread()
        self.spread_at_step = None if self.spread is None else self.spread.unbind(0)

    def _spread(self) -> Tensor | None:
        """What part of an output's relevance goes to each unit that it is connected to, evenly."""
        parts = {"distribute": [self.of_bias], "conserve": [self.of_bias, self.kept]}.get(self.mode, [])
        given = [part for part in parts if part is not None]
        return sum(given[1:], given[0]) / self.terms.count if given else None

    def back(self, step: int, r: Tensor) -> Tensor:
        """See `LinearMap.back`."""
        self.steps[step] = r
        of_state = torch.matmul(r * self.at_step[step], self.terms.to_h) * self.h[step]
        if self.spread_at_step is not None:
            of_state = of_state + (r * self.spread_at_step[step]).sum(-1, keepdim=True)
        return of_state

    def of_inputs(self) -> Tensor:
        """See `LinearMap.of_inputs`."""
        r = torch.stack([step for step in self.steps if step is not None])
        if self.state.ledger_open:
            self.state.absorb(
                bias=r * self.of_bias if self.of_bias is not None and self.mode == "absorb" else None,
                stabilizer=r * self.kept if self.kept is not None and self.mode != "conserve" else None,
            )
        of_inputs = torch.matmul(r * self.inverse, self.terms.to_x) * self.terms.x
        if self.spread is not None:
            of_inputs = of_inputs + (r * self.spread).sum(-1, keepdim=True)
        return of_inputs


class _AnyMap:
    """Any rule for linear layers, asked once a step."""

    def __init__(self, rule: Any, terms: Terms, state: State) -> None:
        self.rule = rule
        self.terms = terms
        self.state = state
        self.weight = state.cached((terms.name, "side by side"), lambda: torch.cat([terms.to_x, terms.to_h], -1))
        self.shares: list[Tensor | None] = [None] * terms.z.shape[0]

    def back(self, step: int, r: Tensor) -> Tensor:
        """See `LinearMap.back`."""
        terms = self.terms
        given = torch.cat([terms.x[step], terms.h[step]], -1)
        inner = InnerState(self.state, terms.name, DenseForm(given, self.weight, terms.bias))
        (share,) = self.rule([given], [terms.z[step]], [r], inner)
        width = terms.x.shape[-1]
        self.shares[step] = share[..., :width]
        of_state: Tensor = share[..., width:]
        return of_state

    def of_inputs(self) -> Tensor:
        """See `LinearMap.of_inputs`."""
        return torch.stack([share for share in self.shares if share is not None])
