"""Descriptions of objects by some of their attributes: "the small circle", "red objects"."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from random import Random

from scenes import COLORS, SHAPES, SIZES, Scene, Thing

VALUES = {"size": tuple(SIZES), "color": tuple(COLORS), "shape": SHAPES}
"""The attributes of an object, in the order in which a description names them."""

Description = dict[str, str]
"""Some attributes of an object and their values, such as {"color": "red", "shape": "circle"}."""


def fitting(things: Scene, description: Description) -> frozenset[int]:
    """Return the numbers of the objects that the description fits."""
    fits = (all(getattr(thing, name) == value for name, value in description.items()) for thing in things)
    return frozenset(itertools.compress(range(len(things)), fits))


def in_words(description: Description, plural: bool = False) -> str:
    noun = description.get("shape", "object") + "s" * plural
    return " ".join([*(description[name] for name in ("size", "color") if name in description), noun])


def described(thing: Thing, names: Sequence[str]) -> Description:
    """Return the description of an object by these attributes."""
    return {name: getattr(thing, name) for name in names}


def attributes(without: Sequence[str] = ()) -> list[tuple[str, ...]]:
    """Return all choices of attributes, from none to all but some; the smallest first."""
    names = [name for name in VALUES if name not in without]
    return [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]


def told_apart(things: Scene, random: Random, without: Sequence[str] = ()) -> Iterator[tuple[int, Description]]:
    """Yield in random order the objects of which some description fits no other, each with such a description.

    The attributes `without` are not in it.
    """
    for number in random.sample(range(len(things)), len(things)):
        descriptions = [described(things[number], names) for names in attributes(without)]
        alone = [description for description in descriptions if len(fitting(things, description)) == 1]
        if alone:
            yield number, random.choice(alone)


def absent(things: Scene, random: Random) -> Description:
    """Return a description that fits no object, but differs in one value from one that does."""
    while True:
        description = described(random.choice(things), random.choice(attributes()[1:]))
        name = random.choice(list(description))
        description[name] = random.choice(VALUES[name])
        if not fitting(things, description):
            return description
