"""Where the object is in each image of a folder: a mask beside it, or boxes in a table."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from xaicore.cli.arrays import ARRAY_SUFFIXES, open_array
from xaicore.cli.images import IMAGE_SUFFIXES
from xaicore.errors import FileError, InputError

MASKS_HELP = (
    "Where the object is, what is not zero is inside: a folder laid out like DATA, with an image of the same name for "
    "each; or (samples, height, width) in a .npy or .pt file."
)
BOXES_HELP = (
    "Where the object is, in pixels of the images as they are: a .csv file with the columns file, x1, y1, x2, y2 and "
    "files such as dog/7.png; or (samples, 4) in a .npy or .pt file."
)
_COLUMNS = ("file", "x1", "y1", "x2", "y2")


@dataclass
class Objects:
    """Masks of images, made the size of the inputs as the images are.

    Parameters
    ----------
    masks, boxes
        As on the command line; one of them.
    files
        How many images there are.
    """

    masks: Path | None
    boxes: Path | None
    files: int
    missing: int = 0
    _by_name: dict[str, list[tuple[float, ...]]] | None = None
    _array: Any = field(default=None, repr=False)

    def __post_init__(self) -> None:
        source = self.masks or self.boxes
        assert source is not None
        if source.is_dir() and self.boxes is not None:
            raise FileError(f"--boxes {str(source)!r} is a folder; give a table.")
        if source.is_dir():
            return
        if not source.is_file():
            raise FileError(f"There is no file {str(source)!r}.")
        if self.boxes is not None and source.suffix.lower() == ".csv":
            self._by_name = read_boxes(source)
            return
        if source.suffix.lower() not in ARRAY_SUFFIXES:
            raise FileError(f"{str(source)!r} is no folder and no array file ({', '.join(ARRAY_SUFFIXES)}).")
        self._array = open_array(source).whole()
        if len(self._array) != self.files:
            raise InputError(f"{str(source)!r} holds {len(self._array)} samples; there are {self.files} images.")

    def check_names(self, files: Sequence[Path]) -> None:
        """Refuse masks or boxes of which none belongs to these images: they are laid out or called otherwise."""
        if self._array is not None or any(self._place_of(file) if self.masks else self._named(file) for file in files):
            return
        if not files:
            return
        wanted = f"{files[0].parent.name}/{files[0].name}"
        how = "it needs an image of the same name in a sub-folder" if self.masks else "its column file needs names"
        raise FileError(f"{str(self.masks or self.boxes)!r} has nothing for any image: {how}, as in {wanted!r}.")

    def mask(self, file: Path, number: int, size: tuple[int, int] | None) -> NDArray[np.bool_]:
        """Return where the object is in the image of this file, (height, width); nowhere, where nobody said.

        Raises
        ------
        FileError
            Where its mask cannot be read, or is of another size.
        """
        if self._array is not None and self.masks is not None:
            given: Any = self._array[number]
            inside: NDArray[np.bool_] = np.asarray(given if given.ndim == 2 else given.any(0)) != 0
            return inside
        shape = _shape_of(file)
        mask = self._mask_of(file, shape) if self.masks else _drawn(self._boxes_of(file, number), shape)
        if size is not None:
            mask = ImageOps.fit(mask, (size[1], size[0]), Image.Resampling.NEAREST)
        return np.asarray(mask) > 0

    def _boxes_of(self, file: Path, number: int) -> list[tuple[float, ...]]:
        if self._array is not None:
            return [tuple(self._array[number].tolist())]
        found = self._named(file)
        self.missing += found is None
        return found or []

    def _named(self, file: Path) -> list[tuple[float, ...]] | None:
        assert self._by_name is not None
        return self._by_name.get(f"{file.parent.name}/{file.name}")

    def _place_of(self, file: Path) -> Path | None:
        """The file with the mask of this image; None where there is none."""
        assert self.masks is not None
        places = (self.masks / file.parent.name / f"{file.stem}{end}" for end in IMAGE_SUFFIXES)
        return next((each for each in places if each.is_file()), None)

    def _mask_of(self, file: Path, shape: tuple[int, int]) -> Image.Image:
        place = self._place_of(file)
        if place is None:
            self.missing += 1
            return Image.new("L", shape)
        try:
            with Image.open(place) as opened:
                mask = ImageOps.exif_transpose(opened).convert("L")
        except (UnidentifiedImageError, OSError, Image.DecompressionBombError) as error:
            raise FileError(f"its mask {str(place)!r} cannot be read as an image: {error}") from error
        if mask.size != shape:
            raise FileError(f"its mask {str(place)!r} has {mask.size} pixels, the image {shape}")
        return mask


def read_boxes(path: Path) -> dict[str, list[tuple[float, ...]]]:
    """Read boxes from a table with a header, by file; one file may have several lines."""
    found: dict[str, list[tuple[float, ...]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as text:
            reader = csv.DictReader(text)
            if not set(_COLUMNS) <= set(reader.fieldnames or ()):
                raise FileError(f"{str(path)!r} needs the columns {', '.join(_COLUMNS)} in its first line.")
            for row in reader:
                try:
                    box = tuple(float(row[column]) for column in _COLUMNS[1:])
                except (TypeError, ValueError):
                    raise FileError(f"{str(path)!r}, line {reader.line_num}: {list(row.values())} is no box.") from None
                found.setdefault("/".join(Path(row["file"]).parts[-2:]), []).append(box)
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(f"{str(path)!r} cannot be read as a table: {error}") from error
    return found


def _shape_of(file: Path) -> tuple[int, int]:
    """Width and height of the image as it is shown, without reading its pixels."""
    with Image.open(file) as opened:
        turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        return (opened.height, opened.width) if turned else (opened.width, opened.height)


def _drawn(boxes: list[tuple[float, ...]], shape: tuple[int, int]) -> Image.Image:
    mask = Image.new("L", shape)
    for box in boxes:
        left, top, right, bottom = (round(edge) for edge in box)
        if left >= right or top >= bottom or right <= 0 or bottom <= 0 or left >= shape[0] or top >= shape[1]:
            raise FileError(f"its box {box} holds no pixel of {shape[0]} x {shape[1]}; a box is x1, y1, x2, y2")
        ImageDraw.Draw(mask).rectangle((left, top, right - 1, bottom - 1), fill=255)
    return mask
