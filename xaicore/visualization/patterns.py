"""The relevant pattern of images beside the images themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from matplotlib.figure import Figure

from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.visualization.canvas import SMALL
from xaicore.visualization.images import show_image
from xaicore.visualization.pictures import Channels
from xaicore.visualization.provenance import provenance
from xaicore.visualization.sheets import target_name


def plot_pattern(
    explanation: Explanation,
    keep: float = 0.8,
    *,
    inputs: Any = None,
    labels: Sequence[str] | None = None,
    mean: Channels = None,
    std: Channels = None,
    limit: int | None = 8,
    footer: bool = True,
    **options: Any,
) -> Figure:
    """Draw images, and beside each what is left of it where only the most relevant positions are kept.

    Parameters
    ----------
    explanation : Explanation
        Of images, (B, C, H, W); one row each.
    keep, inputs, **options
        See `xaicore.Explanation.relevant_pattern`.
    labels, mean, std
        As in `xaicore.visualization.grid`.
    limit : int or None
        Draw at most this many samples; None draws all.
    footer : bool
        Write method, parameters and version below.

    Returns
    -------
    Figure
        Not known to pyplot; save it with ``figure.savefig(path)``.
    """
    patterns = explanation.relevant_pattern(keep, inputs=inputs, **options)
    images: Any = explanation.inputs if inputs is None else inputs
    if not isinstance(patterns, torch.Tensor) or patterns.ndim != 4:
        raise InputError("plot_pattern draws images, (B, C, H, W), of models with one input")
    rows = len(patterns) if limit is None else min(limit, len(patterns))
    figure = Figure(figsize=(4.0, 0.4 + 2.1 * rows), layout="constrained", dpi=150)
    for sample, (left, right) in enumerate(figure.subplots(rows, 2, squeeze=False)):
        show_image(images[sample], left, mean, std, title=f"explained: {target_name(explanation, sample, labels)}")
        show_image(patterns[sample], right, mean, std, title="relevant pattern")
    if footer:
        shown = f"the first {rows} of {len(patterns)} samples · " if rows < len(patterns) else ""
        text = shown + provenance(explanation, longest=70)
        figure.supxlabel(text, fontsize=SMALL, color="#616161", parse_math=False, x=0.01, ha="left")
    return figure
