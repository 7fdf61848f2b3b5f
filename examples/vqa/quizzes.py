"""Many scenes with the same number of questions about each, ready for a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from network import RelationNetwork
from questions import ANSWERS, KINDS, LENGTH, Question, ask, encode
from scenes import Scene, draw, scene
from torch import Tensor

TRAINING, HELD_OUT = 1, 2
"""Seeds: no scene of one is a scene of the other."""


@dataclass
class Quiz:
    """N scenes with k questions about each: pictures (N, 3, side, side), words (N, k, LENGTH), answers (N, k)."""

    scenes: list[Scene]
    pictures: Tensor
    questions: list[list[Question]]
    words: Tensor
    answers: Tensor

    def inputs(self) -> tuple[Tensor, Tensor]:
        """Return what `RelationNetwork` takes, one row a question, scene by scene."""
        pictures = ink(self.pictures).repeat_interleave(self.words.shape[1], 0)
        return pictures, self.words.flatten(0, 1).long()


def ink(pictures: Tensor) -> Tensor:
    """Return how far from white each pixel is in each colour, 0 to 1: the network's pictures are ink on paper.

    A light background is then close to zero, and has little to say. Rules such as alpha1-beta0 and gradient x input
    would otherwise credit the white of the paper with what it contributes to every feature.
    """
    return 1 - pictures.float() / 255


def quiz(seed: int, numbers: Iterable[int], questions: int) -> Quiz:
    """Return the scenes of a seed with these numbers, and so many questions about each."""
    numbers = list(numbers)
    scenes = [scene(seed, number) for number in numbers]
    asked = [
        [ask(things, seed, number * questions + k) for k in range(questions)]
        for number, things in zip(numbers, scenes, strict=True)
    ]
    words = torch.from_numpy(encode([question for row in asked for question in row])).to(torch.uint8)
    answers = torch.tensor([[ANSWERS.index(question.answer) for question in row] for row in asked])
    return Quiz(scenes, torch.from_numpy(draw(scenes)), asked, words.view(-1, questions, LENGTH), answers)


@torch.no_grad()
def answers(network: RelationNetwork, test: Quiz) -> Tensor:
    """Return the number of the network's answer to each question, (N, k)."""
    pictures, words = (rows.split(500) for rows in test.inputs())
    said = [network(*rows).argmax(-1) for rows in zip(pictures, words, strict=True)]
    return torch.cat(said).view_as(test.answers)


def accuracy(network: RelationNetwork, test: Quiz) -> dict[str, tuple[float, int]]:
    """Return the share of right answers and the number of questions: for each kind of question, and for all."""
    right = (answers(network, test) == test.answers).flatten().tolist()
    kinds = [question.kind for row in test.questions for question in row]
    table = {}
    for kind in (*KINDS, "all"):
        chosen = [hit for hit, name in zip(right, kinds, strict=True) if kind in (name, "all")]
        table[kind] = (sum(chosen) / max(1, len(chosen)), len(chosen))
    return table
