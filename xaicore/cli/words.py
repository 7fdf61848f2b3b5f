"""Tokens in figures, pages and the terminal: in their order, by id or by the words of `--words FILE`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import torch
from torch import Tensor
from tqdm import tqdm

from xaicore.cli.lines import read_lines
from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore import Explanation


def words_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--words``, ``--merge`` and ``--show``."""
    for option in (
        click.option(
            "--show", is_flag=True, help="Print the tokens of integer inputs on the colour of their relevance.",
        ),
        click.option(
            "--merge", type=click.Choice(["auto", "wordpiece", "bpe", "sentencepiece"]),
            help="Put the pieces of tokenizers together to words, in figures of integer inputs; with --words.",
        ),
        click.option(
            "--words", type=click.Path(path_type=Path), metavar="FILE",
            help="Words for figures of integer inputs: a text file with one word a line, that of id 0 first.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def read_words(path: Path | None) -> list[str] | None:
    """The words of a file, the place of each being its id.

    Raises
    ------
    FileError
        Where it cannot be read as text, or is empty.
    """
    if path is None:
        return None
    words = read_lines(path, "--words")
    if not words:
        raise FileError(f"--words {str(path)!r} is empty: it must have one word a line, that of id 0 first.")
    return words


def as_text(
    explanation: Explanation, words: list[str] | None, merge: str | None = None, show: bool = False
) -> dict[str, Any]:
    """The options of a figure that write the tokens of integer inputs (B, T) in their order.

    Raises
    ------
    click.UsageError
        There are words, or tokens are to be merged or shown, and there are no tokens; or no words to be merged.
    FileError
        There is no word for an id.
    """
    found = {}
    if explanation.layer is None and explanation.inputs is not None:
        relevance, inputs = _by_name(explanation.relevance), _by_name(explanation.inputs)
        found = {name: inputs[name] for name, own in relevance.items() if _are_tokens(own, inputs.get(name))}
    for option, given in {"--words": words is not None, "--merge": merge is not None, "--show": show}.items():
        if given and not found:
            raise click.UsageError(
                f"{option} is for integer inputs (samples, tokens), and nothing that is explained is one."
            )
    if merge is not None and words is None:
        raise click.UsageError("--merge puts pieces of words together: give them with --words.")
    if not found:
        return {}
    names = {name: [_words_of(row, words) for row in each.tolist()] for name, each in found.items()}
    return {"kind": dict.fromkeys(names, "tokens"), "names": names, "merge": dict.fromkeys(names, merge)}


def write_page(explanation: Explanation, name: str, folder: Path, drawing: Mapping[str, Any]) -> list[str]:
    """Write the tokens of one sample as a page of HTML, where it has any; return the names of the files."""
    from xaicore.visualization import provenance, tokens_html, tokens_page

    texts = list(_texts(explanation, drawing))
    if not texts:
        return []
    snippets = [tokens_html(line, words, **options) for line, words, options in texts]
    file = folder / f"{name}.html"
    file.write_text(tokens_page(snippets, f"{name}: relevance", provenance(explanation)), encoding="utf-8")
    return [str(file)]


def show_tokens(explanation: Explanation, name: str, drawing: Mapping[str, Any], stream: Any = None) -> None:
    """Print the tokens of one sample, in colours where the stream shows any."""
    from xaicore.visualization import ansi_of, tokens_terminal

    stream = sys.stdout if stream is None else stream
    ansi, width = ansi_of(stream, os.environ), shutil.get_terminal_size().columns
    for line, words, options in _texts(explanation, drawing):
        options["title"] = f"{name}: {options['title']}"
        text = tokens_terminal(line, words, ansi=ansi, width=width, **options)
        encoding = getattr(stream, "encoding", None) or "utf-8"
        # Above a progress bar, where there is one; characters that a terminal does not know must not end the run.
        tqdm.write(f"{text.encode(encoding, 'backslashreplace').decode(encoding)}\n", file=stream)


def _texts(explanation: Explanation, drawing: Mapping[str, Any]) -> Iterator[tuple[Tensor, list[str], dict[str, Any]]]:
    """Relevance, words and options of each input of one sample that is a text."""
    label = explanation.target["labels"][0]
    for name, relevance in _by_name(explanation.relevance).items():
        if name in drawing.get("names", {}):
            own = {"merge": drawing["merge"][name], "percentile": drawing.get("percentile")}
            own["title"] = f"{name}, explained: {label}" if name else f"explained: {label}"
            yield relevance[0], drawing["names"][name][0], own


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
