"""What is known of each sample, on disk while the data are gone through.

Many small arrays between the large ones that come and go would keep memory from being given back.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
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
    """Thumbnails and rows of numbers in temporary files, which go with this object.

    Memory holds where each thumbnail begins, and nothing else.
    """

    def __init__(self) -> None:
        self._rows = tempfile.TemporaryFile(prefix="xaicore-audit-")  # noqa: SIM115 - closed by `close`
        self._row: np.dtype[Any] | None = None
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

    def append_rows(self, columns: Mapping[str, NDArray[Any]]) -> None:
        """Write columns of numbers, (B, ...) each, at the end; every time the same ones, in the same types."""
        types = [(name, column.dtype, column.shape[1:]) for name, column in columns.items()]
        self._row = np.dtype(types) if self._row is None else self._row
        rows = np.empty(len(next(iter(columns.values()))), self._row)
        for name, column in columns.items():
            rows[name] = column
        self._rows.write(rows.tobytes())

    def columns(self) -> dict[str, NDArray[Any]]:
        """All that `append_rows` wrote, by name."""
        if self._row is None:
            return {}
        self._rows.seek(0)
        rows = np.fromfile(self._rows, self._row)
        return {name: np.ascontiguousarray(rows[name]) for name in self._row.names or ()}

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
        """Delete the files."""
        self._file.close()
        self._rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
