"""Words from the pieces that tokenizers make of them, each with the sum of the relevance of its pieces."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Any

import numpy as np

from xaicore.errors import InputError, ParameterError, nearest
from xaicore.visualization.named_lines import line_of
from xaicore.visualization.scales import Array

WordIds = Sequence[int | None]
STYLES = ("auto", "wordpiece", "bpe", "sentencepiece")

_BEGINS_BPE, _BEGINS_SENTENCEPIECE, _CONTINUES = "Ġ", "▁", "##"
_SPECIAL = re.compile(r"\[[A-Z]+\d*\]|<(?!0x[0-9A-Fa-f]{2}>)[^<>\s]+>")
_BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")


def merge_word_pieces(
    tokens: Sequence[str],
    relevance: Any,
    style: str | WordIds = "auto",
    *,
    special: Sequence[str] | None = None,
) -> tuple[list[str], Array]:
    """Put word pieces together to words, and add up their relevance.

    Parameters
    ----------
    tokens : sequence of str
        The T pieces of one text, as ``tokenizer.convert_ids_to_tokens`` gives them.
    relevance : tensor or array, (T,)
        One value a piece.
    style : {"auto", "wordpiece", "bpe", "sentencepiece"}, or sequence of int or None
        How pieces show where words begin. "wordpiece" (BERT): a piece with ``##`` goes on with the word before.
        "bpe" (GPT-2, RoBERTa, on bytes): a word begins with ``Ġ``, and behind a line break. "sentencepiece" (T5,
        Llama): a word begins with ``▁``. In the latter two, what is written without a space is one word: punctuation
        belongs to the word before it. "auto" takes the first of these that is found: a piece that begins with ``▁``,
        with ``Ġ``, one that goes on with ``##``; where there is none, every token is a word. A sequence has the
        number of each token's word, as ``encoding.word_ids()`` does: neighbours of one number are a word; None, or a
        negative number, belongs to none and stays apart.
    special : sequence of str, optional
        Tokens that belong to no word (``tokenizer.all_special_tokens``) and stay apart. Without it, those that look
        like ``[CLS]`` or ``<s>``.

    Returns
    -------
    words : list of str
        The W words, without the marks, bytes put together to the characters they stand for.
    relevance : array (W,), float64
        The sums; they add up to what the pieces add up to.

    Raises
    ------
    InputError
        Lengths that differ.
    ParameterError
        An unknown style.

    Examples
    --------
    >>> words, values = merge_word_pieces(["[CLS]", "un", "##believ", "##able"], [0.0, 0.5, 0.25, 1.0])
    >>> words, values.tolist()
    (['[CLS]', 'unbelievable'], [0.0, 1.75])
    """
    pieces, line = list(tokens), line_of(relevance, "relevance")
    if len(pieces) != len(line):
        raise InputError(f"{len(pieces)} tokens for relevance of {len(line)}: give one value a token.")
    apart = [_is_special(piece, special) for piece in pieces]
    if isinstance(style, str):
        style = _checked(style, pieces, apart)
        starts = _STARTS[style](pieces, apart)
    else:
        starts = _starts_of_ids(style, len(pieces))
        style = _checked("auto", pieces, apart)
    first = np.flatnonzero(starts)
    groups = zip(first.tolist(), [*first[1:].tolist(), len(pieces)], strict=True)
    words = [_text(pieces[start:stop], apart[start], style) for start, stop in groups]
    with np.errstate(invalid="ignore"):  # infinities of both signs have no sum: NaN
        return words, np.add.reduceat(line, first)


def _is_special(piece: str, special: Sequence[str] | None) -> bool:
    return piece in special if special is not None else _SPECIAL.fullmatch(piece) is not None


def _checked(style: str, pieces: list[str], apart: list[bool]) -> str:
    """The style itself, or for "auto" the one whose marks are found; "" where there are none."""
    if style not in STYLES:
        raise ParameterError(f"style={style!r}: one of {STYLES}, or the word ids.{nearest(style, STYLES)}")
    if style != "auto":
        return style
    ordinary = [piece for piece, special in zip(pieces, apart, strict=True) if not special]
    for mark, found in ((_BEGINS_SENTENCEPIECE, "sentencepiece"), (_BEGINS_BPE, "bpe"), (_CONTINUES, "wordpiece")):
        if any(piece.startswith(mark) and piece != _CONTINUES for piece in ordinary):
            return found
    return ""


def _starts_of_ids(given: WordIds, pieces: int) -> list[bool]:
    ids = [None if own is None or own < 0 else int(own) for own in given]
    if len(ids) != pieces:
        raise InputError(f"{len(ids)} word ids for {pieces} tokens: give one a token.")
    return [not place or own is None or own != ids[place - 1] for place, own in enumerate(ids)]


def _starts(begins: Callable[[str, str], bool]) -> Callable[[list[str], list[bool]], list[bool]]:
    """Where words start: at special tokens, behind them, and where `begins(piece, the one before)` says so."""

    def starts(pieces: list[str], apart: list[bool]) -> list[bool]:
        return [
            not place or apart[place] or apart[place - 1] or begins(piece, pieces[place - 1])
            for place, piece in enumerate(pieces)
        ]

    return starts


def _begins_bpe(piece: str, before: str) -> bool:
    # Behind a line break ("Ċ") no space is written; a space by itself belongs to what follows it.
    end = _decoded(before)[-1:]
    return _decoded(piece)[:1].isspace() or (end.isspace() and end != " ")


_STARTS = {
    "wordpiece": _starts(lambda piece, before: not piece.startswith(_CONTINUES) or piece == _CONTINUES),
    "bpe": _starts(_begins_bpe),
    "sentencepiece": _starts(lambda piece, before: piece.startswith(_BEGINS_SENTENCEPIECE)),
    "": _starts(lambda piece, before: True),
}


def _text(pieces: list[str], special: bool, style: str) -> str:
    """What a word looks like; one of white space alone is kept as it is."""
    if special:
        return "".join(pieces)
    if style == "wordpiece":
        pieces = [pieces[0], *(piece.removeprefix(_CONTINUES) for piece in pieces[1:])]
    text = "".join(pieces)
    if style == "bpe":
        text = _decoded(text)
    elif style == "sentencepiece":
        text = _BYTES.sub(_characters, text).replace(_BEGINS_SENTENCEPIECE, " ")
    return (text.strip(" ") or text) if style in ("bpe", "sentencepiece") else text


def _characters(run: re.Match[str]) -> str:
    return bytes(int(each, 16) for each in re.findall("0x(..)", run[0])).decode("utf-8", errors="replace")


def _decoded(text: str) -> str:
    """The text whose UTF-8 bytes these characters stand for; other characters stay as they are."""
    known = _byte_of_character()
    parts = []
    for of_bytes, characters in groupby(text, known.__contains__):
        run = "".join(characters)
        parts.append(bytes(known[each] for each in run).decode("utf-8", errors="replace") if of_bytes else run)
    return "".join(parts)


@lru_cache(maxsize=1)
def _byte_of_character() -> dict[str, int]:
    """Of byte-level BPE (Radford et al. 2019): bytes that print stand for themselves, the others for 256, 257, ..."""
    printing = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = sorted(set(range(256)) - set(printing))
    return {chr(byte): byte for byte in printing} | {chr(256 + place): byte for place, byte in enumerate(others)}
