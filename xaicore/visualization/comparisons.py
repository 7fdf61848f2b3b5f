"""Grids in which the rows are not samples: one input under several classes, or several models."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor
from torch.nn import functional as F

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.visualization.grids import grid


def class_grid(
    inputs: Any,
    explanations: Mapping[str, Sequence[Explanation]],
    *,
    true: Sequence[Any] | Tensor | None = None,
    **options: Any,
) -> Figure:
    """Draw one row a class and one column a method, for one input or a few: what speaks for each of the classes?

    Parameters
    ----------
    inputs : tensor (B, C, H, W) or (B, H, W), list of images, or None
        As in `grid`; a few, since each takes as many rows as there are classes.
    explanations : dict of method to sequence of Explanation
        The explanations of the same B samples for one class after the other, as
        ``analyzer.analyze_targets(x, classes)`` returns them; the same classes for each method.
    true : sequence of int or str, optional
        The true class of each input.
    **options
        Those of `grid`.

    Examples
    --------
    >>> class_grid(x, {"lrp.epsilon": analyzer.analyze_targets(x, [3, 5, 8])})  # doctest: +SKIP
    """
    if not isinstance(explanations, Mapping) or not explanations:
        raise InputError("class_grid needs a dict: the explanations of one class after the other, by method.")
    lists = {method: _list_of(f"of {method!r}", each) for method, each in explanations.items()}
    counts = {method: len(each) for method, each in lists.items()}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        raise InputError(f"Every method needs explanations for the same classes; got this many: {counts}.")
    classes, samples = next(iter(counts.values())), len(next(iter(lists.values()))[0])
    columns = {method: _interleaved(each) for method, each in lists.items()}
    return grid(_repeated(inputs, samples, classes), columns, true=_repeated(true, samples, classes), **options)


def model_grid(
    inputs: Any,
    explanations: Mapping[str, Mapping[str, Explanation]],
    *,
    true: Sequence[Any] | Tensor | None = None,
    **options: Any,
) -> Figure:
    """Draw one row a model and one column a method, for one input or a few: do the models look at the same things?

    Each row says what its model predicts.

    Parameters
    ----------
    inputs : tensor (B, C, H, W) or (B, H, W), list of images, or None
        As in `grid`; a few, since each takes as many rows as there are models.
    explanations : dict of model to dict of method to Explanation
        Of the same B samples by the same methods; ``{"resnet": xaicore.compare(resnet, x, methods=methods), ...}``.
    true : sequence of int or str, optional
        The true class of each input.
    **options
        Those of `grid`.
    """
    if not isinstance(explanations, Mapping) or not all(isinstance(each, Mapping) for each in explanations.values()):
        raise InputError("model_grid needs a dict of dicts: explanations by model, and for each model by method.")
    if not explanations:
        raise InputError("model_grid needs at least one model.")
    methods = list(next(iter(explanations.values())))
    for model, own in explanations.items():
        if list(own) != methods or not own:
            raise InputError(f"Every model needs the same methods, {methods}; {model!r} has {list(own)}.")
    samples = len(next(iter(next(iter(explanations.values())).values())))
    columns = {method: _interleaved([own[method] for own in explanations.values()]) for method in methods}
    return grid(
        _repeated(inputs, samples, len(explanations)),
        columns,
        rows=list(explanations) * samples,
        true=_repeated(true, samples, len(explanations)),
        **options,
    )


def _list_of(whose: str, explanations: Any) -> list[Explanation]:
    if isinstance(explanations, Explanation):
        raise InputError(f"The explanations {whose} are one: give a list, one explanation a class.")
    return list(explanations)


def _interleaved(parts: Sequence[Explanation]) -> Explanation:
    """One explanation of all rows: sample by sample, and within each in the order of the parts."""
    if len({len(part) for part in parts}) > 1:
        raise InputError(f"Every row needs the same samples; got {[len(part) for part in parts]}.")
    samples = len(parts[0])
    order = [part * samples + sample for sample in range(samples) for part in range(len(parts))]
    return Explanation.concat(_of_as_many_classes(parts))[order]


def _of_as_many_classes(parts: Sequence[Explanation]) -> list[Explanation]:
    """The same, with predictions of one width, so that they can be joined: classes that a model lacks have no score."""
    shapes = {tuple(part.prediction.shape[1:]) for part in parts}
    if len(shapes) == 1:
        return list(parts)
    if any(len(shape) != 1 or shape[0] < 2 for shape in shapes):
        raise InputError(
            f"The rows of a grid say what is predicted, and these models return different things: {sorted(shapes)} for "
            "each sample. Draw a grid for each."
        )
    classes = max(shape[0] for shape in shapes)
    return [
        replace(part, prediction=F.pad(part.prediction, (0, classes - part.prediction.shape[1]), value=-math.inf))
        for part in parts
    ]


def _repeated(given: Any, samples: int, times: int) -> Any:
    """Each entry for as many rows as its sample has."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        return {name: _repeated(each, samples, times) for name, each in given.items()}
    if len(given) != samples:
        raise InputError(f"{len(given)} entries for explanations of {samples} samples: give one a sample.")
    if isinstance(given, Tensor):
        return given.repeat_interleave(times, 0)
    return [each for each in given for _ in range(times)]
