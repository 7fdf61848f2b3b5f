"""Relevance layer by layer: how it flows from the output back to the input."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from xaicore.errors import InputError, nearest
from xaicore.explanation import Explanation
from xaicore.explanation.pooling import pool
from xaicore.visualization.grids import grid
from xaicore.visualization.scales import number

_MOST_STRIPES = 64


def flow(
    explanation: Explanation,
    *,
    layers: Sequence[str] | None = None,
    inputs: Any = None,
    form: str = "heatmap",
    **options: Any,
) -> Figure:
    """Draw the relevance at the input and at each recorded layer, from the input to the output; one row a sample.

    Below each map stand the shape of the layer and the sum of its relevance, which shows what is lost on the way.
    Channels are pooled (``pool=``). A layer without positions (a fully connected one) is drawn as one stripe a unit, or
    where it has more than 64, one for several, in the colour of the largest; one of shape (B, T, D) as T rows and D
    columns.

    Parameters
    ----------
    explanation : Explanation
        Made with ``record=[...]``.
    layers : sequence of str, optional
        Which of the recorded layers, in this order; by default all, in the order of the network.
    inputs, form, **options
        As in `grid`: pool, scale, percentile, labels, mean, std, title, ...

    Returns
    -------
    Figure

    Examples
    --------
    >>> explanation = analyzer.analyze(x, record=["layer1", "layer3"])  # doctest: +SKIP
    >>> flow(explanation, pool="sum", scale="map")  # doctest: +SKIP
    """
    recorded = _chosen(explanation, layers)
    start = explanation.layer or "input"
    own = explanation.relevance
    tensors = {**({start: own} if isinstance(own, Tensor) else own), **recorded}
    for name, tensor in tensors.items():
        if tensor.ndim < 2 or tensor.shape[:1] != (len(explanation),):
            raise InputError(f"{name!r} has relevance of shape {tuple(tensor.shape)}: nothing to draw for each sample.")
        if tensor.ndim < 4 and form != "heatmap":
            raise InputError(f"{name!r} has no positions in an image: form={form!r} cannot draw it; leave it out.")
    columns = {name: _at(explanation, name, tensor) for name, tensor in tensors.items()}
    captions = [[_said(tensor[row]) for tensor in tensors.values()] for row in range(len(explanation))]
    return grid(inputs, columns, form=form, captions=captions, **options)


def _chosen(explanation: Explanation, layers: Sequence[str] | None) -> Mapping[str, Tensor]:
    recorded = explanation.recorded
    if not recorded:
        raise InputError("The explanation has no recorded layers: explain with record=[...], names of layers.")
    missing = [name for name in layers or () if name not in recorded]
    if missing:
        raise InputError(f"{missing[0]!r} was not recorded.{nearest(missing[0], recorded)} There is {list(recorded)}.")
    return recorded if layers is None else {name: recorded[name] for name in layers}


def _at(explanation: Explanation, name: str, tensor: Tensor) -> Explanation:
    """The explanation as if it were one of this layer."""
    values = tensor.detach()
    if values.ndim == 2:
        values = _stripes(values)
    elif values.ndim > 4:
        values = values.flatten(3)
    return replace(explanation, relevance=values, layer=name, recorded={})


def _stripes(values: Tensor) -> Tensor:
    """Units (B, N) as a column of stripes (B, S, 1): where several share one, that of largest magnitude is seen."""
    share = _units_a_stripe(values.shape[1])
    missing = -values.shape[1] % share
    padded = torch.nn.functional.pad(values, (0, missing))
    return pool(padded.unflatten(1, (-1, share)), 2, "max_abs")[..., None]


def _units_a_stripe(units: int) -> int:
    return math.ceil(units / _MOST_STRIPES)


def _said(values: Tensor) -> str:
    total = float(values.detach().sum(dtype=torch.float64))
    shape = "×".join(map(str, values.shape))
    if values.ndim == 1 and _units_a_stripe(len(values)) > 1:
        shape += f", {_units_a_stripe(len(values))} a stripe"
    return f"{shape}\n\N{GREEK CAPITAL LETTER SIGMA}R = {number(total, 3)}"
