"""One direction of one recurrent layer: its values at every step, and relevance back through them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xai_lstm.linear_maps import LinearMap, Terms, linear_map
from xai_lstm.products import GatedProduct
from xai_lstm.sums import Sum

if TYPE_CHECKING:
    from xai_lstm.recurrence import Weights
    from xaicore.propagation import State


@dataclass(frozen=True)
class Treatment:
    """What is done at the products, linear maps and sums of a cell."""

    product: str
    linear: Any
    sums: Any


@dataclass(frozen=True)
class Returned:
    """Relevance of what one direction of a layer was given.

    Attributes
    ----------
    inputs : Tensor
        (time, batch, inputs).
    initial : list of Tensor
        (batch, size), of h and for an LSTM of c before the first step.
    """

    inputs: Tensor
    initial: list[Tensor]


class CellPass(ABC):
    """The cells of one direction, from the first step taken to the last.

    Parameters
    ----------
    name : str
        Tells the directions and layers apart.
    x : Tensor
        (time, batch, inputs).
    initial : list of Tensor
        (batch, size): h, and for an LSTM c.
    weights : Weights
    treatment : Treatment
    state : State
        Of the recurrent layer.
    h : Tensor, optional
        (time, batch, size of h), where the forward has computed it already.
    """

    def __init__(
        self,
        name: str,
        x: Tensor,
        initial: list[Tensor],
        weights: Weights,
        treatment: Treatment,
        state: State,
        h: Tensor | None = None,
    ) -> None:
        self.name = name
        self.x = x
        self.initial = initial
        self.weights = weights
        self.treatment = treatment
        self.state = state
        self.h = self.run() if h is None else h
        self.before = torch.cat([initial[0].unsqueeze(0), self.h[:-1]])

    @abstractmethod
    def run(self) -> Tensor:
        """The states h of all steps, (time, batch, size)."""

    @abstractmethod
    def relevance(self, r_h: Tensor, r_c: Tensor | None) -> Returned:
        """Relevance of inputs and initial states, from what arrived at h, and at c, of each step."""

    def preactivations(self) -> Tensor:
        """What both linear maps bring to the gates at all steps, (time, batch, gates * hidden)."""
        w = self.weights
        from_input = F.linear(self.x, w.to_input, w.bias).flatten(0, 1)
        z = torch.addmm(from_input, self.before.flatten(0, 1), w.to_state.T)
        return z.view(*self.x.shape[:2], -1)

    def linear(self, terms: Terms) -> LinearMap:
        """A linear map of this cell under the chosen rule."""
        return linear_map(self.treatment.linear, replace(terms, name=(self.name, terms.name)), self.state)

    def product(self, gate: Callable[[], Tensor], signal: Callable[[], Tensor]) -> GatedProduct:
        """A product of this cell under the chosen treatment."""
        return GatedProduct(self.treatment.product, gate, signal)

    def sum(self, first: Tensor, second: Tensor) -> Sum:
        """A sum of this cell under the chosen rule."""
        return Sum(self.treatment.sums, first, second, self.state)

    @property
    def gates_carry(self) -> bool:
        """Whether gates get relevance, so that their linear maps are passed as well."""
        return self.treatment.product != "signal"
