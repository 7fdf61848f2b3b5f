"""Parameters on one line: "epsilon : added to each output" is a name and its meaning, and not its type.

`xaicore info` reads docstrings in the same way: where no indented lines follow, the meaning is behind the colon.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"(Other )?(Parameters|Attributes)")
_ENTRY = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*) : (?P<meaning>.*\S)")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", spell_out, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def spell_out(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Put the meaning of such parameters onto a line of its own, in place."""
    written: list[str] = []
    inside = False
    for here, below in zip(lines, [*lines[1:], ""], strict=True):
        if set(below.strip()) == {"-"}:
            inside = bool(_SECTION.fullmatch(here.strip()))
        entry = _ENTRY.fullmatch(here) if inside and not below.startswith(" ") else None
        written += [entry["names"], f"    {entry['meaning']}"] if entry else [here]
    lines[:] = written
