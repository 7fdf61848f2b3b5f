"""What prediction difference analysis learns from data: how patches are distributed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xai_perturbation.pool import Pool, check_alike
from xai_perturbation.prediction_difference.gaussian import PatchMoments
from xai_perturbation.prediction_difference.replacements import GivenSurroundings, Marginal, Replacement
from xai_perturbation.windows import Windows, resolve_windows
from xaicore.errors import InputError, ParameterError


@dataclass(frozen=True, eq=False)
class Learnt:
    """What is known of the data.

    Attributes
    ----------
    seen : int
        How many samples there were.
    moments : dict of str to PatchMoments
        Mean and covariance of the patches of each input with normal draws.
    pool : Pool or None
        Samples of the data, for the others.
    reaches : dict of str to tuple of int
        How far the known surroundings of a window reach, for inputs with normal draws.
    shapes : dict of str to Tensor
        No samples, (0, ...), of the shape and type of each input.
    """

    seen: int
    moments: dict[str, PatchMoments]
    pool: Pool | None
    reaches: dict[str, tuple[int, ...]]
    shapes: dict[str, Tensor]

    def replacement(self, name: str) -> Replacement:
        """What takes the place of a window of this input."""
        if name in self.moments:
            return GivenSurroundings(self.moments[name], self.reaches[name])
        assert self.pool is not None, "inputs without normal draws have a pool"
        return Marginal(self.pool, name)


def learn(
    batches: Iterable[Mapping[str, Tensor]],
    *,
    window: Any,
    stride: Any,
    conditional: bool,
    context: int | tuple[int, ...],
    pool: int,
    seed: int,
) -> Learnt:
    """Take in the batches of the data, in one pass; the parameters are those of `PredictionDifference`."""
    moments: dict[str, PatchMoments] = {}
    reaches: dict[str, tuple[int, ...]] = {}
    kept: Pool | None = None
    shapes: dict[str, Tensor] = {}
    seen = 0
    for tensors in batches:
        if not seen:
            shapes = {name: each[:0] for name, each in tensors.items()}
            windows = resolve_windows(window, stride, tensors, inside=True)
            for name, each in windows.items():
                if conditional and tensors[name].ndim > 2 and tensors[name].is_floating_point():
                    reaches[name] = _reaches(context, name, len(each.shape) - 1)
                    moments[name] = _moments_around(each, reaches[name])
            kept = Pool(pool, seed) if len(moments) < len(windows) else None
        check_alike(tensors, shapes, "a batch of the data", "the batches before")
        seen += len(next(iter(tensors.values())))
        for name, own in moments.items():
            own.add(tensors[name])
        if kept is not None:
            kept.add({name: tensors[name] for name in windows if name not in moments})
    if not seen:
        raise InputError("fit needs data: the iterable holds no batch")
    for name, own in moments.items():
        _check_enough(name, own)
    return Learnt(seen, moments, kept, reaches, shapes)


def _moments_around(windows: Windows, reaches: tuple[int, ...]) -> PatchMoments:
    """For the patches that are a window with its surroundings."""
    size, strides = [], []
    for starts, stops, reach, length in zip(
        windows.starts[1:], windows.stops[1:], reaches, windows.shape[1:], strict=True
    ):
        size.append(min(stops[0] - starts[0] + 2 * reach, length))
        strides.append(starts[1] - starts[0] if len(starts) > 1 else 1)
    return PatchMoments(tuple(size), tuple(strides))


def _reaches(context: int | tuple[int, ...], name: str, dimensions: int) -> tuple[int, ...]:
    reaches = context if isinstance(context, tuple) else (context,) * dimensions
    if len(reaches) != dimensions:
        raise ParameterError(
            f"context={context!r} does not fit input {name!r}, which has {dimensions} dimensions behind the channels"
        )
    return reaches


def _check_enough(name: str, moments: PatchMoments) -> None:
    """Refuse a covariance that leaves nothing to chance only because there was too little to learn it from."""
    entries = math.prod(moments.size)
    if moments.count <= entries:
        raise InputError(
            f"fit had {moments.count} patches of {' x '.join(map(str, moments.size))} = {entries} positions in input "
            f"{name!r}: the covariance of so many needs more patches than positions, ten times as many to be of use. "
            "Give more data, a smaller window= or context=, or conditional=False"
        )
