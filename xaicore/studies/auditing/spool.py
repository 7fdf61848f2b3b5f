"""Pictures and maps of all samples on disk, until it is known which of them are shown."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Thumbnail:
    """What is shown of one sample.

    Attributes
    ----------
    picture : array (h, w) or (h, w, 3), uint8, or None
        None where the input is no image.
    map : array (h, w) or (t,)
        Its relevance.
    """

    picture: NDArray[np.uint8] | None
    map: NDArray[Any]


class Spool:
    """Thumbnails in a temporary file, which goes with this object. Memory holds where each begins, and nothing else."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="xaicore-audit-")  # noqa: SIM115 - closed by `close`
        self._places: list[tuple[int, float, tuple[int, ...] | None, tuple[int, ...]]] = []

    def append(self, thumbnail: Thumbnail) -> None:
        """Write one at the end. Maps are kept in half precision, next to the number that they are scaled by."""
        finite = np.abs(thumbnail.map[np.isfinite(thumbnail.map)])
        scale = float(finite.max()) if finite.size and finite.max() > 0 else 1.0
        picture = thumbnail.picture
        shape = None if picture is None else picture.shape
        self._places.append((self._file.seek(0, 2), scale, shape, thumbnail.map.shape))
        if picture is not None:
            self._file.write(np.ascontiguousarray(picture, np.uint8).tobytes())
        self._file.write((thumbnail.map / scale).astype(np.float16).tobytes())

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, place: int) -> Thumbnail:
        start, scale, picture_shape, map_shape = self._places[place]
        self._file.seek(start)
        picture = None if picture_shape is None else self._read(picture_shape, np.uint8)
        return Thumbnail(picture, (self._read(map_shape, np.float16).astype(np.float64) * scale).astype(np.float32))

    def _read(self, shape: tuple[int, ...], dtype: Any) -> NDArray[Any]:
        content = self._file.read(int(np.prod(shape)) * np.dtype(dtype).itemsize)
        return np.frombuffer(content, dtype).reshape(shape)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
