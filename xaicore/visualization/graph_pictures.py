"""The graph of a model, each box coloured by the relevance that arrives there."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.path import Path
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.graph import Graph, Layer
from xaicore.visualization.canvas import FRAME, SMALL, colour_bar, own_axes, title
from xaicore.visualization.graph_boxes import Box, boxes_of, edges_of
from xaicore.visualization.graph_layouts import place
from xaicore.visualization.scales import NO_NUMBER, colours, magnitude_norm, number, symmetric_limit, symmetric_norm
from xaicore.visualization.texts import LINE, text_width

_GAP, _BETWEEN, _PADDING = 0.16, 0.16, 0.07  # inches
_UNKNOWN = {"edgecolor": "#9e9e9e", "linewidth": 0.5, "linestyle": "--"}
_titled = title


def graph_flow(
    graph: Graph,
    explanation: Explanation,
    ax: Axes | None = None,
    *,
    sample: int = 0,
    value: str = "abs",
    most: int = 40,
    depth: int | None = None,
    cmap: str | Colormap | None = None,
    scale: float | None = None,
    colorbar: bool = True,
    title: str | None = None,
) -> Axes:
    """Draw the graph from the inputs at the top to the outputs, each box coloured by its relevance.

    Relevance is known at the inputs and at the recorded layers (``record=[...]``); a box of several layers has that
    of the last of them that is known. The others stay white, with a dashed frame. Where nothing is recorded but a
    ledger was kept, the boxes have the relevance that arrived at their layers, which is signed and of all samples
    together.

    Parameters
    ----------
    graph : Graph
        Of the model, as `xaicore.trace` returns it.
    explanation : Explanation
    sample : int
        Which sample.
    value : {"abs", "sum"}
        The sum of magnitudes, from white to red; or the sum with its signs, from blue to red.
    most, depth : int, optional
        How many boxes at most, or how many parts of the module path make one: layers of one module are put together
        where there are more layers than `most`.
    cmap, scale, colorbar, title
        As in `heatmap`; the scale ends at the largest value.

    Returns
    -------
    Axes
        In inches of the picture; on axes of its own it is as large as it needs to be.

    Raises
    ------
    InputError
        The explanation has neither recorded layers nor a ledger.
    LayerError
        A recorded layer is not one of this graph.
    """
    if value not in ("abs", "sum"):
        raise ParameterError(f"value={value!r}: 'abs', the sum of magnitudes, or 'sum', with its signs.")
    boxes = boxes_of(graph, most, depth)
    known, source = _known(graph, explanation, sample, value)
    amounts = [_amount(box, known) for box in boxes]
    limit = symmetric_limit([amount for amount in amounts if amount is not None] or [0.0], scale)
    signed = value == "sum" or source == "ledger"
    paint = colours(cmap) if signed else _upper_half(colours(cmap))
    norm = symmetric_norm(limit) if signed else magnitude_norm(limit)
    texts = [_text(box, amount) for box, amount in zip(boxes, amounts, strict=True)]
    tall = 2 * LINE + _PADDING
    widths = [text_width(text) + 2 * _PADDING for text in texts]
    placed = place(widths, tall, edges_of(boxes), _GAP, tall + _BETWEEN)
    room = 0.55 if colorbar else 0.0
    own = ax is None
    ax = own_axes(ax, (max(placed.width + 0.2 + room, 1.6), placed.height + (0.5 if title else 0.2)))
    ax.set(xlim=(-0.05, placed.width + 0.05), ylim=(placed.height + 0.05, -0.05), aspect="equal")
    ax.set_axis_off()
    shrink = 1.0 if own else _shrink(ax, placed.width + 0.1, placed.height + 0.1)
    for points in placed.lines:
        _draw_line(ax, points, tall, shrink)
    for text, centre, width, amount in zip(texts, placed.centres, widths, amounts, strict=True):
        _draw_box(ax, text, centre, (width, tall), amount, lambda known: paint(norm(known)), shrink)
    if colorbar:
        label = "sum of relevance" if signed else "sum of |relevance|"
        colour_bar(ax.figure, paint, limit, label, ax=ax, signed=signed)
    _titled(ax, title)
    return ax


def _known(graph: Graph, explanation: Explanation, sample: int, value: str) -> tuple[dict[Layer, float], str]:
    """Relevance by layer, and where it is from."""
    if not -len(explanation) <= sample < len(explanation):
        raise InputError(f"sample={sample}: the explanation has {len(explanation)} samples, counted from 0.")
    ledger = explanation.diagnostics.ledger
    if not explanation.recorded and ledger:
        rows = {str(row["layer"]): float(row["relevance_in"]) for row in ledger}
        whole = {layer: rows[layer.name] for layer in graph.layers if layer.name in rows}
        return _at_inputs(
            graph, explanation, lambda tensor: float(tensor.detach().sum(dtype=torch.float64))
        ) | whole, "ledger"
    if not explanation.recorded:
        raise InputError(
            "The explanation knows relevance at its input only: explain with record=[...] (names of layers), or with "
            "ledger=True."
        )

    def total(tensor: Tensor) -> float:
        values = tensor[sample].detach().to(torch.float64)
        return float(values.abs().sum() if value == "abs" else values.sum())

    found = {graph.find_ref(name).layer: total(tensor) for name, tensor in explanation.recorded.items()}
    if explanation.layer is not None and isinstance(explanation.relevance, Tensor):
        found[graph.find_ref(explanation.layer).layer] = total(explanation.relevance)
    else:
        found |= _at_inputs(graph, explanation, total)
    return found, "recorded"


def _at_inputs(graph: Graph, explanation: Explanation, total: Callable[[Tensor], float]) -> dict[Layer, float]:
    relevance = explanation.relevance
    if isinstance(relevance, Tensor):
        return {layer: total(relevance) for layer in graph.inputs if layer.name in graph.sources}
    return {layer: total(relevance[layer.name]) for layer in graph.inputs if layer.name in relevance}


def _amount(box: Box, known: Mapping[Layer, float]) -> float | None:
    return next((known[layer] for layer in reversed(box.layers) if layer in known), None)


def _text(box: Box, amount: float | None) -> str:
    return box.label if amount is None else f"{box.label}\n{number(amount, 3)}"


def _upper_half(cmap: Colormap) -> Colormap:
    """The colours of what is positive, for amounts without a sign."""
    return LinearSegmentedColormap.from_list(f"{cmap.name}_upper", list(cmap(np.linspace(0.5, 1, 129))), N=257)


def _is_dark(face: Any) -> bool:
    red, green, blue = face[:3]
    return bool(0.299 * red + 0.587 * green + 0.114 * blue < 0.5)


def _shrink(ax: Axes, width: float, height: float) -> float:
    """How much smaller than drawn the picture is on axes of somebody else."""
    figure: Any = ax.figure
    box = ax.get_position()
    wide, high = figure.get_size_inches()
    return float(min(1.0, box.width * wide / width, box.height * high / height))


def _draw_box(
    ax: Axes,
    text: str,
    centre: tuple[float, float],
    size: tuple[float, float],
    amount: float | None,
    paint: Callable[[float], Any],
    shrink: float,
) -> None:
    """A box in the colour of its amount: white where that is not known, hatched where it is no number."""
    finite = amount is not None and bool(np.isfinite(amount))
    face = paint(amount) if amount is not None and finite else "white" if amount is None else NO_NUMBER
    frame: dict[str, Any] = _UNKNOWN if amount is None else FRAME
    corner = (centre[0] - size[0] / 2, centre[1] - size[1] / 2)
    hatch = None if amount is None or finite else "//////"
    style = "round,pad=0,rounding_size=0.04"
    ax.add_patch(FancyBboxPatch(corner, *size, boxstyle=style, facecolor=face, hatch=hatch, zorder=2, **frame))
    ink = "white" if finite and _is_dark(face) else "black"
    ax.text(*centre, text, fontsize=SMALL * shrink, color=ink, ha="center", va="center", parse_math=False, zorder=3)


def _draw_line(ax: Axes, points: list[tuple[float, float]], tall: float, shrink: float) -> None:
    """A line from the lower edge of a box to the upper edge of another, bending smoothly where rows change."""
    (x0, y0), *between, (x1, y1) = points
    stops = [(x0, y0 + tall / 2), *between, (x1, y1 - tall / 2 - 0.015)]
    path, codes = [stops[0]], [Path.MOVETO]
    for (left, upper), (right, lower) in itertools.pairwise(stops):
        middle = (upper + lower) / 2
        path += [(left, middle), (right, middle), (right, lower)]
        codes += [Path.CURVE4] * 3
    arrow = FancyArrowPatch(
        path=Path(path, codes), arrowstyle="-|>", mutation_scale=5 * shrink, linewidth=0.6 * shrink, color="#616161"
    )
    ax.add_patch(arrow)
