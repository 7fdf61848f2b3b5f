"""Batch by batch from explanations to what is kept of each sample."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation import Explanation, as_masks, masks_from_boxes, relevance_inside
from xaicore.studies.auditing.batches import LabelledBatch
from xaicore.studies.auditing.maps import pixel_maps, relevance_of_input, resized, small_shape
from xaicore.studies.auditing.samples import NO_CLUSTER, Samples
from xaicore.studies.auditing.spool import Spool, Thumbnail
from xaicore.visualization import displayable

SHOWN = 64  # pixels a side of thumbnails
_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")  # and no part of a name such as conv2d_1


@dataclass
class Recording:
    """Takes explained batches and keeps of each sample what an audit needs, on disk; memory holds their names.

    Parameters
    ----------
    spool : Spool
        Where it goes.
    target : {"true", "predicted"}
        Which class was explained.
    resolution : int
        Sides of the maps that are kept.
    mean, std : float or one a channel, optional
        What images were normalised with.
    input_name : str, optional
        Which input, where the model has several.
    """

    spool: Spool
    target: str = "true"
    resolution: int = 16
    mean: Any = None
    std: Any = None
    input_name: str | None = None
    notes: dict[str, None] = field(default_factory=dict)
    method: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    _names: list[str] = field(default_factory=list)
    _shape: tuple[int, ...] | None = None

    def __len__(self) -> int:
        """Number of samples so far."""
        return len(self._names)

    def add(self, batch: LabelledBatch, explanation: Explanation) -> None:
        """Take one batch and its explanation."""
        relevance = relevance_of_input(explanation, self.input_name)
        values = pixel_maps(relevance)
        if self._shape is None:
            self._shape = small_shape(tuple(values.shape[1:]), self.resolution)
        elif len(self._shape) != values.ndim - 1:
            raise InputError(
                f"relevance of shape {tuple(relevance.shape)} follows maps of {len(self._shape)} dimensions"
            )
        answers = _answers(explanation, batch.true)
        inside, chance = _inside(batch, relevance)
        gap = explanation.diagnostics.conservation_gap
        explained = batch.true if self.target == "true" else answers["predicted"]
        found = answers | {
            "true": batch.true,
            "explained": explained,
            "value": explanation.target["values"].detach().double().reshape(-1),
            "inside": inside,
            "chance": chance,
            "gap": torch.full((len(values),), torch.nan, dtype=torch.float64) if gap is None else gap.detach().double(),
            "non_finite": (~torch.isfinite(relevance)).flatten(1).sum(1),
            "maps": resized(values, self._shape).float(),
        }
        self.spool.append_rows({name: each.cpu().numpy() for name, each in found.items()})
        count = len(self._names)
        self._names += batch.names or [str(count + place) for place in range(len(values))]
        self._keep_thumbnails(batch, explanation, values)
        self.method, self.parameters = explanation.method, explanation.parameters
        checks = explanation.diagnostics
        self.note([*checks.notes, *(f"fallback: {each}" for each in checks.fallbacks)])

    def note(self, texts: Iterable[str]) -> None:
        """Keep notes once; of those that differ in their numbers alone, as those of batches do, the largest."""
        for text in texts:
            alike = _NUMBER.sub("#", text)
            kept = next((note for note in self.notes if _NUMBER.sub("#", note) == alike), None)
            if kept is None:
                self.notes[text] = None
            elif _numbers(text) > _numbers(kept):
                del self.notes[kept]
                self.notes[text] = None

    def samples(self) -> Samples:
        """Everything that was added, not clustered yet.

        Raises
        ------
        InputError
            Where nothing was.
        """
        if not self._names:
            raise InputError("There is nothing to audit: the data hold no sample of the classes that were asked for.")
        count = len(self._names)
        return Samples(
            names=list(self._names),
            cluster=np.full(count, NO_CLUSTER, np.int64),
            position=np.full((count, 2), np.nan),
            **self.spool.columns(),
        )

    def _keep_thumbnails(self, batch: LabelledBatch, explanation: Explanation, values: Tensor) -> None:
        images = _images(batch.inputs, explanation, self.input_name)
        shown = values.unsqueeze(1)
        if values.ndim == 3:
            shown = resized(values, _fitting(tuple(values.shape[1:]))).unsqueeze(1)
        for place in range(len(values)):
            picture = None if images is None else self._picture(images[place])
            self.spool.append(Thumbnail(picture, shown[place, 0].numpy()))

    def _picture(self, image: Tensor) -> Any:
        array = displayable(image, self.mean, self.std)
        channels = torch.from_numpy(np.nan_to_num(array.reshape(*array.shape[:2], -1), nan=0.5)).permute(2, 0, 1)
        small = resized(channels, _fitting(array.shape[:2])).mul(255).round().to(torch.uint8)
        return (small[0] if array.ndim == 2 else small.permute(1, 2, 0)).numpy()


def _answers(explanation: Explanation, true: Tensor) -> dict[str, Tensor]:
    """Predicted classes and their probabilities."""
    outputs = explanation.prediction.detach().cpu().double()
    if outputs.ndim != 2 or outputs.shape[1] < 2:
        raise InputError(
            f"an audit needs a classifier, whose output is (B, classes); this one has shape {tuple(outputs.shape)}"
        )
    if bool(((true < 0) | (true >= outputs.shape[1])).any()):
        wrong = true[(true < 0) | (true >= outputs.shape[1])][0].item()
        raise InputError(f"a sample has the true class {wrong}; the model knows 0 to {outputs.shape[1] - 1}")
    is_probable = bool((outputs >= 0).all()) and bool(((outputs.sum(1) - 1).abs() < 1e-3).all())
    probable = outputs if is_probable else outputs.softmax(1)
    return {"predicted": outputs.argmax(1), "confidence": probable.max(1).values}


def _inside(batch: LabelledBatch, relevance: Tensor) -> tuple[Tensor, Tensor]:
    """Share of the positive relevance inside the masks, and of the area that they take; NaN without masks."""
    if batch.masks is None and batch.boxes is None:
        unknown = torch.full((len(relevance),), torch.nan, dtype=torch.float64)
        return unknown, unknown
    if batch.masks is not None:
        masks = as_masks(batch.masks, relevance)
    elif relevance.ndim == 4:
        masks = masks_from_boxes(batch.boxes, *relevance.shape[2:])
    else:
        raise InputError(f"boxes belong to images; the relevance has shape {tuple(relevance.shape)}")
    return relevance_inside(relevance, masks).cpu(), masks.double().flatten(1).mean(1).cpu()


def _images(inputs: Any, explanation: Explanation, name: str | None) -> Tensor | None:
    """The inputs that are looked at as (B, C, H, W); None where they are no images."""
    kept = explanation.inputs
    if isinstance(inputs, Mapping | tuple) and isinstance(kept, Mapping):
        inputs = kept.get(name) if name is not None else next(iter(kept.values()))
    elif isinstance(inputs, Mapping | tuple):
        inputs = kept
    if inputs is None:
        return None
    images = torch.as_tensor(inputs)
    return images if images.ndim == 4 else None


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _fitting(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of a thumbnail: at most `SHOWN` a side, with the same proportions."""
    factor = max(1.0, max(shape) / SHOWN)
    return tuple(max(1, round(side / factor)) for side in shape)
