"""Pictures of prototypes: images, series, and the columns of tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from xai_activation_max.parameters import check_word
from xaicore import __version__
from xaicore.errors import InputError
from xaicore.visualization import show_image

if TYPE_CHECKING:
    from xai_activation_max.prototype import Prototype

KINDS = ("image", "series", "bars")
_SMALL = 7.0  # points
_MOST_COLUMNS = 10
_MOST_BARS = 40
_CELLS = {"image": (1.2, 1.55), "series": (3.2, 1.5), "bars": (3.0, 2.4)}  # width and height in inches


def plot_prototype(
    prototype: Prototype,
    *,
    kind: str | None = None,
    labels: Sequence[str] | None = None,
    names: Sequence[str] | None = None,
    mean: Any = None,
    std: Any = None,
    columns: int | None = None,
    limit: int | None = 60,
    footer: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw prototypes: a column for each target, with its prototypes below each other.

    Parameters
    ----------
    prototype : Prototype
    kind : {"image", "series", "bars"}, optional
        By default samples (C, H, W) are images, (C, T) series, and (F,) bars up to 40 columns, a series beyond.
    labels : sequence of str, optional
        Names of the classes.
    names : sequence of str, optional
        Names of the columns, for bars.
    mean, std : float or one a channel, optional
        What images were normalised with, as for `xaicore.visualization.show_image`.
    columns : int, optional
        How many targets beside each other; by default up to 10 images, or 3 others.
    limit : int or None
        Draw at most this many, and say so.
    footer : bool
        Write method, prior, seed and version below.
    ax : Axes, optional
        Draw on these; for a single prototype.

    Returns
    -------
    Figure
        Not known to pyplot; save it with ``figure.savefig(path)``.
    """
    if kind is not None:
        check_word("kind", kind, KINDS)
    shown = prototype if limit is None else prototype[:limit]
    if not len(shown):
        raise InputError("there is nothing to draw: no prototype is left")
    chosen = kind or _natural_kind(tuple(shown.inputs.shape[1:]))
    options = {"names": names, "mean": mean, "std": std}
    if ax is not None:
        if len(shown) != 1:
            raise InputError(f"ax= takes one prototype, not {len(shown)}: choose with prototype[i] or prototype.best")
        _draw(ax, shown, 0, chosen, labels, options)
        figure: Figure = ax.figure  # type: ignore[assignment]
        return figure
    places = _places(shown.sample.tolist(), columns or (_MOST_COLUMNS if chosen == "image" else 3))
    down, across = 1 + max(row for row, _ in places), 1 + max(column for _, column in places)
    width, height = _cell(chosen, tuple(shown.inputs.shape[1:]))
    size = (max(across * width, 3.0), down * height + (0.3 if footer else 0.0))
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    grid = figure.subplots(down, across, squeeze=False)
    for each in grid.flat:
        each.set_axis_off()
    for number, (row, column) in enumerate(places):
        grid[row, column].set_axis_on()
        _draw(grid[row, column], shown, number, chosen, labels, options)
    if footer:
        figure.supxlabel(_foot(shown, len(prototype)), fontsize=_SMALL - 1, color="#616161", parse_math=False)
    return figure


def _draw(
    ax: Axes, prototype: Prototype, number: int, kind: str, labels: Sequence[str] | None, options: dict[str, Any]
) -> None:
    one = prototype[number]
    values = one.inputs[0].detach().float().cpu()
    if kind == "image":
        show_image(values, ax, options["mean"], options["std"])
    elif kind == "series":
        _lines(ax, values)
    else:
        _bars(ax, values, options["names"])
    ax.set_title(_named(one.target[0], labels), fontsize=_SMALL, pad=3, parse_math=False)
    below = f"{one.quantity} {float(one.score[0]):.3g}"
    if one.probability is not None:
        likely = float(one.probability[0])
        below = "p > 0.999" if likely > 0.999 else f"p = {likely:.3g}"
    ax.set_xlabel(below, fontsize=_SMALL, labelpad=2, parse_math=False)


def _lines(ax: Axes, values: Tensor) -> None:
    channels = values.reshape(-1, values.shape[-1]) if values.ndim > 1 else values[None]
    for number, channel in enumerate(channels):
        label = f"channel {number}" if len(channels) > 1 else None
        ax.plot(np.arange(len(channel)), channel.numpy(), linewidth=0.8, label=label)
    if 1 < len(channels) <= 6:
        ax.legend(fontsize=_SMALL - 1, frameon=False)
    _chart(ax)


def _bars(ax: Axes, values: Tensor, names: Sequence[str] | None) -> None:
    flat = values.reshape(-1).numpy()
    if names is not None and len(names) != len(flat):
        raise InputError(f"{len(names)} names for {len(flat)} columns: give one name a column")
    ax.barh(range(len(flat)), flat, height=0.75, color=["#c62828" if value > 0 else "#1565c0" for value in flat])
    ax.axvline(0, color="black", linewidth=0.5)
    texts = [str(number) for number in range(len(flat))] if names is None else list(names)
    ax.set_yticks(range(len(flat)), texts, parse_math=False)
    ax.invert_yaxis()
    _chart(ax)


def _chart(ax: Axes) -> None:
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=_SMALL - 1, width=0.4, length=2)


def _places(samples: list[int], columns: int) -> list[tuple[int, int]]:
    """Row and column of each prototype: those of a sample below each other, samples beside each other."""
    order = list(dict.fromkeys(samples))
    most = max(samples.count(sample) for sample in order)
    seen = dict.fromkeys(order, 0)
    places = []
    for sample in samples:
        line, column = divmod(order.index(sample), columns)
        places.append((line * most + seen[sample], column))
        seen[sample] += 1
    return places


def _natural_kind(shape: tuple[int, ...]) -> str:
    if len(shape) == 3:
        return "image"
    if len(shape) > 3:
        raise InputError(
            f"samples of shape {shape} have no picture of their own: draw slices, prototype.inputs[:, :, i]"
        )
    return "bars" if len(shape) == 1 and math.prod(shape) <= _MOST_BARS else "series"


def _cell(kind: str, shape: tuple[int, ...]) -> tuple[float, float]:
    width, height = _CELLS[kind]
    if kind == "bars":
        height = 0.6 + 0.15 * math.prod(shape)
    return width, height


def _named(target: str, labels: Sequence[str] | None) -> str:
    word, _, number = target.partition(" ")
    if labels is None or word != "class" or not number.isdigit():
        return target
    if int(number) >= len(labels):
        raise InputError(f"{len(labels)} labels, and a prototype of {target}: give one label a class")
    return labels[int(number)]


def _foot(prototype: Prototype, everything: int) -> str:
    fewer = f"the first {len(prototype)} of {everything} prototypes · " if len(prototype) < everything else ""
    told = {name: prototype.parameters[name] for name in ("prior", "seed") if name in prototype.parameters}
    written = ", ".join(f"{name}={value}" for name, value in told.items())
    place = f" · layer {prototype.layer}" if prototype.layer else ""
    return f"{fewer}{prototype.method}({written}){place} · xaicore {__version__}"
