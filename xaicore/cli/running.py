"""Explaining a stream of samples: what fails is told and left out, what is finished stays."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from tqdm import tqdm

from xaicore.cli.stream import Piece, Stream
from xaicore.engine import progress_bar
from xaicore.engine.interrupts import Interrupts
from xaicore.errors import (
    ArgumentsError,
    CaptureError,
    InputError,
    LayerError,
    MatchError,
    NotFittedError,
    ParameterError,
    PluginError,
    TargetError,
    XaicoreError,
)

if TYPE_CHECKING:
    from xaicore import Explanation
    from xaicore.analyzers import Analyzer

# What is wrong with the request is wrong for every sample.
_OF_THE_REQUEST = (
    LayerError,
    MatchError,
    NotFittedError,
    ParameterError,
    PluginError,
    TargetError,
    click.ClickException,
)

_SEVERAL = (
    "INPUT must hold what the forward takes, and nothing else, such as labels: of several inputs one .pt file with a "
    "tuple in the order of the forward, or a dict by name."
)


@dataclass
class Run:
    """One run of a method over a stream of samples.

    Parameters
    ----------
    analyzer
        The method.
    target
        As on the command line: a list has one entry for each sample of the stream.
    options
        What else ``analyze`` is given.
    strict
        Whether the first failure ends the run: where one file was named, it is an error.
    together
        Whether samples must be explained together: then one that fails ends the run too.
    advice
        Added to what is told of a sample that fails.
    """

    analyzer: Analyzer
    target: Any
    options: Mapping[str, Any]
    strict: bool
    together: bool = False
    advice: str = ""
    skipped: list[dict[str, str]] = field(default_factory=list)
    interrupted: bool = False
    _failed: dict[tuple[Any, ...], Exception] = field(default_factory=dict)

    def bad(self, file: Path, error: Exception) -> None:
        """Tell of a file that cannot be read."""
        if self.strict:
            raise error
        self._skip(file, file.name, str(error))

    def over(self, stream: Stream, done: Callable[[Piece, int, Explanation], None]) -> Iterator[Explanation]:
        """Explain the samples; ``done`` is given each with its place in its batch, and what is yielded is the batch.

        Ctrl-C ends it after the sample that is worked on; `interrupted` tells so.
        """
        with Interrupts() as interrupts, progress_bar(stream.count(), show=self._show(), unit="sample") as bar:
            for piece in stream:
                for part, explanation in self._explained(piece):
                    for place in range(len(explanation)):
                        done(part, place, explanation[place])
                        bar.update(1)
                    yield explanation
                    if interrupts.asked:
                        break
                self.interrupted |= interrupts.asked
                if self.interrupted:
                    return

    def _show(self) -> bool | None:
        return False if self.strict else None  # of one file, the engine shows how far it is

    def _explained(self, piece: Piece) -> Iterator[tuple[Piece, Explanation]]:
        if piece.shape in self._failed:
            self._skip_all(piece, self._failed[piece.shape])
            return
        try:
            explanation = self._analyze(piece)
        except KeyboardInterrupt:
            self.interrupted = True
        except _OF_THE_REQUEST:
            raise
        except Exception as error:
            if self.strict or self.together:
                raise
            if isinstance(error, CaptureError):
                # That depends on the shape alone, and every attempt takes its time.
                self._failed[piece.shape] = error
            if isinstance(error, CaptureError) or len(piece.names) == 1:
                self._skip_all(piece, error)
                return
            for place in range(len(piece.names)):
                if not self.interrupted:
                    yield from self._explained(piece.one(place))
        else:
            yield piece, explanation

    def _analyze(self, piece: Piece) -> Explanation:
        target = self.target
        if isinstance(target, list):
            target = [target[number] for number in piece.numbers]
        try:
            explanation: Explanation = self.analyzer.analyze(piece.inputs, target, **self.options)
        except ArgumentsError as error:
            raise InputError(f"{error.problem} {_SEVERAL}") from error
        return explanation

    def _skip_all(self, piece: Piece, error: Exception) -> None:
        reason = str(error) if isinstance(error, XaicoreError) else f"{type(error).__name__}: {error}"
        for file, name in zip(piece.files, piece.names, strict=True):
            self._skip(file, name, reason + self.advice)

    def _skip(self, file: Path, name: str, reason: str) -> None:
        self.skipped.append({"input": name, "file": str(file), "reason": reason})
        from xaicore.visualization.printable import printable

        # Above a progress bar, where there is one.
        tqdm.write(printable(f"Skipped {file}: {' '.join(reason.split())}"), file=sys.stderr)
