"""Relevance through the sum of two terms in a cell, with any rule of xai-lrp."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xai_lrp.rules import stabilized_ratio
from xai_lstm.inner_state import InnerState
from xai_lstm.linear_maps import epsilon_of, is_fused
from xaicore.propagation import DenseForm

if TYPE_CHECKING:
    from xaicore.propagation import State


class Sum:
    """``first + second`` at every step: a linear layer with two inputs an output, and weights of one.

    Parameters
    ----------
    rule
        A rule of xai-lrp for linear layers.
    first, second : Tensor
        (time, batch, hidden).
    state : State
        Of the recurrent layer.
    """

    def __init__(self, rule: Any, first: Tensor, second: Tensor, state: State) -> None:
        self.rule = rule
        self.state = state
        self.total = first + second
        self.terms = (first, second)
        self.fused = is_fused(rule)
        self.kept: tuple[Tensor, ...] | None = None
        if self.fused:
            inverse = stabilized_ratio(torch.ones_like(self.total), self.total, epsilon_of(rule))
            parts = [term * inverse for term in self.terms]
            if rule.bias == "conserve":
                parts = [part + (1 - self.total * inverse) / 2 for part in parts]
            elif state.ledger_open:
                self.kept = (1 - self.total * inverse).unbind(0)
            self.parts = [part.unbind(0) for part in parts]

    def share(self, step: int, r: Tensor) -> tuple[Tensor, Tensor]:
        """The relevance of both terms at one step."""
        if self.fused:
            if self.kept is not None:
                self.state.absorb(stabilizer=r * self.kept[step])
            return r * self.parts[0][step], r * self.parts[1][step]
        pair = torch.stack([term[step] for term in self.terms], -1)
        inner = InnerState(self.state, "sum", DenseForm(pair, pair.new_ones(1, 2), None))
        (shares,) = self.rule([pair], [self.total[step].unsqueeze(-1)], [r.unsqueeze(-1)], inner)
        first, second = shares.unbind(-1)
        return first, second
