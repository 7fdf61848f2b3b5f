"""Pictures of explanations, on matplotlib.

Every function draws on the axes it is given, or on a figure of its own that no graphical back end knows of:
nothing pops up, and nothing stays open. Save it with ``figure.savefig(path)``.
"""

from __future__ import annotations

from xaicore.visualization.comparisons import class_grid, model_grid
from xaicore.visualization.curves import curves
from xaicore.visualization.flows import flow
from xaicore.visualization.forms import gated, graymap, projection
from xaicore.visualization.graph_pictures import graph_flow
from xaicore.visualization.grids import grid
from xaicore.visualization.images import heatmap, overlay, show_image
from xaicore.visualization.patterns import plot_pattern
from xaicore.visualization.pictures import displayable
from xaicore.visualization.plots import plot_explanation
from xaicore.visualization.provenance import provenance
from xaicore.visualization.renderers import render
from xaicore.visualization.scales import RELEVANCE_COLOURS, symmetric_limit
from xaicore.visualization.selections import pattern, segments
from xaicore.visualization.sequences import channels_time, series
from xaicore.visualization.side_by_side import plot_side_by_side
from xaicore.visualization.smooth_forms import blend, contours
from xaicore.visualization.summaries import summary
from xaicore.visualization.tables import bars
from xaicore.visualization.token_figures import tokens
from xaicore.visualization.token_html import tokens_html, tokens_page
from xaicore.visualization.token_terminal import ansi_of, tokens_terminal
from xaicore.visualization.waterfalls import waterfall
from xaicore.visualization.word_pieces import merge_word_pieces

__all__ = [
    "RELEVANCE_COLOURS",
    "ansi_of",
    "bars",
    "blend",
    "channels_time",
    "class_grid",
    "contours",
    "curves",
    "displayable",
    "flow",
    "gated",
    "graph_flow",
    "graymap",
    "grid",
    "heatmap",
    "merge_word_pieces",
    "model_grid",
    "overlay",
    "pattern",
    "plot_explanation",
    "plot_pattern",
    "plot_side_by_side",
    "projection",
    "provenance",
    "render",
    "segments",
    "series",
    "show_image",
    "summary",
    "symmetric_limit",
    "tokens",
    "tokens_html",
    "tokens_page",
    "tokens_terminal",
    "waterfall",
]
