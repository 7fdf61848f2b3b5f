"""Panels: the picture of one input's relevance for one sample, of the kind that its shape or the user asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from xaicore.errors import InputError, ParameterError, nearest
from xaicore.explanation import Explanation
from xaicore.visualization.canvas import SMALL, as_chart, colour_bar, note, title
from xaicore.visualization.images import draw_map, heatmap
from xaicore.visualization.scales import as_map, colours, non_finite_note, symmetric_limit
from xaicore.visualization.sequences import bars, height_of_words, series, tokens
from xaicore.visualization.sheets import target_name

KINDS = ("image", "bars", "series", "tokens")
_HEIGHTS = {"image": 1.8, "bars": 2.4, "series": 1.3, "tokens": 0.3}  # inches
_MOST_BARS = 40


class Panel:
    """One input's relevance: what kind of picture it gets, and that picture for a sample.

    Parameters
    ----------
    name : str
        The input; empty where there is only one.
    relevance : Tensor (B, ...)
    inputs : Tensor, dict of Tensor or None
    kind : str, optional
        By default what fits the shape.
    names : sequence, optional
        Of features or tokens: for all samples, or one sequence a sample.
    """

    def __init__(self, name: str, relevance: Tensor, inputs: Any, kind: str | None, names: Any) -> None:
        self.name, self.relevance = name, relevance
        self.inputs = inputs.get(name) if isinstance(inputs, dict) else inputs if not name else None
        self.kind = kind or _natural_kind(relevance)
        self._names = names

    def height(self, sample: int, width: float) -> float:
        """How tall the picture of a sample is to be, for one of this width; in inches."""
        if self.kind != "tokens":
            return _HEIGHTS[self.kind]
        return max(_HEIGHTS["tokens"], height_of_words(self._words(sample), width))

    def head(self, ax: Axes, explanation: Explanation, sample: int, labels: Sequence[str] | None) -> None:
        """What takes space around the picture: its title."""
        name = f"{self.name}, " if self.name else ""
        title(ax, f"{name}explained: {target_name(explanation, sample, labels)}")

    def draw(self, ax: Axes, sample: int, cmap: str | Colormap | None, percentile: float | None) -> None:
        """Draw the relevance of a sample."""
        values = self.relevance[sample].detach()
        if self.kind == "image":
            heatmap(values, ax, cmap=cmap, percentile=percentile, colorbar=True)
        elif self.kind == "tokens":
            tokens(values.reshape(-1), self._words(sample), ax, cmap=cmap)
        elif self.kind == "series" and values.ndim == 2 and len(values) > 1:
            _channels(ax, values, cmap)
        elif self.kind == "series":
            series(values.reshape(-1), self._curve(sample, values), ax, cmap=cmap)
        else:
            names = self._names_of(sample)
            bars(values.reshape(-1), _index_names(values) if names is None else names, ax, cmap=cmap)

    def _words(self, sample: int) -> Sequence[str]:
        names = self._names_of(sample)
        return [str(place) for place in range(self.relevance[sample].numel())] if names is None else names

    def _names_of(self, sample: int) -> Sequence[str] | None:
        names = self._names
        if names is None or not len(names) or isinstance(names[0], str):
            return names  # type: ignore[no-any-return]
        if len(names) <= sample:
            raise InputError(f"names are given for {len(names)} samples; there are {len(self.relevance)}.")
        return names[sample]  # type: ignore[no-any-return]

    def _curve(self, sample: int, values: Tensor) -> Tensor | None:
        if self.inputs is None or torch.as_tensor(self.inputs[sample]).numel() != values.numel():
            return None
        return torch.as_tensor(self.inputs[sample]).reshape(-1)


def panels_of(relevance: Tensor | dict[str, Tensor], inputs: Any, kind: Any, names: Any) -> list[Panel]:
    """A panel for each input; kinds and names may be given by input."""
    named = {"": relevance} if isinstance(relevance, Tensor) else relevance
    kinds, texts = _by_input("kind", kind, named), _by_input("names", names, named)
    for each in kinds.values():
        if each is not None and each not in KINDS:
            raise ParameterError(f"kind={each!r}: one of {KINDS}.{nearest(str(each), KINDS)}")
    return [Panel(name, values, inputs, kinds[name], texts[name]) for name, values in named.items()]


def _by_input(what: str, given: Any, named: Mapping[str, Tensor]) -> dict[str, Any]:
    """What is given for each input: the same for all, or by name."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(named, given)
    if list(named) == [""] and len(given) == 1:  # of an explanation of one input, which does not say how it is called
        return {"": next(iter(given.values()))}
    for name in given:
        if name not in named:
            known = ", ".join(map(repr, named)) if list(named) != [""] else "only one: give it without a dict"
            raise InputError(
                f"{what}: there is no explained input {name!r}; there is {known}.{nearest(str(name), named)}"
            )
    return {name: given.get(name) for name in named}


def _channels(ax: Axes, values: Tensor, cmap: str | Colormap | None) -> None:
    """Several channels along time: one row of colour each."""
    array = as_map(values)
    limit = symmetric_limit(array)
    draw_map(ax, array, limit, colours(cmap))
    ax.set_aspect("auto")
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
