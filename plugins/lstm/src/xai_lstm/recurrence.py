"""What a recurrent layer of the graph consists of: cells, weights, initial states, and how its steps lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from xai_lstm.steps import Steps
from xaicore.errors import MatchError
from xaicore.graph import Ref

if TYPE_CHECKING:
    from xaicore.propagation import State

CELLS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
_OF_ONE_STEP = "_cell"
_OF_PACKED_SEQUENCES = "packed_"


@dataclass(frozen=True)
class Weights:
    """The parameters of one direction of one layer, gates stacked along the rows as in `torch.nn.LSTM`.

    Attributes
    ----------
    to_input : Tensor
        (gates * hidden, inputs).
    to_state : Tensor
        (gates * hidden, size of the state).
    input_bias, state_bias : Tensor or None
        (gates * hidden,).
    projection : Tensor or None
        (projected, hidden): of an LSTM with ``proj_size``.
    """

    to_input: Tensor
    to_state: Tensor
    input_bias: Tensor | None = None
    state_bias: Tensor | None = None
    projection: Tensor | None = None

    @property
    def bias(self) -> Tensor | None:
        """The sum of both biases, which is all that counts where both maps are added."""
        return None if self.input_bias is None or self.state_bias is None else self.input_bias + self.state_bias

    def tensors(self) -> list[Tensor]:
        """In the order of torch's operators."""
        given = (self.to_input, self.to_state, self.input_bias, self.state_bias, self.projection)
        return [tensor for tensor in given if tensor is not None]


@dataclass(frozen=True)
class Given:
    """A tensor that the layer reads, and which of its inputs that is; None: it depends on no input."""

    value: Tensor
    number: int | None


class Recurrence:
    """A recurrent layer: an operator of torch on whole sequences, on packed ones, or of one step of a cell.

    Parameters
    ----------
    xs : sequence of Tensor
        The layer's inputs.
    state : State
    """

    def __init__(self, xs: Sequence[Tensor], state: State) -> None:
        layer = state.layer
        self.state = state
        given = _given_tensors(xs, state)
        self.one_step = layer.op_name.endswith(_OF_ONE_STEP)
        packed = layer.op_name.startswith(_OF_PACKED_SEQUENCES)
        self.cell = layer.op_name.removeprefix(_OF_PACKED_SEQUENCES).removesuffix(_OF_ONE_STEP)
        if self.cell not in CELLS:
            raise MatchError(
                f"RecurrentRule stands at {layer.where()}, which is no recurrent layer but '{layer.kind}'."
            )
        self.layers = int(layer.arguments.get("num_layers", 1))
        self.directions = 2 if layer.arguments.get("bidirectional") else 1
        self.input = given["input"][0]
        self.initial = given["hx"]
        lengths = given["lengths"][0].value if packed else None
        self.steps = Steps(
            one_step=self.one_step,
            batch_first=bool(layer.arguments.get("batch_first")),
            lengths=lengths,
        )

    def weights(self, layer: int, direction: int) -> Weights:
        """The parameters of one direction of one layer."""
        arguments = self.state.layer.arguments
        if self.one_step:
            with_biases = arguments.get("b_ih") is not None
            names = ["w_ih", "w_hh", "b_ih", "b_hh"] if with_biases else ["w_ih", "w_hh"]
        else:
            with_biases = bool(arguments["has_biases"])
            each = len(arguments["params"]) // (self.layers * self.directions)
            first = each * (layer * self.directions + direction)
            names = [f"params[{number}]" for number in range(first, first + each)]
        found = [self._weight(name) for name in names]
        biases = found[2:4] if with_biases else [None, None]
        projection = found[-1] if len(found) % 2 else None
        return Weights(found[0], found[1], biases[0], biases[1], projection)

    def initial_state(self, kind: int, layer: int, direction: int) -> Tensor:
        """(batch, size): the state before the first step; ``kind`` 0 is h, 1 is c."""
        value = self.initial[kind].value
        return value if self.one_step else value[layer * self.directions + direction]

    def _weight(self, name: str) -> Tensor:
        weight = self.state.parameter(name)
        if weight is None:
            raise MatchError(
                f"the weights of {self.state.layer.where()} depend on the model's inputs; relevance is defined for "
                "cells with weights of their own. Explain from an inner layer behind it on (layer=...), or let it pass "
                "by the plain gradient: fallback='gradient' in a composite that names this layer."
            )
        return weight


def _given_tensors(xs: Sequence[Tensor], state: State) -> dict[str, list[Given]]:
    """The tensors among the operator's arguments by name, but for its weights."""
    found: dict[str, list[Given]] = {}
    numbers = iter(range(len(xs)))
    for name, value in state.layer.arguments.items():
        several = isinstance(value, (list, tuple))
        refs = [ref for ref in (value if several else [value]) if isinstance(ref, Ref)]
        for place, ref in enumerate(refs):
            constant = ref.layer.constant
            number = None if constant else next(numbers)
            if name == "params":
                continue
            tensor = xs[number] if number is not None else state.parameter(f"{name}[{place}]" if several else name)
            assert tensor is not None, name
            found.setdefault(name, []).append(Given(tensor, number))
    return found
