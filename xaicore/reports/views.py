"""From explanations and scores to what a report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.reports.content import Array, MapView, MetricView, SampleView
from xaicore.reports.shrinking import shrunk
from xaicore.visualization.pictures import Channels, displayable
from xaicore.visualization.scales import as_array, symmetric_limit
from xaicore.visualization.sheets import class_name

__all__ = ["metric_views", "sample_views", "shrunk"]


def sample_views(
    explanations: Mapping[str, Explanation],
    *,
    inputs: Any = None,
    names: Sequence[str] | None = None,
    true: Sequence[Any] | Tensor | None = None,
    labels: Sequence[str] | None = None,
    mean: Channels = None,
    std: Channels = None,
    words: Sequence[Any] | Mapping[str, Any] | None = None,
    percentile: float | None = None,
) -> list[SampleView]:
    """Return one view a sample, small enough to be collected by the hundreds, of explanations of the same B samples.

    Parameters
    ----------
    explanations : dict of Explanation by column
        Of a model with several inputs each column becomes one for each input that was explained: "lrp.zero: text".
    inputs : tensor (B, ...) or dict of tensors, optional
        The images to show; those that the explanations keep, without it.
    names : sequence of str (B,), optional
        File names; the numbers of the samples without it.
    true : sequence of int or str (B,), optional
        True classes.
    labels : sequence of str, optional
        Names of the classes.
    mean, std : float or one a channel, optional
        What images were normalised with.
    words : sequence of str, or one sequence a sample, or dict of these by input, optional
        Names of features, or the tokens of each sample.
    percentile : float, optional
        Where the colour scale of each image ends, as a percentile of its magnitudes; at the largest without it.

    Raises
    ------
    InputError
        Where the numbers of samples, names, classes or words disagree.
    """
    if not explanations:
        raise InputError("A report of samples needs at least one explanation: {'lrp.zero': explanation}.")
    counts = {column: len(explanation) for column, explanation in explanations.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"Every column needs the same samples; got {counts}.")
    first, count = next(iter(explanations.values())), next(iter(counts.values()))
    given = {"names": names, "true": true}
    for what, entries in given.items():
        if entries is not None and len(entries) != count:
            raise InputError(f"{len(entries)} {what} for {count} samples: give one a sample.")
    pictures = _Pictures(first.inputs if inputs is None else inputs, mean, std)
    by_input = words if isinstance(words, Mapping) else {}
    texts = _words_by_sample(None if isinstance(words, Mapping) else words, count)
    answers = _answers(first, labels)
    known = [None] * count if true is None else [_class(each, labels) for each in _plain(true)]
    columns = _columns(explanations, {name: _words_by_sample(each, count) for name, each in by_input.items()})
    return [
        shrunk(
            SampleView(
                name=str(place) if names is None else str(names[place]),
                maps={name: column.view(place, labels, percentile) for name, column in columns.items()},
                picture=pictures.of(place),
                words=texts[place],
                true=known[place],
                **answers[place],
            )
        )
        for place in range(count)
    ]


def metric_views(scores: Mapping[str, Mapping[str, Any]]) -> list[MetricView]:
    """Return one view for each metric and column.

    Parameters
    ----------
    scores : dict by metric of dict by column of `xaicore.scoring.Scores`
        The mean and its interval are over the samples for which the metric is defined; the others are counted.
    """
    return [
        _metric_view(metric, column, each) for metric, columns in scores.items() for column, each in columns.items()
    ]


def _metric_view(metric: str, column: str, scores: Any) -> MetricView:
    values = as_array(scores.values, "score").reshape(-1)
    undefined = int(np.isnan(values).sum())
    defined = scores.defined if undefined else scores
    low, high = (float(edge) for edge in defined.interval())
    return MetricView(
        metric=metric,
        column=column,
        mean=float(defined.mean),
        low=low,
        high=high,
        better={True: "higher", False: "lower"}.get(scores.higher_is_better, ""),
        samples=len(values) - undefined,
        undefined=undefined,
        note="; ".join(getattr(scores, "notes", ())),
    )


@dataclass(frozen=True)
class _Column:
    """One column: the relevance of one input, as every sample needs it."""

    explanation: Explanation
    relevance: Tensor
    words: Sequence[tuple[str, ...] | None] | None = None

    def view(self, place: int, labels: Sequence[str] | None, percentile: float | None) -> MapView:
        explanation, checks = self.explanation, self.explanation.diagnostics
        notes = (*(f"fallback: {each}" for each in checks.fallbacks), *checks.notes)
        told: dict[str, Any] = {
            "explained": _explained(explanation, place, labels),
            "score": float(checks.explained[place]),
            "gap": None if checks.conservation_gap is None else float(checks.conservation_gap[place]),
            "notes": notes,
        }
        if self.relevance.shape[:1] != (len(explanation),):
            reason = f"relevance of shape {tuple(self.relevance.shape)} is not one map a sample"
            return MapView(relevance=None, reason=reason, **told)
        values = as_array(self.relevance[place])
        bad = int((~np.isfinite(values)).sum())
        shown = _as_shown(values)
        limit = symmetric_limit(shown, None, percentile) if percentile is not None and shown.ndim == 2 else None
        words = None if self.words is None else self.words[place]
        return MapView(relevance=shown, non_finite=bad, limit=limit, words=words, **told)


def _columns(explanations: Mapping[str, Explanation], words: Mapping[str, Any]) -> dict[str, _Column]:
    columns = {}
    for title, explanation in explanations.items():
        relevance = explanation.relevance
        if isinstance(relevance, Tensor):
            columns[title] = _Column(explanation, relevance, words.get(""))
            continue
        several = len(relevance) > 1
        columns |= {
            f"{title}: {name}" if several else title: _Column(explanation, each, words.get(name))
            for name, each in relevance.items()
        }
    return columns


def _as_shown(values: Array) -> Array:
    """(C, H, W) as (H, W), summed over channels; (H, W) and (T,) as they are; whatever has more axes as a line."""
    if values.ndim == 3:
        summed: Array = values.sum(0)
        return summed
    if values.ndim == 2:
        return values[0] if len(values) == 1 else values
    return values.reshape(-1)


class _Pictures:
    """The images among the inputs; nothing where there are none."""

    def __init__(self, inputs: Any, mean: Channels, std: Channels) -> None:
        self._mean, self._std = mean, std
        tensors = list(inputs.values()) if isinstance(inputs, Mapping) else [] if inputs is None else [inputs]
        self._images = next((each for each in map(_images, tensors) if each is not None), None)

    def of(self, place: int) -> Array | None:
        return None if self._images is None else displayable(self._images[place], self._mean, self._std)


def _images(inputs: Any) -> Any:
    """Inputs (B, C, H, W), or a list of images, as they are; else None."""
    if isinstance(inputs, list | tuple):
        return inputs if inputs and all(torch.as_tensor(each).ndim in (2, 3) for each in inputs) else None
    tensor = torch.as_tensor(inputs)
    return tensor if tensor.ndim == 4 else None


def _words_by_sample(words: Sequence[Any] | None, count: int) -> list[tuple[str, ...] | None]:
    if words is None or not len(words):
        return [None] * count
    if isinstance(words[0], str):
        return [tuple(words)] * count
    if len(words) != count:
        raise InputError(f"Words are given for {len(words)} samples; there are {count}.")
    return [tuple(map(str, each)) for each in words]


def _explained(explanation: Explanation, place: int, labels: Sequence[str] | None) -> str:
    index = explanation.target["index"][place]
    if explanation.target["kind"] == "class" and isinstance(index, int):
        return f"class {index}" if labels is None else class_name(index, labels)
    return str(explanation.target["labels"][place])


def _answers(explanation: Explanation, labels: Sequence[str] | None) -> list[dict[str, Any]]:
    """What the model answers for each sample: the class and its probability, or the value of a single output."""
    output = explanation.prediction.detach().cpu().double()
    if output.ndim == 2 and output.shape[1] > 1:
        probable = output if _are_probabilities(output) else output.softmax(1)
        sure, best = probable.max(1)
        return [
            {"predicted": class_name(index, labels), "confidence": share if math.isfinite(share) else None}
            for index, share in zip(best.tolist(), sure.tolist(), strict=True)
        ]
    if output.numel() == len(explanation):
        return [{"facts": {"output": f"{value:.4g}"}} for value in output.reshape(-1).tolist()]
    return [{} for _ in range(len(explanation))]


def _are_probabilities(output: Tensor) -> bool:
    return bool((output >= 0).all() and torch.allclose(output.sum(1), torch.ones(len(output)).double(), atol=1e-4))


def _class(value: Any, labels: Sequence[str] | None) -> str:
    return class_name(value, labels) if isinstance(value, int) else str(value)


def _plain(true: Sequence[Any] | Tensor) -> list[Any]:
    return true.tolist() if hasattr(true, "tolist") else list(true)
