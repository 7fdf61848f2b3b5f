"""Pictures of explanations, on matplotlib.

Every function draws on the axes it is given, or on a figure of its own that no graphical back end knows of:
nothing pops up, and nothing stays open. Save it with ``figure.savefig(path)``.
"""

from __future__ import annotations

from xaicore.visualization.grids import grid
from xaicore.visualization.images import heatmap, overlay, show_image
from xaicore.visualization.patterns import plot_pattern
from xaicore.visualization.plots import plot_explanation
from xaicore.visualization.provenance import provenance
from xaicore.visualization.scales import RELEVANCE_COLOURS, symmetric_limit
from xaicore.visualization.sequences import bars, series, tokens

__all__ = [
    "RELEVANCE_COLOURS",
    "bars",
    "grid",
    "heatmap",
    "overlay",
    "plot_explanation",
    "plot_pattern",
    "provenance",
    "series",
    "show_image",
    "symmetric_limit",
    "tokens",
]
