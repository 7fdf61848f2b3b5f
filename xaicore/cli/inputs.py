"""Inputs as they are named on the command line: image files, folders of them, .npy, .pt and .csv."""

from __future__ import annotations

import csv
import io
import math
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.cli.images import IMAGE_SUFFIXES, ImageOptions, read_image
from xaicore.errors import FileError

INPUT_HELP = """
INPUT is an image file, a folder (its image files), or an array whose first dimension counts samples: .npy; .pt, which
may hold a tuple or dict where the model takes several inputs; .csv, numbers with one sample a line.
"""
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True)
class Samples:
    """Samples from one or several files.

    Attributes
    ----------
    inputs
        What the model takes: a tensor (samples, ...), or a tuple or dict where it takes several.
    names
        One a sample, unique, fit for a file name.
    images
        How pixels became inputs, where all files are images.
    """

    inputs: Any
    names: list[str]
    images: ImageOptions | None = None


def load_inputs(paths: Sequence[Path], images: ImageOptions) -> Samples:
    """Read all files and join them to one batch.

    Raises
    ------
    FileError
        Where a file cannot be read, is of an unknown type, or does not fit the others.
    """
    files = [file for path in paths for file in _files(path)]
    contents = [_read(file, images) for file in files]
    pixels = images if all(file.suffix.lower() in IMAGE_SUFFIXES for file in files) else None
    if len(files) == 1:
        return Samples(contents[0], _names(files[0], _length(contents[0])), pixels)
    tensors: list[Tensor] = []
    for file, content in zip(files, contents, strict=True):
        if not isinstance(content, Tensor):
            raise FileError(f"{str(file)!r} holds several inputs of a model; explain it on its own.")
        if tensors and content.shape[1:] != tensors[0].shape[1:]:
            advice = " Give one size to all images with --size." if file.suffix.lower() in IMAGE_SUFFIXES else ""
            raise FileError(
                f"{str(file)!r} has samples of shape {tuple(content.shape[1:])}, {str(files[0])!r} of "
                f"{tuple(tensors[0].shape[1:])}: they do not make one batch.{advice}"
            )
        tensors.append(content)
    names = [name for file, tensor in zip(files, tensors, strict=True) for name in _names(file, len(tensor))]
    return Samples(torch.cat(tensors), _unique(names), pixels)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = sorted(file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES)
        if not found:
            raise FileError(f"The folder {str(path)!r} holds no image ({', '.join(IMAGE_SUFFIXES)}).")
        return found
    if not path.is_file():
        raise FileError(f"There is no file {str(path)!r}.")
    return [path]


def _read(path: Path, images: ImageOptions) -> Any:
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return read_image(path, images)[None]
    readers = {".npy": _read_npy, ".pt": _read_pt, ".csv": _read_csv}
    if suffix not in readers:
        known = ", ".join([*IMAGE_SUFFIXES, *readers])
        raise FileError(f"{str(path)!r} is of no type that can be read; these can: {known}.")
    return readers[suffix](path)


def _read_npy(path: Path) -> Tensor:
    try:
        array = np.load(path, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            raise ValueError("it holds several arrays")
        tensor = torch.from_numpy(array.astype(array.dtype.newbyteorder("="), copy=False))
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as an array of numbers: {error}") from error
    return _with_batch(path, tensor)


def _read_pt(path: Path) -> Any:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{str(path)!r} holds more than tensors and is not loaded, since it could run code. Save tensors alone."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as tensors: {error}") from error
    content = tuple(content) if isinstance(content, list) else content
    parts = content.values() if isinstance(content, dict) else content if isinstance(content, tuple) else (content,)
    if not parts or not all(isinstance(part, Tensor) for part in parts):
        raise FileError(f"{str(path)!r} must hold a tensor, or a tuple or dict of tensors, one for each model input.")
    for part in parts:
        _with_batch(path, part)
    return content


def _read_csv(path: Path) -> Tensor:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (UnicodeDecodeError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as text: {error}") from error
    first = text.partition("\n")[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    header = lines[0][1] if lines else []
    if not any(_is_number(cell) for cell in header):
        lines = lines[1:]
    if not lines:
        raise FileError(f"{str(path)!r} holds no line of numbers.")
    if len(header) > 2 and header == [str(column) for column in range(len(header))]:
        raise FileError(f"The first line of {str(path)!r} counts columns (0, 1, 2, ...) and is no sample; remove it.")
    width = len(lines[0][1])
    for number, row in lines:
        if len(row) != width:
            raise FileError(f"{str(path)!r}, line {number}: {len(row)} columns where the first line has {width}.")
        for column, cell in enumerate(row, start=1):
            if not _is_number(cell):
                raise FileError(f"{str(path)!r}, line {number}, column {column}: {cell!r} is no finite number.")
    return torch.tensor([[float(cell) for cell in row] for _, row in lines])


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _with_batch(path: Path, tensor: Tensor) -> Tensor:
    if tensor.dim() == 0 or tensor.numel() == 0:
        raise FileError(f"{str(path)!r} has shape {tuple(tensor.shape)}; its first dimension must count samples.")
    return tensor


def _length(content: Any) -> int:
    if isinstance(content, Tensor):
        return len(content)
    return len(next(iter(content.values() if isinstance(content, dict) else content)))


def _names(path: Path, samples: int) -> list[str]:
    digits = len(str(samples - 1))
    return [path.stem] if samples == 1 else [f"{path.stem}_{number:0{digits}}" for number in range(samples)]


def _unique(names: list[str]) -> list[str]:
    """Number the names that several files share, such as those of two folders."""
    taken: set[str] = set()
    result = []
    for name in names:
        candidate, number = name, 2
        while candidate in taken:
            candidate, number = f"{name}_{number}", number + 1
        taken.add(candidate)
        result.append(candidate)
    return result
