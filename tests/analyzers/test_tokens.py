"""Integer inputs: relevance belongs to the token that was looked up, wherever the model moved it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore


class Reader(nn.Module):
    """Embeds rearranged tokens and weighs each place differently."""

    def __init__(self, rearrange: Callable[[Tensor], Tensor], places: int) -> None:
        super().__init__()
        self.rearrange = rearrange
        self.embedding = nn.Embedding(20, 4)
        self.weights = nn.Parameter(torch.arange(1.0, places + 1))
        self.head = nn.Linear(4, 3, bias=False)

    def forward(self, ids: Tensor) -> Tensor:
        embedded = self.embedding(self.rearrange(ids))
        return self.head((embedded * self.weights[:, None]).sum(1))


REARRANGED = {
    "as they are": (lambda ids: ids, 5),
    "flipped": (lambda ids: ids.flip(1), 5),
    "rolled": (lambda ids: ids.roll(2, 1), 5),
    "cut": (lambda ids: ids[:, 1:], 4),
    "padded": (lambda ids: F.pad(ids, (1, 0)), 6),
    "repeated": (lambda ids: ids.repeat(1, 2), 10),
    "shifted in the vocabulary": (lambda ids: ids + torch.arange(5), 5),
    "prefixed": (lambda ids: torch.cat([torch.zeros_like(ids[:, :1]), ids], 1), 6),
}


@pytest.mark.parametrize("name", REARRANGED)
def test_each_token_gets_the_gradient_of_all_its_places(name: str) -> None:
    rearrange, places = REARRANGED[name]
    torch.manual_seed(0)
    model, ids = Reader(rearrange, places), torch.randint(1, 9, (3, 5))
    found = xaicore.explain(model, ids, method="gradients.saliency", target=1).relevance

    # The gradient at a place is its weight times the head's row; positions say which token stands there.
    positions = rearrange(torch.arange(100, 105).repeat(3, 1))
    if name == "shifted in the vocabulary":
        positions = torch.arange(100, 105).repeat(3, 1)
    at_places = model.weights.detach() * model.head.weight[1].sum().detach()
    expected = torch.stack([(at_places * (positions == 100 + token)).sum(1) for token in range(5)], 1)
    torch.testing.assert_close(found, expected)


def test_sequence_first_embedding_returns_relevance_in_the_order_of_the_input() -> None:
    class SequenceFirst(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

        def forward(self, ids: Tensor) -> Tensor:
            return self.head(self.embedding(ids.t()).relu()[0])  # reads the first token alone

    torch.manual_seed(0)
    ids = torch.tensor([[1, 2, 3], [4, 5, 6]])
    relevance = xaicore.explain(SequenceFirst(), ids, method="gradients.saliency", target=0).relevance
    assert (relevance[:, 0] != 0).all()
    assert (relevance[:, 1:] == 0).all()
