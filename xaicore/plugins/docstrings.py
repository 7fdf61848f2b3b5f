"""Reading the "Parameters" section of numpy-style docstrings."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

_ENTRY = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*(?::\s*(?P<head>.*))?")


class Documented(NamedTuple):
    """What a docstring says about one parameter, each on one line."""

    type: str
    meaning: str


def documented_parameters(target: Callable[..., Any]) -> dict[str, Documented]:
    """Return what the docstring of a function, or those of a class and its bases, say about each parameter.

    The class itself has the last word on a parameter that a base documents too.
    """
    documented: dict[str, Documented] = {}
    for text in _docstrings(target):
        if isinstance(text, str):
            documented.update(_entries(_section(inspect.cleandoc(text), "Parameters")))
    return documented


def _docstrings(target: Callable[..., Any]) -> Iterator[object]:
    """From the least to the most special."""
    if not isinstance(target, type):
        yield getattr(target, "__doc__", None)
        return
    for base in reversed(target.__mro__[:-1]):  # the last is object
        yield base.__dict__.get("__doc__")
        yield getattr(base.__dict__.get("__init__"), "__doc__", None)


def _section(text: str, title: str) -> list[str]:
    """Return the lines of one underlined section."""
    lines = text.splitlines()
    for start, line in enumerate(lines[:-1]):
        if line.strip() == title and _is_underline(lines[start + 1]):
            body = lines[start + 2 :]
            ends = (end for end in range(len(body) - 1) if body[end].strip() and _is_underline(body[end + 1]))
            return body[: next(ends, len(body))]
    return []


def _is_underline(line: str) -> bool:
    return len(line.strip()) >= 3 and set(line.strip()) == {"-"}


def _entries(lines: list[str]) -> Iterator[tuple[str, Documented]]:
    """Yield each name with its type and meaning: "epsilon : float" over indented lines.

    An entry without indented lines has its meaning behind the colon: "epsilon : added to the output".
    """
    for start, line in enumerate(lines):
        match = _ENTRY.fullmatch(line.rstrip())  # anchored, so that an indented line is no entry
        if match:
            indented = itertools.takewhile(lambda below: not below.strip() or below[:1].isspace(), lines[start + 1 :])
            meaning = " ".join(" ".join(indented).split())
            head = match["head"] or ""
            for name in re.split(r"\s*,\s*", match["names"]):
                yield name, Documented(head, meaning) if meaning else Documented("", head)
