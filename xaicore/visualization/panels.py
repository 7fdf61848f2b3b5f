"""Panels: the picture of one input's relevance for one sample, of the kind that its shape or the user asks for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.plugins import RendererSpec, find_renderer
from xaicore.visualization.canvas import title
from xaicore.visualization.images import heatmap, overlay
from xaicore.visualization.renderers import call
from xaicore.visualization.scales import Array, as_array, as_map
from xaicore.visualization.sequences import STRIP, channels_time, series
from xaicore.visualization.sheets import class_name, target_name
from xaicore.visualization.tables import bars
from xaicore.visualization.token_figures import height_of_words, tokens
from xaicore.visualization.token_lines import words_and_values
from xaicore.visualization.waterfalls import waterfall

KINDS = ("image", "bars", "waterfall", "series", "channels", "tokens", "summary")
_HEIGHTS = {"image": 1.8, "bars": 2.4, "waterfall": 2.4, "series": 1.3, "channels": 1.4, "tokens": 0.3}  # inches
_MOST_BARS = 40
_MOST_LINES = 6


class Panel:
    """One input's relevance: what kind of picture it gets, and that picture for a sample.

    Parameters
    ----------
    name : str
        The input; empty where there is only one.
    explanation : Explanation
    inputs : Tensor, dict of Tensor or None
    kind : str, optional
        By default what fits the shape, and tokens for integers.
    names : sequence, optional
        Of features, channels or tokens: for all samples, or one sequence a sample.
    merge : str, or word ids of all samples, or of each, optional
        For tokens.
    behind : dict, optional
        For images to be drawn on: `mean` and `std`, as in `overlay`.
    drawing : dict, optional
        For kinds that are renderers: `mean` and `std` of images, and options of the renderer.
    """

    def __init__(
        self,
        name: str,
        explanation: Explanation,
        inputs: Any,
        kind: str | None,
        names: Any,
        merge: Any = None,
        behind: Mapping[str, Any] | None = None,
        drawing: Mapping[str, Any] | None = None,
    ) -> None:
        relevance = explanation.relevance
        self.name, self.title, self.explanation = name, name, explanation
        self.true: Sequence[Any] | None = None
        self.relevance = relevance if isinstance(relevance, Tensor) else relevance[name]
        self.inputs = inputs.get(name) if isinstance(inputs, dict) else inputs if not name else None
        self.kind = kind or self._natural_kind()
        self._names, self._merge, self._behind, self._drawing = names, merge, behind, drawing or {}

    @property
    def form(self) -> str | None:
        """The renderer of images that `grid` is to draw this with, if it is a picture of images."""
        if self.kind == "image":
            return "heatmap"
        renderer = self._renderer
        return None if renderer is None or "image" not in renderer.inputs or self.relevance.ndim < 3 else renderer.name

    @property
    def _renderer(self) -> RendererSpec | None:
        return find_renderer(self.kind) if "." in self.kind else None

    def height(self, sample: int, width: float) -> float:
        """How tall the picture of a sample is to be, for one of this width; in inches."""
        if self.kind == "series" and self.relevance.ndim == 3:
            return max(_HEIGHTS["series"], STRIP * self.relevance.shape[1])
        if self.kind == "channels" and self.relevance.ndim == 3:
            return max(_HEIGHTS["channels"], min(0.13 * self.relevance.shape[1], 4.0))
        if self.kind != "tokens":
            return _HEIGHTS.get(self.kind, _HEIGHTS["image"])
        words, _ = words_and_values(*self._tokens(sample))
        return max(_HEIGHTS["tokens"], height_of_words(words, width))

    def head(self, ax: Axes, sample: int, labels: Sequence[str] | None) -> None:
        """What takes space around the picture: its title, and the true class where it is known."""
        true = [] if self.true is None else [f"true: {_class(self.true[sample], labels)}"]
        explained = f"explained: {target_name(self.explanation, sample, labels)}"
        title(ax, ", ".join(filter(None, (self.title, *true, explained))))

    def shown(self, sample: int) -> Array:
        """The numbers whose sizes are compared in the picture of a sample."""
        values = self.relevance[sample].detach()
        if self.form:
            return as_map(values)
        return words_and_values(*self._tokens(sample))[1] if self.kind == "tokens" else as_array(values)

    def draw(
        self,
        ax: Axes,
        sample: int,
        cmap: str | Colormap | None,
        percentile: float | None,
        scale: float | None = None,
    ) -> None:
        """Draw the relevance of a sample; `scale` is the limit of a scale that panels share, if they do."""
        values = self.relevance[sample].detach()
        own: dict[str, Any] = {"cmap": cmap, "scale": scale, "percentile": percentile if scale is None else None}
        if self._renderer is not None:
            self._render(self._renderer, ax, sample, own)
        elif self.kind == "image" and self._behind is not None and self.inputs is not None:
            overlay(self.inputs[sample], values, ax, colorbar=True, **self._behind, **own)
        elif self.kind == "image":
            heatmap(values, ax, colorbar=True, **own)
        elif self.kind == "tokens":
            line, words, merge = self._tokens(sample)
            tokens(line, words, ax, merge=merge, colorbar=True, **own)
        elif self.kind == "channels":
            channels_time(values, self._names_of(sample), ax, colorbar=True, **own)
        elif self.kind == "series":
            names = self._names_of(sample)
            channelled = values if values.ndim == 2 else values.reshape(-1)
            series(channelled, self._seen(sample, channelled), ax, names=names, **own)
        else:
            self._draw_table(ax, sample, values, cmap, scale)

    def _render(self, renderer: RendererSpec, ax: Axes, sample: int, shared: Mapping[str, Any]) -> None:
        names = self._names_of(sample)
        given = None if self.inputs is None else torch.as_tensor(self.inputs[sample])
        options = {key: value for key, value in self._drawing.items() if key not in ("mean", "std")}
        everything = {**shared, **self._drawing, "colorbar": True, "names": names, "words": names}
        call(renderer, self.relevance[sample].detach(), ax, given, options, everything)

    def _draw_table(
        self, ax: Axes, sample: int, values: Tensor, cmap: str | Colormap | None, scale: float | None
    ) -> None:
        names, line = self._names_of(sample), values.reshape(-1)
        names = _index_names(values) if names is None else names
        seen = self._seen(sample, line) if names is not None and self._names is not None else None
        if self.kind == "bars":
            bars(line, names, ax, values=seen, cmap=cmap, scale=scale)
            return
        checks = self.explanation.diagnostics
        explained = float(checks.explained[sample])
        waterfall(
            line,
            names,
            ax,
            values=seen,
            base=0.0 if checks.reference is None else float(checks.reference[sample]),
            explained=explained if math.isfinite(explained) else None,
            others=self._of_other_inputs(sample),
            cmap=cmap,
        )

    def _of_other_inputs(self, sample: int) -> float:
        relevance = self.explanation.relevance
        if isinstance(relevance, Tensor):
            return 0.0
        others = [each[sample].detach().double() for name, each in relevance.items() if name != self.name]
        return float(sum(each[each.isfinite()].sum() for each in others))

    def _tokens(self, sample: int) -> tuple[Tensor, Sequence[str], Any]:
        """Relevance, words, and how they are put together."""
        line, names = self.relevance[sample].detach().reshape(-1), self._names_of(sample)
        if names is None:
            ids = range(line.numel()) if self._ids() is None else self._ids()[sample].tolist()
            names = [str(each) for each in ids]
        merge = self._merge
        if not (
            merge is None or isinstance(merge, str) or all(each is None or isinstance(each, int) for each in merge)
        ):
            if len(merge) <= sample:
                raise InputError(f"merge has word ids for {len(merge)} samples; there are {len(self.relevance)}.")
            merge = merge[sample]
        return line, names, merge

    def _ids(self) -> Any:
        """The tokens of all samples, (B, T), where integers are explained; else None."""
        given = self.inputs
        if self.explanation.layer is not None or not isinstance(given, Tensor) or given.shape != self.relevance.shape:
            return None
        numbers = given.is_floating_point() or given.is_complex() or given.dtype == torch.bool
        return None if numbers or given.ndim != 2 else given

    def _natural_kind(self) -> str:
        relevance = self.relevance
        if relevance.ndim == 4:
            return "image"
        if self._ids() is not None:
            return "tokens"
        if relevance.ndim == 3:
            return "series" if relevance.shape[1] <= _MOST_LINES else "channels"
        return "series" if relevance.ndim == 2 and relevance.shape[1] > _MOST_BARS else "bars"

    def names_of_all(self) -> Sequence[str] | None:
        """The names that all samples share."""
        names = self._names
        if names is not None and len(names) and not isinstance(names[0], str):
            raise InputError("A picture of all samples needs names that all of them share, not some for each.")
        return names  # type: ignore[no-any-return]

    def _names_of(self, sample: int) -> Sequence[str] | None:
        names = self._names
        if names is None or not len(names) or isinstance(names[0], str):
            return names  # type: ignore[no-any-return]
        if len(names) <= sample:
            raise InputError(f"names are given for {len(names)} samples; there are {len(self.relevance)}.")
        return names[sample]  # type: ignore[no-any-return]

    def _seen(self, sample: int, values: Tensor) -> Tensor | None:
        """What the model saw, shaped like the relevance that is drawn."""
        if self.explanation.layer is not None or self.inputs is None:
            return None
        seen = torch.as_tensor(self.inputs[sample])
        return seen.reshape(values.shape) if seen.numel() == values.numel() else None


def _index_names(values: Tensor) -> list[str]:
    """Positions in the tensor as names: "3", or "0, 2, 5" in several dimensions."""
    if values.ndim <= 1:
        return [str(place) for place in range(values.numel())]
    return [", ".join(map(str, index)) for index in torch.cartesian_prod(*map(torch.arange, values.shape)).tolist()]


def _class(true: Any, labels: Sequence[str] | None) -> str:
    """The name of a class that is given by its number or its name."""
    return true if isinstance(true, str) else class_name(int(true), labels)
