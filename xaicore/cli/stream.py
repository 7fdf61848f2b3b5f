"""Files as a stream of batches: never more samples in memory than one batch, and samples of one shape in each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xaicore.cli.arrays import ArrayFile, open_array
from xaicore.cli.images import ImageOptions, read_image
from xaicore.cli.inputs import Names, check_type, is_image
from xaicore.engine import batch_of, samples_of
from xaicore.errors import FileError

_MOST_BYTES = 256 * 2**20


@dataclass(frozen=True)
class Piece:
    """Some samples that can be explained together.

    Attributes
    ----------
    inputs
        What the model takes: a tensor (samples, ...), or a tuple or dict where it takes several.
    names
        One a sample, unique in the stream.
    files
        Where each sample comes from.
    numbers
        The place of each sample among all samples of the stream, counted from 0.
    """

    inputs: Any
    names: list[str]
    files: list[Path]
    numbers: list[int]

    def one(self, place: int) -> Piece:
        """One of the samples, on its own."""
        inputs = samples_of(self.inputs, place, place + 1)
        return Piece(inputs, [self.names[place]], [self.files[place]], [self.numbers[place]])

    @property
    def shape(self) -> tuple[Any, ...]:
        """What must agree for samples to be explained together."""
        if not isinstance(self.inputs, Tensor):
            return (id(self.inputs),)  # several inputs of a model: their file stays on its own
        return (tuple(self.inputs.shape[1:]), self.inputs.dtype)

    @property
    def nbytes(self) -> int:
        """How much memory the samples take."""
        return self.inputs.nbytes if isinstance(self.inputs, Tensor) else 0


@dataclass
class Stream:
    """The samples of several files, batch by batch; goes through them once.

    Images of one shape are joined to batches. Of several shapes, the largest group of those that wait is handed on
    where there are as many as a batch holds in all.

    Parameters
    ----------
    files
        In this order.
    images
        How pixels become inputs.
    most
        Most samples of a batch; None: all that have one shape.
    bad
        Told of each file that cannot be read, with the reason. It may raise.
    """

    files: Sequence[Path]
    images: ImageOptions
    most: int | None
    bad: Callable[[Path, Exception], None]
    _waiting: dict[tuple[Any, ...], list[Piece]] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Piece]:
        for piece in self._pieces():
            self._waiting.setdefault(piece.shape, []).append(piece)
            if not isinstance(piece.inputs, Tensor) or self._is_full():
                yield self._joined()
        while self._waiting:
            yield self._joined()

    def count(self) -> int | None:
        """How many samples there are; None where files would have to be opened to know."""
        return len(self.files) if all(map(is_image, self.files)) else None

    def counted(self) -> int:
        """How many samples there are; opens the files of arrays.

        Raises
        ------
        FileError
            Where one of them cannot be read.
        """
        return sum(1 if is_image(file) else open_array(file).length for file in self.files)

    def _pieces(self) -> Iterator[Piece]:
        names, first = Names(), 0
        for file in self.files:
            length = 1
            try:
                opened = self._opened(file)
                length, named, start = opened.length, names.of(file, opened.length), 0
                for inputs in opened.parts(self._at_once(opened)):
                    stop = start + (batch_of(inputs) or 0)
                    places = list(range(first + start, first + stop))
                    yield Piece(inputs, named[start:stop], [file] * (stop - start), places)
                    start = stop
            except FileError as error:
                self.bad(file, error)
            first += length

    def _opened(self, file: Path) -> ArrayFile:
        check_type(file)
        if not is_image(file):
            return open_array(file)
        image = read_image(file, self.images)[None]
        return ArrayFile(1, image.nbytes, lambda most: iter([image]))

    def _at_once(self, opened: ArrayFile) -> int:
        if self.most is None:
            return opened.length
        return max(1, min(self.most, _MOST_BYTES // max(1, opened.sample_bytes)))

    def _is_full(self) -> bool:
        if self.most is None:
            return False
        waiting = [piece for group in self._waiting.values() for piece in group]
        return (
            sum(len(piece.names) for piece in waiting) >= self.most
            or sum(piece.nbytes for piece in waiting) >= _MOST_BYTES
        )

    def _joined(self) -> Piece:
        """The largest group of those that wait, as one piece."""
        largest = max(self._waiting, key=lambda shape: sum(len(piece.names) for piece in self._waiting[shape]))
        group = self._waiting.pop(largest)
        if len(group) == 1:
            return group[0]
        return Piece(
            torch.cat([piece.inputs for piece in group]),
            [name for piece in group for name in piece.names],
            [file for piece in group for file in piece.files],
            [number for piece in group for number in piece.numbers],
        )
