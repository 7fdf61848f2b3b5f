"""One picture of one explanation, of whatever shape its relevance has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.colors import Colormap
from matplotlib.figure import Figure
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.visualization.grids import grid
from xaicore.visualization.overviews import is_overview, overview
from xaicore.visualization.panel_sets import kind_named, panels_of, shared_limits
from xaicore.visualization.pictures import Channels
from xaicore.visualization.provenance import provenance
from xaicore.visualization.scales import percentile_note
from xaicore.visualization.side_by_side import draw_side_by_side, first_of

_SHARING = {"map": "each panel on its own scale", "row": "one scale a sample", "figure": "one scale for all panels"}


def plot_explanation(
    explanation: Explanation,
    *,
    kind: str | Mapping[str, str] | None = None,
    inputs: Any = None,
    names: Any = None,
    merge: Any = None,
    labels: Sequence[str] | None = None,
    true: Sequence[Any] | Tensor | None = None,
    mean: Channels = None,
    std: Channels = None,
    scale: str = "map",
    percentile: float | None = None,
    overlaid: bool = False,
    options: Mapping[str, Any] | None = None,
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
    kind : {"image", "bars", "waterfall", "series", "channels", "tokens", "summary"}, a renderer, or dict by input
        By default (B, C, H, W) is an image, (B, C, T) a series of up to 6 channels and a map of channels by time
        beyond, integers (B, T) are tokens, other (B, N) a table up to 40 columns and a series beyond; anything else is
        drawn as the bars of its largest values. "summary" is one picture of all samples, for tables.
        A renderer is named as `xaicore.renderers()` lists it: "contours", "core.segments", ...
    inputs : tensor, dict of tensors, or None
        What was explained; None takes the inputs kept in the explanation.
    names : sequence of str, or one sequence a sample, or dict of these by input, optional
        Names of features or channels; the tokens of each sample for tokens, without those of padding if you like (see
        `xaicore.visualization.tokens`).
    merge : str, or word ids for all samples or of each, or dict of these by input, optional
        Put the pieces of tokenizers together to words: "auto", or see `xaicore.visualization.merge_word_pieces`.
    labels, true, mean, std, overlaid
        As in `xaicore.visualization.grid`, for images; `labels` for all kinds.
    scale : {"map", "row", "figure"}
        What shares one colour scale: nothing, the inputs of a sample, or all; said at the foot of several.
    options : dict, optional
        Options of the renderer that `kind` names, such as ``{"pool": "norm"}``.
    percentile, cmap
        As in `xaicore.visualization.grid`, for all that is coloured.
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
    if not len(explanation):
        raise InputError("There is nothing to draw: the explanation has no samples.")
    everything, kind = len(explanation), kind_named(kind)
    if is_overview(kind):
        panels = panels_of(explanation, explanation.inputs if inputs is None else inputs, kind, names)
        return overview(panels, labels, cmap, _foot(explanation, everything) if footer else None)
    if limit is not None and everything > limit:
        explanation = explanation[:limit]
        true = None if true is None else true[:limit]
        inputs = first_of(inputs, limit)
    inputs = explanation.inputs if inputs is None else inputs
    shown: dict[str, Any] = {"mean": mean, "std": std}
    own = {**shown, **(options or {})}
    panels = panels_of(explanation, inputs, kind, names, merge, shown if overlaid else None, own)
    if ax is not None:
        if len(explanation) != 1 or len(panels) != 1:
            raise InputError("ax= takes one sample of one input: choose with explanation[i], or leave ax out.")
        panels[0].head(ax, 0, labels)
        panels[0].draw(ax, 0, cmap, percentile)
        figure: Figure = ax.figure  # type: ignore[assignment]
        return figure
    foot = _foot(explanation, everything) if footer else None
    (panel, *more) = panels
    if not more and panel.form:
        chosen: dict[str, Any] = {"labels": labels, "true": true, "scale": scale, "percentile": percentile}
        chosen |= {"overlaid": overlaid, "form": panel.form, "options": options, "cmap": cmap, "footer": foot}
        return grid(panel.inputs, {explanation.method: explanation}, **shown, **chosen)
    limits = shared_limits(panels, len(explanation), scale, percentile)
    if foot and (more or scale != "map"):
        cut = percentile_note(percentile) if scale != "map" else ""
        foot = " · ".join(filter(None, (foot, _SHARING[scale], cut)))
    return draw_side_by_side(panels, labels, cmap, percentile, limits, foot)


def _foot(explanation: Explanation, everything: int) -> str:
    shown = f"the first {len(explanation)} of {everything} samples · " if len(explanation) < everything else ""
    return shown + provenance(explanation, longest=110)
