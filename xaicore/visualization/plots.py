"""One picture of one explanation, of whatever shape its relevance has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization.canvas import SMALL, as_chart, colour_bar, note
from xaicore.visualization.grids import grid
from xaicore.visualization.images import Channels, draw_map, heatmap
from xaicore.visualization.provenance import provenance
from xaicore.visualization.scales import as_map, colours, non_finite_note, symmetric_limit
from xaicore.visualization.sequences import bars, series, tokens
from xaicore.visualization.sheets import target_name
from xaicore.visualization.texts import wrapped

KINDS = ("image", "bars", "series", "tokens")
_MOST_BARS = 40


def plot_explanation(
    explanation: Explanation,
    *,
    kind: str | None = None,
    inputs: Any = None,
    names: Any = None,
    labels: Sequence[str] | None = None,
    true: Sequence[Any] | Tensor | None = None,
    mean: Channels = None,
    std: Channels = None,
    scale: str = "map",
    percentile: float | None = None,
    overlaid: bool = False,
    cmap: str | Colormap | None = None,
    limit: int | None = 8,
    footer: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw an explanation: images as a grid, tables as bars, series as lines, several inputs side by side.

    Parameters
    ----------
    explanation : Explanation
        Of B samples; one row each.
    kind : {"image", "bars", "series", "tokens"}, optional
        By default (B, C, H, W) is an image, (B, C, T) a series of C channels, (B, N) a table up to 40 columns and
        a series beyond; anything else is drawn as the bars of its largest values.
    inputs : tensor, dict of tensors, or None
        What was explained; None takes the inputs kept in the explanation.
    names : sequence of str, or one sequence a sample, optional
        Names of features for bars; the tokens of each sample for tokens.
    labels, true, mean, std, scale, percentile, overlaid, cmap
        As in `xaicore.visualization.grid`, for images; `labels` and `cmap` for all kinds.
    limit : int or None
        Draw at most this many samples, and say so; None draws all.
    footer : bool
        Write method, parameters and version below.
    ax : Axes, optional
        Draw on these; for one sample of one input.

    Returns
    -------
    Figure
        Not known to pyplot; save it with ``figure.savefig(path)``.
    """
    if kind is not None and kind not in KINDS:
        raise ParameterError(f"kind={kind!r}: one of {KINDS}.")
    if not len(explanation):
        raise InputError("There is nothing to draw: the explanation has no samples.")
    everything = len(explanation)
    if limit is not None and everything > limit:
        explanation = explanation[:limit]
        true = None if true is None else true[:limit]
        inputs = _first(inputs, limit)
    inputs = explanation.inputs if inputs is None else inputs
    panels = {name: _Panel(name, values, inputs, kind) for name, values in _named(explanation.relevance).items()}
    texts = {"names": names, "labels": labels, "cmap": cmap}
    if ax is not None:
        if len(explanation) != 1 or len(panels) != 1:
            raise InputError("ax= takes one sample of one input: choose with explanation[i], or leave ax out.")
        next(iter(panels.values())).draw(ax, explanation, 0, texts, percentile)
        figure: Figure = ax.figure  # type: ignore[assignment]
        return figure
    foot = _foot(explanation, everything) if footer else None
    (panel, *more) = panels.values()
    if not more and panel.kind == "image":
        options: dict[str, Any] = {"labels": labels, "true": true, "mean": mean, "std": std, "scale": scale}
        options |= {"percentile": percentile, "overlaid": overlaid, "cmap": cmap, "footer": foot}
        return grid(panel.inputs, {explanation.method: explanation}, **options)
    return _panels(list(panels.values()), explanation, texts, percentile, foot)


class _Panel:
    """One input's relevance: what kind of picture it gets, and that picture for a sample."""

    def __init__(self, name: str, relevance: Tensor, inputs: Any, kind: str | None) -> None:
        self.name, self.relevance = name, relevance
        self.inputs = inputs.get(name) if isinstance(inputs, dict) else inputs if not name else None
        self.kind = kind or _natural_kind(relevance)
        self.height = {"image": 1.8, "bars": 2.4, "series": 1.3, "tokens": 0.8}[self.kind]

    def draw(
        self, ax: Axes, explanation: Explanation, sample: int, texts: dict[str, Any], percentile: float | None
    ) -> None:
        heading = f"{self.name}: " if self.name else ""
        heading += f"explained: {target_name(explanation, sample, texts['labels'])}"
        values = self.relevance[sample].detach()
        cmap, names = texts["cmap"], texts["names"]
        if names is not None and len(names) and not isinstance(names[0], str):
            names = names[sample]
        if self.kind == "image":
            heatmap(values, ax, title=heading, cmap=cmap, percentile=percentile, colorbar=True)
        elif self.kind == "tokens":
            words = names if names is not None else [str(place) for place in range(values.numel())]
            tokens(values.reshape(-1), words, ax, title=heading, cmap=cmap)
        elif self.kind == "series" and values.ndim == 2 and len(values) > 1:
            _channels(ax, values, heading, cmap)
        elif self.kind == "series":
            series(values.reshape(-1), self._curve(sample, values), ax, title=heading, cmap=cmap)
        else:
            names = _index_names(values) if names is None else names
            bars(values.reshape(-1), names, ax, title=heading, cmap=cmap)

    def _curve(self, sample: int, values: Tensor) -> Tensor | None:
        if self.inputs is None or torch.as_tensor(self.inputs[sample]).numel() != values.numel():
            return None
        return torch.as_tensor(self.inputs[sample]).reshape(-1)


def _panels(
    panels: list[_Panel], explanation: Explanation, texts: dict[str, Any], percentile: float | None, foot: str | None
) -> Figure:
    rows = len(explanation)
    size = (max(3.4 * len(panels), 4.0), 0.3 + rows * (0.35 + max(panel.height for panel in panels)))
    figure = Figure(figsize=size, layout="constrained", dpi=150)
    for row, line in enumerate(figure.subplots(rows, len(panels), squeeze=False)):
        for panel, ax in zip(panels, line, strict=True):
            panel.draw(ax, explanation, row, texts, percentile)
    if foot:
        foot = wrapped(foot, 0.98 * size[0])
        figure.supxlabel(foot, fontsize=SMALL, color="#616161", parse_math=False, x=0.01, ha="left")
    return figure


def _channels(ax: Axes, values: Tensor, heading: str, cmap: str | Colormap | None) -> None:
    """Several channels along time: one row of colour each."""
    array = as_map(values)
    limit = symmetric_limit(array)
    draw_map(ax, array, limit, colours(cmap))
    ax.set_aspect("auto")
    ax.set_title(heading, fontsize=SMALL, pad=3, parse_math=False)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    as_chart(ax)
    ax.set_ylabel("channel", fontsize=SMALL)
    note(ax, "step")
    note(ax, non_finite_note(array))
    colour_bar(ax.figure, colours(cmap), limit, "relevance", ax=ax)


def _natural_kind(relevance: Tensor) -> str:
    if relevance.ndim == 4:
        return "image"
    if relevance.ndim == 3 or (relevance.ndim == 2 and relevance.shape[1] > _MOST_BARS):
        return "series"
    return "bars"


def _index_names(values: Tensor) -> list[str]:
    """Positions in the tensor as names: "3", or "0, 2, 5" in several dimensions."""
    if values.ndim <= 1:
        return [str(place) for place in range(values.numel())]
    return [", ".join(map(str, index)) for index in torch.cartesian_prod(*map(torch.arange, values.shape)).tolist()]


def _foot(explanation: Explanation, everything: int) -> str:
    shown = f"the first {len(explanation)} of {everything} samples · " if len(explanation) < everything else ""
    return shown + provenance(explanation, longest=110)


def _named(relevance: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    return {"": relevance} if isinstance(relevance, Tensor) else relevance


def _first(inputs: Any, limit: int) -> Any:
    if inputs is None:
        return None
    return {name: each[:limit] for name, each in inputs.items()} if isinstance(inputs, dict) else inputs[:limit]
