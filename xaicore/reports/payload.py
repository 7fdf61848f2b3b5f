"""What the page's scripts are given: samples, maps and curves as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from xaicore.reports.content import Array, MapView, Report, SampleView
from xaicore.reports.encoding import LEVELS, encoded_map, encoded_picture, reach_of
from xaicore.reports.shrinking import THUMBNAIL, small_map, small_picture
from xaicore.visualization.scales import NO_NUMBER, RELEVANCE_COLOURS

_MOST_PIXELS = 5_000_000  # of all pictures and maps together: about as many bytes of PNG, and a third more as text
_LEAST_SIDE = 48
_ESCAPED = {ord(sign): f"\\u{ord(sign):04x}" for sign in "<>&"}


def columns_of(report: Report) -> list[str]:
    """Return the columns in their order."""
    return list(report.columns) or list(dict.fromkeys(name for sample in report.samples for name in sample.maps))


def side_for(report: Report) -> int:
    """Return the side of thumbnails: 128 pixels, or fewer where there are so many that the page would be heavy."""
    pictures = sum(
        (sample.picture is not None) + sum(_is_image(each) for each in sample.maps.values())
        for sample in report.samples
    )
    if not pictures:
        return THUMBNAIL
    return int(min(THUMBNAIL, max(_LEAST_SIDE, math.sqrt(_MOST_PIXELS / pictures))))


def payload(report: Report, side: int) -> dict[str, Any]:
    """Return everything that scripts need, as plain data; notes are stored once and referred to by number."""
    columns, notes = columns_of(report), _Numbers()
    samples = [_sample(sample, columns, notes, side) for sample in report.samples]
    return {
        "title": report.title,
        "columns": columns,
        "samples": samples,
        "notes": notes.texts,
        "curves": [_curve(each) for each in report.curves],
        "colours": _colour_table(),
        "noNumber": NO_NUMBER,
        "levels": LEVELS,
        "words": _kind_of_words(report.samples),
    }


def as_json(data: Any) -> str:
    """Return JSON that may stand between ``<script>`` tags: ASCII, and without ``<``, ``>`` and ``&``."""
    return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)


def finite(value: float | None) -> float | None:
    """Return a number with seven digits; None for NaN and infinity, which JSON does not know."""
    return None if value is None or not math.isfinite(value) else float(f"{value:.7g}")


def is_wrong(sample: SampleView) -> bool | None:
    """Whether the predicted class is not the true one; None where one of them is not known."""
    return None if sample.true is None or not sample.predicted else sample.predicted != sample.true


class _Numbers:
    """Texts, each with a number of its own."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._known: dict[str, int] = {}

    def of(self, texts: Iterable[str]) -> list[int]:
        return [self._number(text) for text in texts]

    def _number(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = len(self.texts)
            self.texts.append(text)
        return self._known[text]


def _sample(sample: SampleView, columns: Sequence[str], notes: _Numbers, side: int) -> dict[str, Any]:
    scores = {metric: {c: finite(v) for c, v in each.items()} for metric, each in sample.scores.items()}
    return {
        "name": sample.name,
        "predicted": sample.predicted,
        "true": sample.true,
        "wrong": is_wrong(sample),
        "confidence": finite(sample.confidence),
        "cluster": sample.cluster,
        "facts": [[str(name), str(value)] for name, value in sample.facts.items()],
        "scores": scores,
        "words": None if sample.words is None else list(sample.words),
        "picture": _picture(sample, side),
        "maps": [_map(sample.maps.get(column), notes, side) for column in columns],
    }


def _picture(sample: SampleView, side: int) -> dict[str, Any] | None:
    if sample.picture is None:
        return None
    small = small_picture(sample.picture, side)
    full = sample.full_shape or sample.picture.shape
    return {"png": encoded_picture(small), "shape": list(small.shape[:2]), "full": list(full[:2])}


def _map(view: MapView | None, notes: _Numbers, side: int) -> dict[str, Any] | None:
    if view is None:
        return None
    told = {
        "explained": view.explained,
        "score": finite(view.score),
        "gap": finite(view.gap),
        "gapUndefined": view.gap is not None and not math.isfinite(view.gap),
        "bad": view.non_finite,
        "notes": notes.of(view.notes),
        "reason": view.reason,
    }
    if view.relevance is None:
        return told
    full = view.full_shape or view.relevance.shape
    values = small_map(view.relevance, side) if view.relevance.ndim == 2 else view.relevance
    reach = reach_of(np.asarray(values))
    told |= {"shape": list(values.shape), "full": list(full), "reach": reach, "limit": view.limit or reach or 1.0}
    if values.ndim == 2:
        return told | {"png": encoded_map(values, reach)}
    words = None if view.words is None else list(view.words)
    return told | {"values": [finite(float(value)) for value in values], "words": words}


def _is_image(view: MapView) -> bool:
    return view.relevance is not None and view.relevance.ndim == 2


def _kind_of_words(samples: Sequence[SampleView]) -> str:
    """How words are shown at first: as bars where all samples have the same ones, which are then names of features."""
    texts = [sample.words for sample in samples if sample.words is not None]
    texts += [view.words for sample in samples for view in sample.maps.values() if view.words is not None]
    return "text" if len(set(texts)) > 1 or len(texts) == 1 else "bars"


def _curve(curve: Any) -> dict[str, Any]:
    lines: Mapping[str, Sequence[float]] = curve.lines
    return {
        "x": [finite(float(value)) for value in curve.x],
        "lines": [[name, [finite(float(value)) for value in line]] for name, line in lines.items()],
    }


def _colour_table() -> str:
    """The colours of the relevance scale as one text of hexadecimal digits, six a colour."""
    colours: Array = RELEVANCE_COLOURS(np.arange(RELEVANCE_COLOURS.N))[:, :3]
    return np.rint(255 * colours).astype(np.uint8).tobytes().hex()
