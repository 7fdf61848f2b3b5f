"""Which words are among the three most relevant of their question, counted over many questions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from questions import LENGTH, Question
from torch import Tensor


def top_words(relevance: Tensor, questions: Sequence[Question], number: int = 3) -> list[list[str]]:
    """Return the words that speak most for the answer, for each question, from relevance (B, LENGTH); no padding."""
    found = []
    for values, question in zip(relevance, questions, strict=True):
        of_words = values[LENGTH - len(question.words) :]
        found.append([question.words[place] for place in of_words.topk(number).indices.tolist()])
    return found


def counts(relevance: Tensor, questions: Sequence[Question], number: int = 3) -> dict[str, Counter[str]]:
    """Return how often each word is among the most relevant, by kind of question. A question counts a word once."""
    found: dict[str, Counter[str]] = {}
    for question, words in zip(questions, top_words(relevance, questions, number), strict=True):
        found.setdefault(question.kind, Counter()).update(set(words))
    return found
