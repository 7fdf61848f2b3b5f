"""Inputs that the model needs to read the others, such as lengths: they stay as they are and are not explained."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from xaicore import create_analyzer, explain
from xaicore.errors import InputError

LENGTHS = torch.tensor([5, 3, 4])


class Reader(nn.Module):
    """Reads padded sequences of several lengths, of words or, without ``embedded``, of vectors (B, C, T)."""

    def __init__(self, embedded: bool = True) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.embedding = nn.Embedding(20, 4) if embedded else None
        self.lstm, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)
        self.double().eval()

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        vectors = words.transpose(1, 2) if self.embedding is None else self.embedding(words)
        packed = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
        _, (last, _) = self.lstm(packed)
        return self.head(last[0])  # type: ignore[no-any-return]


def words() -> Tensor:
    return torch.randint(1, 20, (3, 5), generator=torch.Generator().manual_seed(0))


def vectors() -> Tensor:
    return torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_occlusion_covers_the_words_and_leaves_the_lengths() -> None:
    model, x = Reader(), words()
    found: Any = explain(model, (x, LENGTHS), method="perturbation.occlusion", target=1, window=1, fill=0)
    expected = torch.zeros(3, 5, dtype=torch.float64)
    with torch.no_grad():
        for place in range(5):
            covered = x.clone()
            covered[:, place] = 0
            expected[:, place] = (model(x, LENGTHS) - model(covered, LENGTHS))[:, 1]
    assert list(found.relevance) == ["words"]
    torch.testing.assert_close(found.relevance["words"], expected)
    assert bool((expected[1, :3] != 0).all())  # the truth that is compared with is not empty
    assert found.diagnostics.notes[0].startswith("not explained: lengths (integers")
    assert torch.equal(found.inputs["lengths"], LENGTHS)


@pytest.mark.parametrize("method", ["lime", "kernel_shap", "shapley_sampling", "permutation", "prediction_difference"])
def test_every_method_that_cuts_inputs_into_parts_does_the_same(method: str) -> None:
    own: dict[str, Any] = {
        "lime": {"samples": 20},
        "shapley_sampling": {"samples": 2},
        "permutation": {"repeats": 1},
        "prediction_difference": {"window": 1, "conditional": False, "samples": 2},
    }.get(method, {})
    analyzer = create_analyzer(f"perturbation.{method}", Reader(), **own)
    if method in ("permutation", "prediction_difference"):
        analyzer.fit((words(), LENGTHS))
    found = analyzer.analyze((words(), LENGTHS), 1)
    assert list(found.relevance) == ["words"]
    assert found.relevance["words"].shape == (3, 5)  # type: ignore[index]
    assert any(note.startswith("not explained: lengths") for note in found.diagnostics.notes)


@pytest.mark.parametrize(("method", "own"), [("rise", {"samples": 8}), ("mask", {"steps": 2})])
def test_masks_over_positions_leave_lengths_too(method: str, own: dict[str, int]) -> None:
    model = Reader(embedded=False)
    found = explain(model, (vectors(), LENGTHS), method=f"perturbation.{method}", target=1, **own)
    assert list(found.relevance) == ["words"]
    assert any(note.startswith("not explained: lengths") for note in found.diagnostics.notes)


def test_lime_learns_from_data_with_lengths() -> None:
    model = Reader(embedded=False)
    analyzer = create_analyzer("perturbation.lime", model, mode="gaussian", samples=20)
    assert list(analyzer.fit((vectors(), LENGTHS)).analyze((vectors(), LENGTHS), 1).relevance) == ["words"]


def test_booleans_are_left_and_floating_point_numbers_are_not() -> None:
    def scores(table: Any, switch: Any) -> Any:
        return table * switch[:, None]

    table, on = torch.ones(2, 3), torch.tensor([True, False])
    found: Any = explain(scores, (table, on), method="perturbation.occlusion", target=1)
    assert found.relevance["input_0"].tolist() == [[0, 1, 0], [0, 0, 0]]
    assert list(found.relevance) == ["input_0"]
    with pytest.raises(InputError, match="'input_1' has one number a sample"):
        explain(scores, (table, on.float()), method="perturbation.occlusion", target=1)


def test_integers_without_other_inputs_are_refused_as_they_were() -> None:
    with pytest.raises(InputError, match="one number a sample"):
        explain(lambda x: x[:, None] * 2.0, torch.tensor([1, 2]), method="perturbation.occlusion", target=0)
