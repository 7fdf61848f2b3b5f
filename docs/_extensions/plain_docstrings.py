"""Docstrings as they are written here: for `help` and `xaicore info` as much as for the site.

"epsilon : added to each output" is a parameter and its meaning, and not its type: where no indented lines follow, the
meaning is behind the colon. The asterisk of a shape (B, *shape) and the bar of a density p(x|y) or a size |R| are no
markup. What is indented in the docstring of a module is code or a drawing.
"""

from __future__ import annotations

import re
from typing import Any

from sphinx.application import Sphinx

_SECTION = re.compile(r"(Other )?(Parameters|Attributes)")
_ENTRY = re.compile(r"(?P<names>\w+(?:\s*,\s*\w+)*) : (?P<meaning>.*\S)")
_LITERAL = re.compile(r"(``.*?``|^\s*(?:>>>|\.\.\.).*$)")
_OBJECT = re.compile(r"<\w[^<>]*(?:<[^<>]*>)?[^<>]*>")
_MARK = re.compile(r"\||(?<=[(, ])\*(?=\w+[,)])")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("autodoc-process-docstring", as_markup, priority=400)  # before napoleon
    app.connect("autodoc-process-signature", without_objects)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def without_objects(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returned: str | None
) -> tuple[str | None, str | None]:
    """Write "..." for a default that has no literal, such as a function."""
    return _OBJECT.sub("...", signature) if signature else signature, returned


def as_markup(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Make reStructuredText of a docstring, in place."""
    lines[:] = _literal_where_indented(lines) if what == "module" else list(map(_without_marks, _spelt_out(lines)))


def _spelt_out(lines: list[str]) -> list[str]:
    """Put the meaning of parameters on one line onto a line of its own."""
    written: list[str] = []
    inside = False
    for here, below in zip(lines, [*lines[1:], ""], strict=True):
        if set(below.strip()) == {"-"}:
            inside = bool(_SECTION.fullmatch(here.strip()))
        entry = _ENTRY.fullmatch(here) if inside and not below.startswith(" ") else None
        written += [entry["names"], f"    {entry['meaning']}"] if entry else [here]
    return written


def _without_marks(line: str) -> str:
    parts = _LITERAL.split(line)  # literal text at the odd places
    return "".join(part if place % 2 else _MARK.sub(r"\\\g<0>", part) for place, part in enumerate(parts))


def _literal_where_indented(lines: list[str]) -> list[str]:
    """Put "::" before each indented part."""
    written: list[str] = []
    literal = False
    for above, here in zip(["", *lines], lines, strict=False):
        starts = here.startswith("    ") and not above.strip() and not literal
        literal = starts or (literal and (here.startswith(" ") or not here.strip()))
        written += ["::", "", here] if starts else [here]
    return written
