"""Arrays in files (.npy, .pt, .csv), opened without reading them whole and read a few samples at a time."""

from __future__ import annotations

import csv
import math
import pickle
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.engine import batch_of, samples_of
from xaicore.errors import FileError

_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class ArrayFile:
    """An array whose first dimension counts samples, in a file that was found to be sound.

    Attributes
    ----------
    length
        How many samples.
    sample_bytes
        About how much memory one takes.
    parts
        Given a number, yields that many samples after the other, in order: a tensor (n, ...), or a tuple or dict.
    """

    length: int
    sample_bytes: int
    parts: Callable[[int], Iterator[Any]]

    def whole(self) -> Any:
        """All samples at once."""
        return next(self.parts(self.length))


def open_array(path: Path) -> ArrayFile:
    """Open the file of an array, of one of the types in `ARRAY_SUFFIXES`.

    Raises
    ------
    FileError
        Where it cannot be read, or holds no numbers.
    """
    return _OPENERS[path.suffix.lower()](path)


def _open_npy(path: Path) -> ArrayFile:
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays")
        native = array.dtype.newbyteorder("=")
        torch.from_numpy(np.empty(0, native))
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as an array of numbers: {error}") from error
    _check_batch(path, array.shape)

    def parts(most: int) -> Iterator[Tensor]:
        for start in range(0, len(array), most):
            yield torch.from_numpy(np.array(array[start : start + most], native))

    return ArrayFile(len(array), array.nbytes // len(array), parts)


def _open_pt(path: Path) -> ArrayFile:
    try:
        # Only files of the newer format, which are archives, can stay on disk.
        on_disk = zipfile.is_zipfile(path)
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=on_disk)
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{str(path)!r} holds more than tensors and is not loaded, since it could run code. Save tensors alone."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as tensors: {error}") from error
    content = tuple(content) if isinstance(content, list) else content
    tensors = content.values() if isinstance(content, dict) else content if isinstance(content, tuple) else (content,)
    if not tensors or not all(isinstance(tensor, Tensor) for tensor in tensors):
        raise FileError(f"{str(path)!r} must hold a tensor, or a tuple or dict of tensors, one for each model input.")
    for tensor in tensors:
        _check_batch(path, tensor.shape)
    length = batch_of(content)
    assert length is not None

    def parts(most: int) -> Iterator[Any]:
        for start in range(0, length, most):
            yield samples_of(content, start, start + most)

    return ArrayFile(length, sum(tensor.nbytes for tensor in tensors) // length, parts)


def _open_csv(path: Path) -> ArrayFile:
    rows, width = 0, 0
    for row in _csv_rows(path):
        rows, width = rows + 1, len(row)
    if not rows:
        raise FileError(f"{str(path)!r} holds no line of numbers.")

    def parts(most: int) -> Iterator[Tensor]:
        lines = _csv_rows(path)
        while some := list(islice(lines, most)):
            yield torch.tensor(some)

    return ArrayFile(rows, 4 * width, parts)


def _csv_rows(path: Path) -> Iterator[list[float]]:
    """The lines of numbers behind a header, each checked when it is read."""
    width = 0
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            first = text.readline()
            text.seek(0)
            reader = csv.reader(text, delimiter=max(_DELIMITERS, key=first.count))
            filled = (row for row in reader if any(cell.strip() for cell in row))
            for number, row in enumerate(filled):
                if number == 0:
                    width = len(row)
                    if _is_header(path, row):
                        continue
                yield _numbers(path, reader.line_num, row, width)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{str(path)!r} cannot be read as text: {error}") from error


def _is_header(path: Path, row: list[str]) -> bool:
    if len(row) > 2 and row == [str(column) for column in range(len(row))]:
        raise FileError(f"The first line of {str(path)!r} counts columns (0, 1, 2, ...) and is no sample; remove it.")
    return not any(_is_number(cell) for cell in row)


def _numbers(path: Path, line: int, row: list[str], width: int) -> list[float]:
    if len(row) != width:
        raise FileError(f"{str(path)!r}, line {line}: {len(row)} columns where the first line has {width}.")
    for column, cell in enumerate(row, start=1):
        if not _is_number(cell):
            raise FileError(f"{str(path)!r}, line {line}, column {column}: {cell!r} is no finite number.")
    return [float(cell) for cell in row]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _check_batch(path: Path, shape: tuple[int, ...]) -> None:
    if not shape or 0 in shape:
        raise FileError(f"{str(path)!r} has shape {tuple(shape)}; its first dimension must count samples.")


_OPENERS: dict[str, Callable[[Path], ArrayFile]] = {".npy": _open_npy, ".pt": _open_pt, ".csv": _open_csv}
ARRAY_SUFFIXES = tuple(_OPENERS)
