"""Reading the "Parameters" section of numpy-style docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

_ENTRY = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*)\s*(?::\s*(?P<type>.*))?")


def documented_parameters(cls: type) -> dict[str, str]:
    """Return what the docstrings of a class and its bases say about each parameter, on one line each.

    The class itself has the last word on a parameter that a base documents too.
    """
    meanings: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        for documented in (base.__dict__.get("__doc__"), getattr(base.__dict__.get("__init__"), "__doc__", None)):
            if base is not object and isinstance(documented, str):
                meanings.update(_entries(_section(inspect.cleandoc(documented), "Parameters")))
    return meanings


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


def _entries(lines: list[str]) -> Iterator[tuple[str, str]]:
    """Yield name and meaning. Text after the colon counts: "epsilon : float", or "epsilon : added to ..."."""
    names: list[str] = []
    words: list[str] = []
    for line in [*lines, "end"]:
        if not line[:1].isspace() and line.strip():
            for name in names:
                yield name, " ".join(words)
            match = _ENTRY.fullmatch(line.strip())
            names = re.split(r"\s*,\s*", match["names"]) if match else []
            words = [match["type"]] if match and match["type"] else []
        else:
            words.extend(line.split())
