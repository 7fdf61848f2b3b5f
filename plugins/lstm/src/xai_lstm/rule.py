"""The backward mapping of recurrent layers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from xai_lrp.rules import Epsilon, LinearRule, ZBox
from xai_lstm.cells import PASSES, CellPass, Treatment
from xai_lstm.products import check_product
from xai_lstm.recurrence import Recurrence
from xaicore.errors import ParameterError

if TYPE_CHECKING:
    from xaicore.propagation import State

EPSILON = 0.001


@dataclass(frozen=True)
class RecurrentRule:
    """Relevance through LSTM, GRU and plain recurrent layers, step by step from the last to the first.

    Arras et al. 2017 and 2019. Every linear map and sum of a cell is passed by a rule of xai-lrp, every product of a
    gate and a signal as ``product`` says, every sigmoid and tanh unchanged. Works on all layers and directions of
    `torch.nn.LSTM`, `torch.nn.GRU`, `torch.nn.RNN` (projections, packed sequences) and on single cells.

    Parameters
    ----------
    product : {'signal', 'proportional', 'half'}
        LRP-all: the signal takes all; LRP-prop: shares by the size of gate and signal; LRP-half: equal parts.
    linear : LinearRule
        Of the maps of input and state; any rule for linear layers but z-box.
    sums : LinearRule, optional
        Where a cell adds two terms. Default: as ``linear``.
    """

    differentiates: ClassVar[bool] = False  # it works from values alone

    product: str = "signal"
    linear: LinearRule = field(default_factory=lambda: Epsilon(EPSILON))
    sums: LinearRule | None = None

    def __post_init__(self) -> None:
        check_product(self.product)
        for name in ("linear", "sums"):
            _check_rule(name, getattr(self, name))

    @property
    def needs(self) -> Collection[str]:
        """The inputs, and the states of all steps, which are the outputs of the last layer."""
        return frozenset({"xs", "ys"})

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        recurrence = Recurrence(xs, state)
        treatment = Treatment(self.product, self.linear, self.sums or self.linear)
        passes = _forward(recurrence, ys[0], treatment)
        of_inputs, of_initial = _backward(recurrence, passes, ys, rs)
        return _to_inputs(recurrence, len(xs), of_inputs, of_initial)


def _check_rule(name: str, rule: Any) -> None:
    if isinstance(rule, ZBox):
        raise ParameterError(
            f"{name}={rule!r}: z-box is for inputs between known bounds, but a cell adds its state, which has none."
        )
    if not (isinstance(rule, LinearRule) or (rule is None and name == "sums")):
        raise ParameterError(f"{name}={rule!r} is no rule for linear layers, such as xai_lrp.Epsilon(0.001).")


def _forward(recurrence: Recurrence, y: Tensor, treatment: Treatment) -> list[list[CellPass]]:
    """The passes of each layer and direction; what the last layer computed is ``y``."""
    steps = recurrence.steps
    x = steps.time_first(recurrence.input.value)
    kinds = 2 if recurrence.cell == "lstm" else 1
    found: list[list[CellPass]] = []
    for layer in range(recurrence.layers):
        known = _directions(recurrence, steps.time_first(y)) if layer == recurrence.layers - 1 else None
        passes = []
        for direction in range(recurrence.directions):
            passes.append(
                PASSES[recurrence.cell](
                    f"layer {layer}, direction {direction}",
                    x if direction == 0 else steps.reversed(x),
                    [recurrence.initial_state(kind, layer, direction) for kind in range(kinds)],
                    recurrence.weights(layer, direction),
                    treatment,
                    recurrence.state,
                    known[direction] if known is not None else None,
                )
            )
        found.append(passes)
        states = [each.h if number == 0 else steps.reversed(each.h) for number, each in enumerate(passes)]
        x = steps.valid(torch.cat(states, -1))
    return found


def _directions(recurrence: Recurrence, of_steps: Tensor) -> list[Tensor]:
    """The parts of each direction, in the order in which it takes its steps."""
    parts = of_steps.chunk(recurrence.directions, -1)
    return [part if number == 0 else recurrence.steps.reversed(part) for number, part in enumerate(parts)]


def _backward(
    recurrence: Recurrence, passes: list[list[CellPass]], ys: Sequence[Tensor], rs: Sequence[Tensor | None]
) -> tuple[Tensor, list[list[Tensor]]]:
    """Relevance of the inputs (time, batch, inputs), and of each initial state of each layer and direction."""
    steps = recurrence.steps
    at_steps, final = _arrived(recurrence, ys, rs)
    of_initial: list[list[Tensor]] = []
    for layer in reversed(range(recurrence.layers)):
        below: Tensor | None = None
        of_layer = []
        for direction, (each, r) in enumerate(zip(passes[layer], _directions(recurrence, at_steps), strict=True)):
            number = layer * recurrence.directions + direction
            count = r.shape[0]
            if final[0] is not None:
                r = r + steps.at_last(final[0][number], count)
            of_cell = None if len(final) < 2 or final[1] is None else steps.at_last(final[1][number], count)
            returned = each.relevance(r, of_cell)
            of_x = returned.inputs if direction == 0 else steps.reversed(returned.inputs)
            below = of_x if below is None else below + of_x
            of_layer.append(returned.initial)
        of_initial = of_layer + of_initial
        assert below is not None
        at_steps = below
    return at_steps, of_initial


def _arrived(
    recurrence: Recurrence, ys: Sequence[Tensor], rs: Sequence[Tensor | None]
) -> tuple[Tensor, list[Tensor | None]]:
    """Relevance at the states of all steps, and at the final states, (layers * directions, batch, size)."""
    steps, state = recurrence.steps, recurrence.state
    y = steps.time_first(ys[0])
    at_steps = torch.zeros_like(y) if rs[0] is None else steps.time_first(rs[0])
    if recurrence.one_step:  # it returns its states alone, h first
        return at_steps, [None, *(None if r is None else r.unsqueeze(0) for r in rs[1:])]
    if steps.lengths is not None:
        within = steps.valid(at_steps)
        if state.ledger_open:
            state.absorb(stabilizer=at_steps - within)  # padding is made of no input
        at_steps = within
    return at_steps, list(rs[1:])


def _to_inputs(
    recurrence: Recurrence, count: int, of_inputs: Tensor, of_initial: list[list[Tensor]]
) -> list[Tensor | None]:
    """What each input of the layer gets; what arrives at constant tensors is absorbed like a bias's share."""
    steps, state = recurrence.steps, recurrence.state
    pairs = [(recurrence.input, steps.as_given(of_inputs))]
    for kind, given in enumerate(recurrence.initial):
        each = [initial[kind] for initial in of_initial]
        pairs.append((given, each[0] if recurrence.one_step else torch.stack(each)))
    found: list[Tensor | None] = [None] * count
    for given, relevance in pairs:
        if given.number is not None:
            found[given.number] = relevance
        elif state.ledger_open:
            state.absorb(bias=relevance)
    return found


recurrent = RecurrentRule()
"""What every relevance method does at recurrent layers, unless its composite says otherwise."""
