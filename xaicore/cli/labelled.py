"""Samples with their true classes, as they are named on the command line: a folder a class, or arrays in a file."""

from __future__ import annotations

import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
import torch
from tqdm import tqdm

from xaicore.cli.images import ImageOptions
from xaicore.cli.inputs import files_of
from xaicore.cli.objects import Objects
from xaicore.cli.stream import Piece, Stream
from xaicore.errors import FileError, InputError, nearest

if TYPE_CHECKING:
    from xaicore.studies.auditing.batches import LabelledBatch

DATA_HELP = """
DATA is a folder with one sub-folder of images for each class, whose names are numbered in alphabetical order, as
torchvision's ImageFolder does it (or in the order of --labels); or a .npz or .pt file with the arrays x and y, and
masks or boxes where they are known.
"""
ARRAYS = (".npz", ".pt")


@dataclass
class LabelledFolders:
    """The images of folders with one sub-folder a class, batch by batch; what cannot be read is told and left out.

    Parameters
    ----------
    folders
        Sub-folders of the same name hold images of the same class.
    labels
        Names of the classes in the model's order; None: those of the sub-folders, in alphabetical order.
    images
        How pixels become inputs.
    most
        Most samples of a batch.
    objects
        Knows where the objects are; None: nobody does.
    refused
        Given one sample of another shape than the first, says why it cannot be explained, or None where it can.
    """

    folders: Sequence[Path]
    labels: list[str] | None
    images: ImageOptions
    most: int
    objects: Objects | None = None
    refused: Callable[[Any], str | None] = lambda _: None
    skipped: list[dict[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        by_class: dict[str, list[Path]] = {}
        for folder in self.folders:
            for place in _sub_folders(folder):
                by_class.setdefault(place.name, []).extend(files_of([place]))
        self.labels = sorted(by_class) if self.labels is None else self.labels
        self.files = [file for name in sorted(by_class) for file in by_class[name]]
        self._classes = [_number(name, self.labels) for name in sorted(by_class) for _ in by_class[name]]

    def __iter__(self) -> Iterator[LabelledBatch]:
        from xaicore.studies.auditing.batches import LabelledBatch

        for piece in self._explainable():
            kept, masks = self._with_masks(piece)
            if not kept:
                continue
            yield LabelledBatch(
                inputs=piece.inputs[kept],
                true=torch.tensor([self._classes[piece.numbers[place]] for place in kept]),
                masks=masks,
                names=[shown_name(piece.files[place]) for place in kept],
            )

    def __len__(self) -> int:
        return -(-len(self.files) // self.most)

    def _explainable(self) -> Iterator[Piece]:
        """The images, without those of a shape that the model does not take."""
        reasons: dict[Any, str | None] = {}
        for piece in Stream(self.files, self.images, self.most, self._skip):
            if piece.shape not in reasons:
                reasons[piece.shape] = self.refused(piece.inputs[:1]) if reasons else None
            reason = reasons[piece.shape]
            if reason is None:
                yield piece
                continue
            for file in piece.files:
                self._skip(file, InputError(reason))

    def _with_masks(self, piece: Piece) -> tuple[list[int], Any]:
        """Places of the samples whose masks can be read, and the masks."""
        if self.objects is None:
            return list(range(len(piece.names))), None
        kept, masks = [], []
        for place, file in enumerate(piece.files):
            try:
                masks.append(self.objects.mask(file, piece.numbers[place], self.images.size))
                kept.append(place)
            except FileError as error:
                self._skip(file, error)
        return kept, np.stack(masks) if masks else None

    def _skip(self, file: Path, error: Exception) -> None:
        self.skipped.append({"input": shown_name(file), "file": str(file), "reason": str(error)})
        tqdm.write(f"Skipped {file}: {' '.join(str(error).split())}", file=sys.stderr)


def shown_name(file: Path) -> str:
    """The name of an image with that of its folder: "dog/7.png"."""
    return f"{file.parent.name}/{file.name}"


def read_arrays(path: Path) -> dict[str, Any]:
    """The arrays in a .npz or .pt file by name: x and y, and perhaps masks, boxes and names.

    Raises
    ------
    FileError
        Where it cannot be read, or lacks one of them.
    """
    if not path.is_file():
        raise FileError(f"There is no file {str(path)!r}.")
    reader: Callable[[Path], Any] = _read_npz if path.suffix.lower() == ".npz" else _read_pt
    content = reader(path)
    if not isinstance(content, dict) or not {"x", "y"} <= content.keys():
        holds = f"the arrays {', '.join(map(str, content))}" if isinstance(content, dict) else type(content).__name__
        raise FileError(f"{str(path)!r} holds {holds}; it needs x, the inputs, and y, the true classes.")
    return content


def _read_npz(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError, EOFError, zipfile.BadZipFile, AttributeError, TypeError) as error:
        raise FileError(f"{str(path)!r} cannot be read as arrays: {error}") from error


def _read_pt(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise FileError(
            f"{str(path)!r} holds more than tensors and is not loaded, since it could run code. Save tensors alone."
        ) from error
    except (RuntimeError, EOFError, ValueError, OSError) as error:
        raise FileError(f"{str(path)!r} cannot be read as tensors: {error}") from error


def check_kinds(paths: Sequence[Path]) -> bool:
    """Whether the data are folders (else one file of arrays); refuses anything else."""
    folders = [path for path in paths if path.is_dir()]
    if len(folders) == len(paths):
        return True
    for path in paths:
        if not path.exists():
            raise FileError(f"There is no file or folder {str(path)!r}.")
    if folders or len(paths) > 1:
        raise click.UsageError("DATA is folders, or one file of arrays: not several files, and not both.")
    if paths[0].suffix.lower() not in ARRAYS:
        raise FileError(f"{str(paths[0])!r} is no folder and no file of arrays ({', '.join(ARRAYS)}).")
    return False


def _sub_folders(folder: Path) -> list[Path]:
    try:
        found = sorted(each for each in folder.iterdir() if each.is_dir() and not each.name.startswith("."))
    except OSError as error:
        raise FileError(f"The folder {str(folder)!r} cannot be read: {error}") from error
    if not found:
        raise FileError(
            f"The folder {str(folder)!r} has no sub-folders: put the images of each class into one of its own."
        )
    return found


def _number(name: str, labels: Sequence[str]) -> int:
    if name not in labels:
        raise InputError(
            f"The folder {name!r} is called like none of the {len(labels)} classes in --labels.{nearest(name, labels)}"
        )
    return labels.index(name)
