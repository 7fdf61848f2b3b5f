"""Texts of users made safe to show: what would move a cursor, break a line or turn the writing is written out."""

from __future__ import annotations

import unicodedata

_KNOWN = {"\n": "↵", "\r": "␍", "\t": "⇥", "": "∅"}
_JOINERS = "\u200c\u200d"  # they shape letters and emoji, and do nothing else
_WRITTEN_OUT = ("Cc", "Cf", "Cs", "Zl", "Zp")  # controls, formats (among them directions), surrogates, line ends


def printable(text: str) -> str:
    r"""Return `text` with control, format and line-breaking characters written out.

    No escape sequence of a terminal survives, since they all begin with a control character; nor do overrides of the
    writing direction. An empty text is shown as such.

    >>> printable("a\x1b[2Jb")
    'a\\x1b[2Jb'
    """
    return "".join(_shown(character) for character in text) or _KNOWN[""]


def _shown(character: str) -> str:
    if character in _KNOWN:
        return _KNOWN[character]
    if character in _JOINERS or unicodedata.category(character) not in _WRITTEN_OUT:
        return character
    return character.encode("unicode_escape").decode("ascii")


def columns_of(text: str) -> int:
    """How many columns of a terminal a printable text takes: wide characters two, combining ones none."""
    return sum(
        0
        if unicodedata.category(each) in ("Mn", "Me", "Cf")
        else 2
        if unicodedata.east_asian_width(each) in "WF"
        else 1
        for each in text
    )
