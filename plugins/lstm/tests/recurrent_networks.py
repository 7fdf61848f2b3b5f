"""Recurrent networks under test, their numpy references, and sequences for them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy_recurrent import Recurrent, Relevance
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

STEPS, INPUTS, HIDDEN = 4, 3, 5

NETWORKS: dict[str, dict[str, Any]] = {
    "lstm": {"kind": "lstm"},
    "lstm, 2 layers": {"kind": "lstm", "num_layers": 2, "dropout": 0.5},
    "lstm, 3 layers, both directions": {"kind": "lstm", "num_layers": 3, "bidirectional": True},
    "lstm, projected": {"kind": "lstm", "proj_size": 4},
    "lstm, projected, 2 layers, both directions": {
        "kind": "lstm",
        "num_layers": 2,
        "bidirectional": True,
        "proj_size": 2,
    },
    "lstm without bias": {"kind": "lstm", "bias": False},
    "gru": {"kind": "gru"},
    "gru, 2 layers, both directions": {"kind": "gru", "num_layers": 2, "bidirectional": True},
    "gru without bias": {"kind": "gru", "bias": False},
    "rnn, tanh": {"kind": "rnn"},
    "rnn, tanh, 3 layers": {"kind": "rnn", "num_layers": 3},
    "rnn, relu, 2 layers, both directions": {
        "kind": "rnn",
        "num_layers": 2,
        "bidirectional": True,
        "nonlinearity": "relu",
    },
}
TALL = [name for name in NETWORKS if "layers" in name]
# One of each cell, for what costs a capture of its own.
ONE_OF_EACH = [
    "lstm, projected, 2 layers, both directions",
    "gru, 2 layers, both directions",
    "rnn, relu, 2 layers, both directions",
]
CLASSES = {"lstm": nn.LSTM, "gru": nn.GRU, "rnn": nn.RNN}


@functools.cache
def make(name: str, batch_first: bool = True) -> tuple[nn.RNNBase, Recurrent]:
    """A module with weights in which no gate is nearly constant, and its reference."""
    options = dict(NETWORKS[name])
    kind = options.pop("kind")
    torch.manual_seed(0)
    module = CLASSES[kind](INPUTS, HIDDEN, batch_first=batch_first, **options).double().eval()
    with torch.no_grad():
        for weight in module.parameters():
            weight.mul_(2)
    for unknown in ("bias", "dropout"):
        options.pop(unknown, None)
    return module, Recurrent(kind, {key: value.numpy() for key, value in module.state_dict().items()}, **options)


def example(module: nn.RNNBase, steps: int = STEPS, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A sequence and initial states, which a plain network and a GRU have only the first of."""
    numbers = np.random.default_rng(seed)
    cells = module.num_layers * (1 + module.bidirectional)
    out = module.proj_size or module.hidden_size
    return (
        numbers.normal(size=(steps, INPUTS)),
        numbers.normal(size=(cells, out)),
        numbers.normal(size=(cells, HIDDEN)),
    )


def batch_for(module: nn.RNNBase, samples: int = 2) -> list[np.ndarray]:
    """Sequences and initial states, with the batch in front."""
    return [np.stack(each) for each in zip(*(example(module, seed=seed) for seed in range(samples)), strict=True)]


class AllOutputs(nn.Module):
    """All that a recurrent module returns, in one row a sample: the outputs of all steps, then the last states."""

    def __init__(self, module: nn.RNNBase) -> None:
        super().__init__()
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.rows(x, None)

    def rows(self, x: Tensor, states: Any) -> Tensor:
        first = self.module.batch_first
        y, last = self.module(x if first else x.transpose(0, 1), states)
        return in_rows(y if first else y.transpose(0, 1), last)


class FromStates(AllOutputs):
    """The same, from initial states with the batch in front."""

    def forward(self, x: Tensor, h0: Tensor, c0: Tensor) -> Tensor:
        return self.rows(x, (h0.transpose(0, 1).contiguous(), c0.transpose(0, 1).contiguous()))


class FromState(AllOutputs):
    """The same, of networks that have only one."""

    def forward(self, x: Tensor, h0: Tensor) -> Tensor:
        return self.rows(x, h0.transpose(0, 1).contiguous())


class Packed(AllOutputs):
    """The same, of sequences of their own lengths: padded outputs, and the states after the last step of each."""

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, last = self.module(packed)
        return in_rows(pad_packed_sequence(y, batch_first=True, total_length=x.shape[1])[0], last)


@functools.cache
def model_for(name: str, form: type[AllOutputs] = AllOutputs, batch_first: bool = True) -> AllOutputs:
    """One model for all tests that need it: it is captured once."""
    return form(make(name, batch_first)[0])


def in_rows(y: Tensor, last: Any) -> Tensor:
    states = last if isinstance(last, tuple) else (last,)
    return torch.cat([y.flatten(1), *(state.transpose(0, 1).flatten(1) for state in states)], 1)


def weights_for(rows: Tensor) -> Tensor:
    """How much each number in a row of outputs counts in the explained sum: each has relevance of its own."""
    return torch.randn(rows.shape[1], dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def one_by_one(
    reference: Recurrent,
    weights: Tensor,
    xs: Sequence[np.ndarray],
    states: Sequence[tuple[np.ndarray, np.ndarray]] | None = None,
    **how: Any,
) -> list[Relevance]:
    """What the reference says of the weighted sum of all outputs, of each sequence; ``how``: see `Recurrent.relevance`.

    ``weights`` are those of a row, in which the outputs are padded to the longest sequence.
    """
    longest, explained = max(len(x) for x in xs), []
    for number, x in enumerate(xs):
        y, h, c, trace = reference.forward(x, *(states[number] if states else ()))
        of_y, of_h, of_c = np.split(weights.numpy(), np.cumsum([longest * y.shape[1], h.size]))
        r_y = of_y.reshape(longest, -1)[: len(x)] * y
        r_c = of_c.reshape(c.shape) * c if of_c.size else None
        explained.append(reference.relevance(trace, r_y, of_h.reshape(h.shape) * h, r_c, **how))
    return explained
