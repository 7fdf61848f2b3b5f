"""A relation network (Santoro et al. 2017) that answers questions about pictures: an ordinary module.

The picture goes through four convolutions, the question through an LSTM. Each place of the last feature maps, with its
coordinates, is an "object"; all pairs of them, each with the question, go through one network g, `relation`, whose
outputs are summed; another network f, `decision`, makes the answer from the sum.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn


class RelationNetwork(nn.Module):
    """Scores of all answers, (B, answers), from pictures (B, 3, side, side) and word numbers (B, length).

    Pictures are ink on paper: 0 is white, 1 is black.

    Parameters
    ----------
    words : int
        Size of the vocabulary; word 0 is padding.
    answers : int
        Number of possible answers.
    side : int
        Width and height of the pictures in pixels.
    kernels : int
        Channels of each convolution.
    embedding, memory : int
        Sizes of a word's embedding and of the LSTM's state.
    relation, decision : int
        Widths of g and of f.
    """

    def __init__(
        self,
        words: int,
        answers: int,
        *,
        side: int = 64,
        kernels: int = 24,
        embedding: int = 32,
        memory: int = 64,
        relation: int = 96,
        decision: int = 96,
    ) -> None:
        super().__init__()
        self.sizes = {"words": words, "answers": answers, "side": side, "kernels": kernels, "embedding": embedding,
                      "memory": memory, "relation": relation, "decision": decision}  # fmt: skip
        self.vision = nn.Sequential(
            *itertools.chain.from_iterable(
                (nn.Conv2d(channels, kernels, 3, stride=2), nn.ReLU(), nn.BatchNorm2d(kernels))
                for channels in (3, kernels, kernels, kernels)
            )
        )
        self.embedding = nn.Embedding(words, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, memory, batch_first=True)
        self.relation = _dense(2 * (kernels + 2) + memory, *[relation] * 4)
        self.decision = _dense(relation, decision, decision, answers)[:-1]  # scores of answers have no ReLU

        steps = (side - 15) // 16
        ticks = torch.linspace(0, 1, steps)
        down, right = torch.meshgrid(ticks, ticks, indexing="ij")
        self.register_buffer("places", torch.stack([right, down], -1).reshape(1, -1, 2), persistent=False)

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        return self.answer(self.see(pictures), self.read(words))

    def see(self, pictures: Tensor) -> Tensor:
        """Return the features of each place and where it is, (B, places, kernels + 2)."""
        features = self.vision(pictures).flatten(2).transpose(1, 2)
        return torch.cat([features, self.places.expand(len(features), -1, -1)], -1)

    def read(self, words: Tensor) -> Tensor:
        """Return what the LSTM has kept of the question behind its last word, (B, memory)."""
        states, _ = self.lstm(self.embedding(words))
        return states[:, -1]

    def answer(self, cells: Tensor, question: Tensor) -> Tensor:
        """Return the scores of the answers, (B, answers)."""
        places = cells.shape[1]
        pairs = torch.cat(
            [
                cells[:, :, None].expand(-1, -1, places, -1),
                cells[:, None].expand(-1, places, -1, -1),
                question[:, None, None].expand(-1, places, places, -1),
            ],
            -1,
        )
        return self.decision(self.relation(pairs).sum((1, 2)))


def _dense(*widths: int) -> nn.Sequential:
    layers = ((nn.Linear(wide, narrow), nn.ReLU()) for wide, narrow in itertools.pairwise(widths))
    return nn.Sequential(*itertools.chain.from_iterable(layers))


def save_network(network: RelationNetwork, path: Path, vocabulary: Sequence[str], answers: Sequence[str]) -> None:
    """Write the weights as safetensors, with the sizes of the network and with what its numbers mean."""
    about = {"sizes": network.sizes, "vocabulary": vocabulary, "answers": answers}
    weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, path, {name: json.dumps(value) for name, value in about.items()})


def load_network(path: Path, vocabulary: Sequence[str], answers: Sequence[str]) -> RelationNetwork:
    """Return a network with these weights, ready to answer.

    Raises
    ------
    ValueError
        If the weights were learnt with other words or other answers.
    """
    with safe_open(path, "pt") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
        weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    if (about["vocabulary"], about["answers"]) != (list(vocabulary), list(answers)):
        raise ValueError(f"{path} was trained with other words or answers. Train again: run train.py")
    network = RelationNetwork(**about["sizes"])
    network.load_state_dict(weights)
    return network.eval()
