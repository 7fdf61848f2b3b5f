"""Models that pack sequences are captured: the same values and gradients as torch's own packing, for every batch."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import xaicore
from xaicore.graph import Kind
from xaicore.graph.packed import OPERATORS, whole_sequences

WORDS, LENGTHS = torch.randint(9, (4, 6), generator=torch.Generator().manual_seed(0)), torch.tensor([6, 5, 5, 2])


class Packing(nn.Module):
    def __init__(self, module: type[nn.RNNBase] = nn.LSTM, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(9, 3)
        self.memory = module(3, 4, **options)
        self.sorted, self.padding, self.total = False, 0.0, None

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        x, first = self.embedding(words), self.memory.batch_first
        x = x if first else x.transpose(0, 1)
        packed = pack_padded_sequence(x, lengths, batch_first=first, enforce_sorted=self.sorted)
        packed = PackedSequence(packed.data * 2, *packed[1:])  # as models apply layers to all steps at once
        states, final = self.memory(packed)
        y, _ = pad_packed_sequence(states, first, self.padding, self.total)
        last = final[0] if isinstance(final, tuple) else final
        return (y if first else y.transpose(0, 1)).flatten(1).cumsum(1)[:, ::5] + last.sum((0, 2)).unsqueeze(1)


@pytest.mark.parametrize("module", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize(
    "options",
    [{}, {"batch_first": True, "num_layers": 2, "bidirectional": True, "bias": False}],
    ids=["plain", "two layers, both directions"],
)
def test_values_and_gradients_are_the_models_own_for_any_batch(module: Any, options: dict[str, Any]) -> None:
    model = Packing(module, **options).double().eval()
    graph = xaicore.trace(model, WORDS, LENGTHS)
    assert len(graph.select(xaicore.graph.kind(Kind.RECURRENT))) == 1
    for rows in ([0], [3, 0, 2, 1], [0, 1, 2, 3, 0, 0, 3]):  # each with a sentence that takes all steps
        words, lengths = WORDS[rows], LENGTHS[rows]
        assert xaicore.trace(model, words, lengths) is graph
        (found,) = graph.run([words, lengths]).values()
        torch.testing.assert_close(found, model(words, lengths))
        weight = model.embedding.weight
        expected = torch.autograd.grad(model(words, lengths).square().sum(), weight)[0]
        relevance = xaicore.explain(
            model, (words, lengths), method="gradients.saliency", layer="embedding", target=lambda y: y.square().sum(1)
        ).relevance
        summed = torch.zeros_like(weight).index_add(0, words.flatten(), relevance.flatten(0, 1))
        torch.testing.assert_close(summed, expected)


@pytest.mark.parametrize(("padding", "total", "in_order"), [(-1.5, None, False), (0.0, 8, True), (2.0, 7, False)])
def test_padding_is_as_asked_for(padding: float, total: int | None, in_order: bool) -> None:
    model = Packing(batch_first=True).eval()
    model.padding, model.total, model.sorted = padding, total, in_order
    (found,) = xaicore.trace(model, WORDS, LENGTHS).run([WORDS, LENGTHS]).values()
    torch.testing.assert_close(found, model(WORDS, LENGTHS))


def test_given_states_follow_their_sequences() -> None:
    class Started(Packing):
        def forward(self, words: Tensor, lengths: Tensor, start: Tensor) -> Tensor:
            x = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
            start = start.transpose(0, 1)
            _, (h, c) = self.memory(x, (start, 2 * start))
            return torch.cat([h[0], c[0]], 1)

    model = Started(batch_first=True).eval()
    rows, start = [3, 0, 1], torch.randn(3, 1, 4)
    inputs = (WORDS[rows], LENGTHS[rows], start)
    (found,) = xaicore.trace(model, *inputs).run(list(inputs)).values()
    torch.testing.assert_close(found, model(*inputs))


@pytest.mark.parametrize("cell", sorted(OPERATORS))
def test_the_operators_have_first_and_second_derivatives(cell: str) -> None:
    torch.manual_seed(0)
    gates = {"lstm": 4, "gru": 3}.get(cell, 1)
    x = torch.randn(3, 2, 2, dtype=torch.float64, requires_grad=True)
    lengths = torch.tensor([2, 3])
    states = [torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2 if cell == "lstm" else 1)]
    weights = [torch.randn(gates * 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2)]

    def run(x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        return tuple(OPERATORS[cell](x, lengths, list(rest[: len(states)]), list(rest[len(states) :]), False, 1, False))

    assert torch.autograd.gradcheck(run, (x, *states, *weights))
    assert torch.autograd.gradgradcheck(run, (x, *states, *weights))


def test_another_thread_packs_as_ever_while_a_model_is_captured() -> None:
    found = []

    def pack() -> None:
        packed = pack_padded_sequence(torch.randn(3, 2, 3), torch.tensor([3, 1]))
        found.append(nn.LSTM(3, 4)(packed)[0].data.shape)

    with whole_sequences():
        thread = threading.Thread(target=pack)
        thread.start()
        thread.join()
    assert found == [(4, 4)]


def test_a_model_whose_output_is_as_long_as_its_longest_sequence_is_refused_where_none_takes_all_steps() -> None:
    with pytest.raises(xaicore.XaicoreError, match="shape"):
        xaicore.trace(Packing(batch_first=True).eval(), WORDS, LENGTHS.clamp(max=4))


def test_a_plain_gradient_keeps_no_record_of_its_own() -> None:
    memory, start = nn.LSTM(3, 4), [torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)]
    x = torch.randn(5, 2, 3, requires_grad=True)
    y = OPERATORS["lstm"](x, torch.tensor([3, 5]), start, list(memory._flat_weights), True, 1, False)[0]
    assert not torch.autograd.grad(y.sum(), x, retain_graph=True)[0].requires_grad
    assert torch.autograd.grad(y.sum(), x, create_graph=True)[0].requires_grad
