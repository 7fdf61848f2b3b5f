"""Data with true classes, and masks or boxes, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from xaicore.engine import batch_of, is_stream
from xaicore.engine.streams import length_of, taken
from xaicore.errors import InputError, ParameterError

_AT_ONCE = 64
_POSITIONS = {"inputs": 0, "true": 1, "masks": 2}
_KEYS = {
    "inputs": ("inputs", "x", "image", "images", "pixel_values"),
    "true": ("true", "y", "label", "labels", "target"),
    "masks": ("masks", "mask"),
    "boxes": ("boxes", "box"),
    "names": ("names", "name", "path", "file"),
}
_NEEDED = ("inputs", "true")


@dataclass(frozen=True)
class LabelledBatch:
    """Samples of which the true class is known.

    Attributes
    ----------
    inputs
        What the model takes.
    true : Tensor (B,)
        Classes, int64.
    masks, boxes
        Where the object is, as `xaicore.explanation.as_masks` and `masks_from_boxes` take it; None: nobody said.
    names : list of str, optional
        One a sample.
    """

    inputs: Any
    true: Tensor
    masks: Any = None
    boxes: Any = None
    names: Sequence[str] | None = None

    def rows(self, index: Sequence[int]) -> LabelledBatch:
        """The samples at these places."""
        parts = (_rows(each, index) for each in (self.inputs, self.true, self.masks, self.boxes, self.names))
        return LabelledBatch(*parts)


@dataclass(frozen=True)
class LabelledBatches:
    """The batches of data as users have them; goes through data in memory a piece at a time.

    Parameters
    ----------
    data : iterable, Dataset, tuple or dict
        Batches, as a DataLoader yields them; samples, as a Dataset has them; or one tuple or dict with all of them.
    selectors : mapping of str to position, key or callable
        Where ``inputs``, ``true``, ``masks``, ``boxes`` and ``names`` are in an item; None or missing: at the positions
        0, 1 and 2 (masks), or under a key that is called so.
    classes : sequence of int, optional
        Leave samples of all other classes out.
    at_once : int, optional
        How many samples of data in memory make a batch.
    """

    data: Any
    selectors: Mapping[str, Any]
    classes: Sequence[int] | None = None
    at_once: int | None = None

    def __post_init__(self) -> None:
        if self.selectors.get("masks") is not None and self.selectors.get("boxes") is not None:
            raise ParameterError("give masks= or boxes=, not both")
        if isinstance(self.data, Tensor) or hasattr(self.data, "__array__") or isinstance(self.data, str | bytes):
            raise InputError(
                f"data is a {type(self.data).__name__}, without the true classes: give (inputs, classes), or "
                "(inputs, classes, masks), or batches of these"
            )

    def __iter__(self) -> Iterator[LabelledBatch]:
        for item in self._items():
            batch = self._read(item)
            if self.classes is None:
                yield batch
                continue
            kept = [place for place, true in enumerate(batch.true.tolist()) if true in self.classes]
            if kept:
                yield batch.rows(kept)

    def __len__(self) -> int:
        items = self._source()
        if items is not None:
            length = length_of(items)
            if length is None:
                raise TypeError("a stream that does not say how long it is")
            return length
        return -(-self._read(self.data).true.numel() // (self.at_once or _AT_ONCE))

    def _source(self) -> Iterable[Any] | None:
        """What yields batches; None where all samples are in memory."""
        if isinstance(self.data, Dataset) and not is_stream(self.data):
            return DataLoader(self.data, batch_size=self.at_once or _AT_ONCE)
        return self.data if is_stream(self.data) else None

    def _items(self) -> Iterator[Any]:
        source = self._source()
        if source is not None:
            yield from source
            return
        whole = self._read(self.data)
        step = self.at_once or _AT_ONCE
        for start in range(0, len(whole.true), step):
            yield whole.rows(range(start, min(start + step, len(whole.true))))

    def _read(self, item: Any) -> LabelledBatch:
        if isinstance(item, LabelledBatch):
            return item
        found = {name: self._part(item, name) for name in _KEYS}
        inputs = tuple(found["inputs"]) if isinstance(found["inputs"], list) else found["inputs"]
        true = _classes(found["true"])
        length = batch_of(inputs) if not hasattr(inputs, "__len__") or isinstance(inputs, tuple | dict) else len(inputs)
        lengths = {"inputs": length, "true": len(true)}
        lengths |= {name: len(found[name]) for name in ("masks", "boxes", "names") if found[name] is not None}
        if len({each for each in lengths.values() if each is not None}) > 1:
            raise InputError(f"the parts of a batch disagree on the number of samples: {lengths}")
        names = None if found["names"] is None else [str(name) for name in found["names"]]
        return LabelledBatch(inputs, true, found["masks"], found["boxes"], names)

    def _part(self, item: Any, name: str) -> Any:
        chosen = self.selectors.get(name)
        if chosen is not None:
            return taken(item, chosen)
        if isinstance(item, Mapping):
            key = next((key for key in _KEYS[name] if key in item), None)
            if key is None and name in _NEEDED:
                raise InputError(
                    f"a batch has none of the keys {', '.join(_KEYS[name])}, only {', '.join(map(str, item))}: "
                    f"say where it is, as in {name}='key'"
                )
            return None if key is None else item[key]
        if not isinstance(item, tuple | list):
            raise InputError(f"a batch is a {type(item).__name__}; give (inputs, classes), or a dict of them")
        place = _POSITIONS.get(name)
        if place is None or len(item) <= place:
            if name in _NEEDED:
                raise InputError(f"a batch holds {len(item)} entries; it needs inputs and true classes")
            return None
        if name == "masks" and self.selectors.get("boxes") is not None:
            return None
        return item[place]


def _classes(true: Any) -> Tensor:
    try:
        found = torch.as_tensor(true).detach().cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"the true classes are {true!r:.80}; give one whole number a sample") from error
    if found.ndim == 2 and found.shape[1] == 1:
        found = found[:, 0]
    if found.ndim != 1 or found.is_floating_point() or found.is_complex() or found.dtype is torch.bool:
        raise InputError(
            f"the true classes have shape {tuple(found.shape)} and type {found.dtype}; give one whole number a sample"
        )
    return found.long()


def _rows(value: Any, index: Sequence[int]) -> Any:
    if value is None:
        return None
    if isinstance(value, Mapping):
        return {key: _rows(each, index) for key, each in value.items()}
    if isinstance(value, tuple):
        return tuple(_rows(each, index) for each in value)
    if isinstance(value, list):
        return [value[place] for place in index]
    return value[index.start : index.stop] if isinstance(index, range) else value[list(index)]
