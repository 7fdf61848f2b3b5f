"""Recurrent layers as models use them, against the numpy derivation: packed, below a head, cells in a loop."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from numpy_recurrent import Rules
from recurrent_networks import (
    HIDDEN,
    INPUTS,
    ONE_OF_EACH,
    Packed,
    batch_for,
    example,
    make,
    model_for,
    one_by_one,
    weights_for,
)
from recurrent_rules import PRODUCTS, RULES, assert_close
from torch import Tensor, nn

import xaicore
from xai_lrp.rules import Epsilon
from xai_lstm import RecurrentRule
from xaicore import Composite, Kind, kind


@pytest.mark.parametrize("method", PRODUCTS)
@pytest.mark.parametrize("name", ["lstm", *ONE_OF_EACH])
def test_packed_sequences_are_explained_as_if_each_were_alone(name: str, method: str) -> None:
    module, reference = make(name)
    model, lengths = model_for(name, Packed), [3, 4, 1, 2]
    x = [example(module, steps, seed)[0] for seed, steps in enumerate(lengths)]
    padded = torch.full((len(x), max(lengths), INPUTS), 7.0, dtype=torch.float64)  # what is padded must not count
    for row, each in zip(padded, x, strict=True):
        row[: len(each)] = torch.tensor(each)
    given = padded, torch.tensor(lengths)
    weights = weights_for(model(*given))
    for ours, theirs in RULES[::4]:
        seen = xaicore.explain(model, given, method=method, target=lambda rows: rows @ weights, **ours).relevance
        of_x = seen if isinstance(seen, Tensor) else seen["x"]
        expected = one_by_one(reference, weights, x, product=PRODUCTS[method], **theirs)
        for number, (each, steps) in enumerate(zip(expected, lengths, strict=True)):
            assert_close(of_x[number, :steps], each.x, (ours, number))
            assert of_x[number, steps:].abs().sum() == 0


class Classifier(nn.Module):
    """A linear head on the last states of the last layer."""

    def __init__(self, memory: nn.RNNBase) -> None:
        super().__init__()
        self.memory, self.directions = memory, 1 + memory.bidirectional
        torch.manual_seed(1)
        self.head = nn.Linear(self.directions * (memory.proj_size or HIDDEN), 3).double()

    def forward(self, x: Tensor) -> Tensor:
        last = self.memory(x)[1]
        h = last[0] if isinstance(last, tuple) else last
        return self.head(h[-self.directions :].transpose(0, 1).flatten(1))


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_network_with_a_head_is_explained_by_the_rules_of_a_composite(name: str) -> None:
    module, reference = make(name)
    model, x = Classifier(module), batch_for(module)[0]
    composite = Composite(
        [(kind(Kind.LINEAR), Epsilon(0.25)), (kind(Kind.RECURRENT), RecurrentRule("half", Epsilon(0.01, "distribute")))]
    )
    seen = xaicore.explain(model, torch.tensor(x), method="lrp.composite", composite=composite, target=2).relevance
    weight, bias = (each.detach().numpy() for each in (model.head.weight, model.head.bias))
    for number, each in enumerate(x):
        y, h, _, trace = reference.forward(each)
        top = h[-model.directions :].ravel()
        score = np.array([0, 0, (weight @ top + bias)[2]])
        (r_top,) = Rules(epsilon=0.25).linear([top], [weight], bias, score)
        r_h = np.concatenate([np.zeros(h.size - r_top.size), r_top]).reshape(h.shape)
        how = {"product": "half", "epsilon": 0.01, "bias": "distribute"}
        assert_close(seen[number], reference.relevance(trace, 0 * y, r_h, None, **how).x)


class Loop(nn.Module):
    """A cell of torch in a Python loop; its last state."""

    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        state = None
        for step in x.unbind(1):
            state = self.cell(step, state)
        return state[0] if isinstance(state, tuple) else state


@functools.cache
def loop_for(name: str) -> Loop:
    module, reference = make(name)
    cell = {"lstm": nn.LSTMCell, "gru": nn.GRUCell, "rnn": nn.RNNCell}[reference.kind](INPUTS, HIDDEN).double()
    cell.load_state_dict({key.removesuffix("_l0"): value for key, value in module.state_dict().items()})
    return Loop(cell)


@pytest.mark.parametrize("method", PRODUCTS)
@pytest.mark.parametrize("name", ["lstm", "gru", "rnn, tanh"])
def test_a_cell_in_a_loop_is_explained_as_the_whole_network_is(name: str, method: str) -> None:
    module, reference = make(name)
    x = batch_for(module)[0]
    for ours, theirs in RULES:
        seen = xaicore.explain(loop_for(name), torch.tensor(x), method=method, target=1, **ours).relevance
        for number, each in enumerate(x):
            y, h, _, trace = reference.forward(each)
            r_h = h * np.eye(HIDDEN)[1]
            expected = reference.relevance(trace, 0 * y, r_h, None, product=PRODUCTS[method], **theirs)
            assert_close(seen[number], expected.x, ours)
