"""Tokens in figures: texts in their order, by id or by the words of `--words FILE`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import Tensor

from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore import Explanation


def words_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--words``."""
    return click.option(
        "--words", type=click.Path(path_type=Path), metavar="FILE",
        help="Words for figures of integer inputs: a text file with one word a line, that of id 0 first.",
    )(command)  # fmt: skip


def read_words(path: Path | None) -> list[str] | None:
    """The words of a file, the place of each being its id.

    Raises
    ------
    FileError
        Where it cannot be read as text, or is empty.
    """
    if path is None:
        return None
    try:
        words = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"--words {str(path)!r} cannot be read as text: {error}") from error
    if not words:
        raise FileError(f"--words {str(path)!r} is empty: it must have one word a line, that of id 0 first.")
    return words


def as_text(explanation: Explanation, words: list[str] | None) -> dict[str, Any]:
    """The options of a figure that write the tokens of integer inputs (B, T) in their order.

    Raises
    ------
    click.UsageError
        There are words, and nothing that they could stand for.
    FileError
        There is no word for an id.
    """
    found = {}
    if explanation.layer is None and explanation.inputs is not None:
        relevance, inputs = _by_name(explanation.relevance), _by_name(explanation.inputs)
        found = {name: inputs[name] for name, own in relevance.items() if _are_tokens(own, inputs.get(name))}
    if words is not None and not found:
        raise click.UsageError("--words is for integer inputs (samples, tokens), and nothing that is explained is one.")
    if not found:
        return {}
    names = {name: [_words_of(row, words) for row in each.tolist()] for name, each in found.items()}
    return {"kind": dict.fromkeys(names, "tokens"), "names": names}


def _by_name(tensors: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return {"": tensors} if isinstance(tensors, Tensor) else tensors


def _are_tokens(relevance: Tensor, given: Tensor | None) -> bool:
    return (
        given is not None
        and not (given.is_floating_point() or given.is_complex() or given.dtype == torch.bool)
        and given.ndim == 2
        and given.shape == relevance.shape
    )


def _words_of(ids: list[int], words: list[str] | None) -> list[str]:
    if words is None:
        return [str(each) for each in ids]
    outside = [each for each in ids if not 0 <= each < len(words)]
    if outside:
        raise FileError(
            f"--words has {len(words)} lines, for the ids 0 to {len(words) - 1}, and an input has the id {outside[0]}."
        )
    return [words[each] for each in ids]
