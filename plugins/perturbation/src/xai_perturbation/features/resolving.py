"""From what a user writes as ``features=`` to groups of entries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xai_perturbation.features.groups import OUTSIDE, Features
from xai_perturbation.segmentation import ALGORITHMS, Segmentation
from xaicore.analyzers import Evaluation, cell_labels, default_cells
from xaicore.errors import InputError, ParameterError, nearest


def check_features(features: Any, *, what: str = "features") -> None:
    """Refuse what `resolve_features` would refuse whatever the inputs are; for constructors.

    Raises
    ------
    ParameterError
    """
    if isinstance(features, Mapping):
        if not features:
            raise ParameterError(f"{what}={{}} names no input: leave it out, or name the inputs that have features")
        for name, each in features.items():
            check_features(each, what=f"{what}[{name!r}]")
    elif isinstance(features, str):
        if features not in ALGORITHMS:
            raise ParameterError(
                f"{what}={features!r} is not known: the segmentations are {', '.join(ALGORITHMS)}."
                f"{nearest(features, ALGORITHMS)}"
            )
    elif isinstance(features, int | tuple) and not isinstance(features, bool):
        sizes = (features,) if isinstance(features, int) else features
        if not sizes or not all(isinstance(size, int) and not isinstance(size, bool) and size > 0 for size in sizes):
            raise ParameterError(f"{what}={features!r}: the sizes of grid cells must be positive integers")
    elif isinstance(features, Tensor) or (hasattr(features, "__array__") and hasattr(features, "dtype")):
        labels = torch.as_tensor(features)
        if labels.is_floating_point() or labels.is_complex() or labels.dtype == torch.bool or not labels.ndim:
            raise ParameterError(
                f"{what} of type {labels.dtype} and shape {tuple(labels.shape)}: labels of groups must be integers, "
                "one for each entry of a sample"
            )
    elif features is not None and not isinstance(features, Segmentation):
        raise ParameterError(
            f"{what}={features!r} is not understood: give None, the size of grid cells, a tensor of labels, one of "
            f"{', '.join(map(repr, ALGORITHMS))}, a Segmentation, or a dict of these by input"
        )


def resolve_features(features: Any, evaluation: Evaluation) -> Features:
    """The groups of entries that a user asks for.

    Parameters
    ----------
    features : None, int, tuple of int, str, Segmentation, Tensor, array, or dict of them by input
        None: each column of a table (B, F); each token of integers (B, T); of images, series and volumes (B, C, ...)
        the cells of a grid, at most 64 (8 x 8 in two dimensions), each with all its channels.
        An int or tuple: grid cells of that size over the dimensions behind the channels (of (B, F), over the columns);
        with one entry more, over the channels too.
        A tensor or array of integers: the label of each entry, in the shape of a sample without its channels, or with
        them, or (B, 1 or C, ...); entries with a negative label belong to no feature and stay as they are.
        ``'quickshift'``, ``'slic'``, ``'felzenszwalb'`` or a `Segmentation`: the superpixels of each sample.
        A dict: these by the name of the input; inputs that it does not name stay as they are.
    evaluation : Evaluation
        Whose ``varied`` is grouped.

    Raises
    ------
    ParameterError, InputError
    """
    check_features(features)
    varied = evaluation.varied
    if isinstance(features, Mapping):
        for name in features:
            if name not in varied:
                raise InputError(
                    f"features: there is no input {name!r}; there are {', '.join(map(repr, varied))}."
                    f"{nearest(str(name), list(varied))}"
                )
        chosen = {name: features[name] for name in varied if name in features}
    else:
        chosen = dict.fromkeys(varied, features)
    labels = {name: _labels(each, name, varied[name], evaluation) for name, each in chosen.items()}
    return _numbered(labels, {name: tuple(x.shape[1:]) for name, x in varied.items()}, evaluation.batch)


def _labels(features: Any, name: str, x: Tensor, evaluation: Evaluation) -> Tensor:
    """The labels of one input: (B or 1, ...), any integers."""
    if isinstance(features, str):
        features = Segmentation(features)
    if isinstance(features, Segmentation):
        return features(name, x)
    if features is None or isinstance(features, int | tuple):
        shape = tuple(x.shape[1:])
        cells = default_cells(shape) if features is None else features
        return cell_labels(cells, name, shape, "features").to(x.device)[None]
    return _given(features, name, x, evaluation)


def _given(features: Any, name: str, x: Tensor, evaluation: Evaluation) -> Tensor:
    labels = torch.as_tensor(features if isinstance(features, Tensor) else np.asarray(features))
    labels = labels.to(x.device, torch.long)
    shape, given = tuple(x.shape[1:]), tuple(labels.shape)
    total = evaluation.total or evaluation.batch
    if given == shape[1:] and len(shape) > 1:
        labels = labels[None, None]
    elif given in (shape, (1, *shape[1:])):
        labels = labels[None]
    elif labels.ndim != x.ndim or given[1:] not in (shape, (1, *shape[1:])):
        without = f"{shape[1:]}, " if len(shape) > 1 else ""
        raise InputError(
            f"features of shape {given} do not fit input {name!r} of shape {tuple(x.shape)}: labels have the shape of "
            f"a sample, {without}{shape}, or (B, ...) with labels of its own for each sample"
        )
    if len(labels) not in (1, total):
        raise InputError(f"features for input {name!r} have labels for {len(labels)} samples; there are {total}")
    return labels if len(labels) == 1 else labels[evaluation.start : evaluation.start + evaluation.batch]


def _numbered(labels: Mapping[str, Tensor], shapes: dict[str, tuple[int, ...]], batch: int) -> Features:
    """Number the groups of all inputs through, in each sample without gaps."""
    rows = batch if any(len(each) > 1 for each in labels.values()) else 1
    counts = [0] * rows
    numbered = {}
    for name, own in labels.items():
        parts = [_compact(part) for part in own]
        if len(parts) < rows and len(set(counts)) > 1:
            parts = parts * rows  # the same groups, but numbered from a different one on
        starts = counts if len(parts) == rows else counts[:1]
        numbered[name] = torch.stack(
            [torch.where(part < 0, part, part + start) for (part, _), start in zip(parts, starts, strict=True)]
        )
        found = [count for _, count in parts]
        counts = [start + count for start, count in zip(counts, found * (rows // len(found)), strict=True)]
    if not min(counts):
        raise InputError("features: every entry has a negative label, so that there is no feature")
    return Features(numbered, counts * (batch // rows), shapes)


def _compact(labels: Tensor) -> tuple[Tensor, int]:
    """The same groups numbered 0, 1, ... in the order of their labels, and how many there are."""
    found = labels[labels >= 0].unique()
    return torch.where(labels < 0, OUTSIDE, torch.searchsorted(found, labels.contiguous())), len(found)
