"""All samples of an explanation in one picture: the summary of each input that is a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure
from torch import Tensor

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.visualization.canvas import SMALL
from xaicore.visualization.panels import Panel
from xaicore.visualization.sheets import target_name
from xaicore.visualization.summaries import SUMMARY_ROW, summary
from xaicore.visualization.texts import wrapped

_WIDTH = 4.6  # inches


def is_overview(kind: str | Mapping[str, str] | None) -> bool:
    """Whether this kind of picture, or one of these by input, shows all samples at once."""
    return "summary" in (kind.values() if isinstance(kind, Mapping) else [kind])


def overview(panels: Sequence[Panel], labels: Sequence[str] | None, cmap: Any, foot: str | None) -> Figure:
    """Draw the summaries of inputs (B, F) side by side; those of another kind cannot stand beside them."""
    for panel in panels:
        if panel.kind != "summary" or panel.relevance.ndim != 2:
            what = f"input {panel.name!r}" if panel.name else "relevance"
            raise InputError(
                f'kind="summary" is for tables, (B, F): {what} of shape {tuple(panel.relevance.shape)} cannot be drawn '
                f"as {panel.kind!r} beside them. Draw it by itself."
            )
    width, explained = _WIDTH * len(panels), _explained(panels[0].explanation, labels)
    rows = max(min(panel.relevance.shape[1], 16) for panel in panels)
    figure = Figure(figsize=(width, 1.0 + SUMMARY_ROW * rows), layout="constrained", dpi=150)
    for panel, ax in zip(panels, figure.subplots(1, len(panels), squeeze=False)[0], strict=True):
        names = panel.names_of_all()
        seen = panel.inputs if isinstance(panel.inputs, Tensor) else None
        fits = seen is not None and panel.explanation.layer is None and seen.shape == panel.relevance.shape
        options: dict[str, Any] = {} if cmap is None else {"cmap": cmap}
        title = ", ".join(filter(None, (panel.name, f"{len(panel.relevance)} samples", explained)))
        summary(panel.relevance, names, ax, values=seen if fits else None, title=title, **options)
    if foot:
        figure.supxlabel(
            wrapped(foot, 0.98 * width), fontsize=SMALL, color="#616161", parse_math=False, x=0.01, ha="left"
        )
    return figure


def _explained(explanation: Explanation, labels: Sequence[str] | None) -> str:
    """What is explained; that it differs from sample to sample, where it does."""
    names = {target_name(explanation, sample, labels) for sample in range(len(explanation))}
    return f"explained: {names.pop()}" if len(names) == 1 else f"explained: {len(names)} different classes"
