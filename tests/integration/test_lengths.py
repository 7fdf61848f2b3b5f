"""A model that packs sequences of several lengths, under methods of several plugins."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

import xaicore


class Reader(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.lstm = nn.Embedding(20, 4), nn.LSTM(4, 5, batch_first=True)
        self.head = nn.Linear(5, 3)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        return self.head(self.lstm(packed)[1][0][0])  # type: ignore[no-any-return]


def test_gradients_and_perturbation_are_compared_on_words_and_lengths() -> None:
    x, lengths = torch.randint(1, 20, (3, 5)), torch.tensor([5, 3, 4])
    methods = ["gradients.input_x_gradient", "perturbation.occlusion"]
    found = xaicore.compare(Reader().eval(), (x, lengths), methods=methods, target=1)
    assert list(found) == methods
    for explanation in found.values():
        assert isinstance(explanation.relevance, dict)
        assert list(explanation.relevance) == ["words"] and explanation.relevance["words"].shape == (3, 5)
        assert explanation.relevance["words"][1, 3:].abs().max() < 1e-6  # padding
        assert explanation.relevance["words"][1, :3].abs().min() > 1e-6
        assert any(note.startswith("not explained: lengths (integers") for note in explanation.diagnostics.notes)
