"""Questions about a scene as sequences of words, each with its answer and the objects that it is about.

Every question has one right answer. Where a relation decides, no object lies near the limit; where an object is
described, no other one fits; and a relation is only asked about where the answer does not follow without it.

Which objects a question is about follows CLEVR-XAI (Arras, Osman, Samek 2022): the `target` are the objects whose
attribute is asked for, or that are counted or found; `touched` are these and the ones that the question goes through on
the way to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

import numpy as np
from descriptions import VALUES, Description, absent, attributes, described, fitting, in_words, told_apart
from numpy.typing import NDArray
from scenes import COLORS, SHAPES, SIZES, Scene, Thing

PAD = "<pad>"
LENGTH = 14
"""Words of a question with its padding, which is on the left, so that the last word is always the last step."""

ANSWERS = (*COLORS, *SHAPES, *SIZES, "yes", "no", *"01234")

_MARGIN = 4.0
"""How many pixels each object has to lie off the line that a relation draws."""

_RELATIONS: dict[str, Callable[[Thing, Thing], float]] = {
    "left of": lambda thing, anchor: anchor.x - thing.x,
    "right of": lambda thing, anchor: thing.x - anchor.x,
    "above": lambda thing, anchor: anchor.y - thing.y,
    "below": lambda thing, anchor: thing.y - anchor.y,
}
"""How far the relation holds, in pixels; negative where it does not."""


@dataclass(frozen=True)
class Question:
    """A question of one kind, with its answer and the objects (by number in the scene) that it is about."""

    kind: str
    words: tuple[str, ...]
    answer: str
    target: frozenset[int]
    touched: frozenset[int]


def _attribute(things: Scene, random: Random) -> Question | None:
    asked = random.choice(list(VALUES))
    for number, description in told_apart(things, random, [asked]):
        return _query("attribute", asked, f"the {in_words(description)}", things, number)
    return None


@dataclass(frozen=True)
class _Side:
    """One side of an object, the anchor, in words; which objects of a kind are there, and which are anywhere."""

    kind: Description
    where: str
    anchor: int
    there: frozenset[int]
    anywhere: frozenset[int]


def _sides(things: Scene, random: Random) -> list[_Side]:
    """Return some sides of which it is clear what lies there: any object, or those with a certain attribute."""
    found = []
    for anchor, description in told_apart(things, random):
        for relation in random.sample(list(_RELATIONS), 2):
            for kind in ({}, described(random.choice(things), [random.choice(list(VALUES))])):
                extent = {n: _RELATIONS[relation](things[n], things[anchor]) for n in fitting(things, kind) - {anchor}}
                if all(abs(pixels) >= _MARGIN for pixels in extent.values()):
                    there = frozenset(number for number, pixels in extent.items() if pixels > 0)
                    where = f"{relation} the {in_words(description)}"
                    found.append(_Side(kind, where, anchor, there, frozenset(extent)))
    return found


def _relation(things: Scene, random: Random) -> Question | None:
    """Of the objects that would fit elsewhere, too, exactly one is there."""
    asked = random.choice(list(VALUES))
    sides = [side for side in _sides(things, random) if len(side.there) == 1 and len(side.anywhere) > 1]
    sides = [side for side in sides if asked not in side.kind]
    if not sides:
        return None
    side = random.choice(sides)
    return _query("relation", asked, f"the {in_words(side.kind)} {side.where}", things, *side.there, side.anchor)


def _relation_count(things: Scene, random: Random) -> Question | None:
    """All numbers that the scene allows are asked for equally often."""
    sides = _sides(things, random)
    if not sides:
        return None
    number = random.choice(sorted({len(side.there) for side in sides}))
    side = random.choice([side for side in sides if len(side.there) == number])
    words = f"how many {in_words(side.kind, plural=True)} are {side.where}".split()
    return Question("relation count", tuple(words), str(number), side.there, side.there | {side.anchor})


def _relation_existence(things: Scene, random: Random) -> Question | None:
    """The scene has such an object, besides the anchor: the question is whether it is there."""
    there = random.random() < 0.5
    sides = [side for side in _sides(things, random) if side.kind and side.anywhere and bool(side.there) == there]
    if not sides:
        return None
    side = random.choice(sides)
    words = f"is there a {in_words(side.kind)} {side.where}".split()
    answer = "yes" if there else "no"
    return Question("relation existence", tuple(words), answer, side.there, side.there | {side.anchor})


def _query(kind: str, asked: str, which: str, things: Scene, target: int, *way: int) -> Question:
    words = f"what {asked} is {which}".split()
    return Question(kind, tuple(words), getattr(things[target], asked), frozenset([target]), frozenset([target, *way]))


def _count(things: Scene, random: Random) -> Question | None:
    """All numbers that the scene allows are asked for equally often."""
    descriptions = [described(thing, names) for thing in things for names in attributes()] + [absent(things, random)]
    found = [fitting(things, description) for description in descriptions]
    number = random.choice(sorted(set(map(len, found))))
    pairs = [pair for pair in zip(descriptions, found, strict=True) if len(pair[1]) == number]
    description, counted = random.choice(pairs)
    words = f"how many {in_words(description, plural=True)} are there".split()
    return Question("count", tuple(words), str(number), counted, counted)


def _existence(things: Scene, random: Random) -> Question | None:
    there = random.random() < 0.5
    present = described(random.choice(things), random.choice(attributes()[1:]))
    description = present if there else absent(things, random)
    found = fitting(things, description)
    words = f"is there a {in_words(description)}".split()
    return Question("existence", tuple(words), "yes" if there else "no", found, found)


KINDS: dict[str, Callable[[Scene, Random], Question | None]] = {
    "attribute": _attribute,
    "existence": _existence,
    "count": _count,
    "relation": _relation,
    "relation count": _relation_count,
    "relation existence": _relation_existence,
}

RELATIONAL = ("relation", "relation count", "relation existence")


def ask(things: Scene, seed: int, number: int) -> Question:
    """Return question `number` of this seed about a scene, of a random kind: the same for the same arguments."""
    random = Random(f"question {number} of seed {seed}")
    while True:
        kind = random.choice(list(KINDS))
        for _ in range(8):  # not every scene can be asked everything
            question = KINDS[kind](things, random)
            if question is not None:
                return question


def _vocabulary() -> tuple[str, ...]:
    fixed = "what the is how many are there a"
    nouns = [noun + s for noun in (*SHAPES, "object") for s in ("", "s")]
    relations = [word for relation in _RELATIONS for word in relation.split()]
    return (PAD, *sorted({*fixed.split(), *relations, *nouns, *VALUES, *SIZES, *COLORS}))


VOCABULARY = _vocabulary()
_NUMBER = {word: number for number, word in enumerate(VOCABULARY)}


def encode(questions: Sequence[Question]) -> NDArray[np.int64]:
    """Return the numbers of the words, (N, LENGTH), with 0 to the left of the first word."""
    return np.array([[0] * (LENGTH - len(q.words)) + [_NUMBER[word] for word in q.words] for q in questions])
