"""Inputs as they are named on the command line: image files, folders of them, .npy, .pt and .csv."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xaicore.cli.arrays import ARRAY_SUFFIXES, open_array
from xaicore.cli.images import IMAGE_SUFFIXES, ImageOptions, read_image
from xaicore.engine import batch_of
from xaicore.errors import FileError

INPUT_HELP = """
INPUT is an image file, a folder (its image files), or an array whose first dimension counts samples: .npy; .pt, which
may hold a tuple or dict where the model takes several inputs; .csv, numbers with one sample a line.
"""


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


class Names:
    """Names of samples after their files; those that files of two folders share are numbered."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def of(self, path: Path, samples: int) -> list[str]:
        """One name for each sample of a file."""
        digits = len(str(samples - 1))
        plain = [path.stem] if samples == 1 else [f"{path.stem}_{number:0{digits}}" for number in range(samples)]
        return [self._unique(name) for name in plain]

    def _unique(self, name: str) -> str:
        candidate, number = name, 2
        while candidate in self._taken:
            candidate, number = f"{name}_{number}", number + 1
        self._taken.add(candidate)
        return candidate


def load_inputs(paths: Sequence[Path], images: ImageOptions) -> Samples:
    """Read all files and join them to one batch.

    Raises
    ------
    FileError
        Where a file cannot be read, is of an unknown type, or does not fit the others.
    """
    files = files_of(paths)
    contents = [_read(file, images) for file in files]
    pixels = images if all(map(is_image, files)) else None
    names = Names()
    named = [name for file, content in zip(files, contents, strict=True) for name in names.of(file, _length(content))]
    if len(files) == 1:
        return Samples(contents[0], named, pixels)
    tensors: list[Tensor] = []
    for file, content in zip(files, contents, strict=True):
        if not isinstance(content, Tensor):
            raise FileError(f"{str(file)!r} holds several inputs of a model; explain it on its own.")
        if tensors and content.shape[1:] != tensors[0].shape[1:]:
            advice = " Give one size to all images with --size." if is_image(file) else ""
            raise FileError(
                f"{str(file)!r} has samples of shape {tuple(content.shape[1:])}, {str(files[0])!r} of "
                f"{tuple(tensors[0].shape[1:])}: they do not make one batch.{advice}"
            )
        tensors.append(content)
    return Samples(torch.cat(tensors), named, pixels)


def files_of(paths: Sequence[Path]) -> list[Path]:
    """The files that are named: those themselves, and the images of folders in order of name.

    Raises
    ------
    FileError
        Where there is no such file, or no image in a folder.
    """
    return [file for path in paths for file in _files(path)]


def is_image(path: Path) -> bool:
    """Whether the name says that a file is an image."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def check_type(path: Path) -> None:
    """Refuse a file of a type that cannot be read, by its name."""
    known = (*IMAGE_SUFFIXES, *ARRAY_SUFFIXES)
    if path.suffix.lower() not in known:
        raise FileError(f"{str(path)!r} is of no type that can be read; these can: {', '.join(known)}.")


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        try:
            # Files that begin with a dot are what systems leave beside images, such as "._a.png".
            within = [file for file in path.iterdir() if not file.name.startswith(".")]
        except OSError as error:
            raise FileError(f"The folder {str(path)!r} cannot be read: {error}") from error
        found = sorted(file for file in within if is_image(file) and not file.is_dir())
        if not found:
            raise FileError(f"The folder {str(path)!r} holds no image ({', '.join(IMAGE_SUFFIXES)}).")
        return found
    if not path.is_file():
        raise FileError(f"There is no file {str(path)!r}.")
    return [path]


def _read(path: Path, images: ImageOptions) -> Any:
    check_type(path)
    return read_image(path, images)[None] if is_image(path) else open_array(path).whole()


def _length(content: Any) -> int:
    return batch_of(content) or 0
