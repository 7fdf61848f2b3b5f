"""Curves of metrics: what becomes of the output as more and more of the inputs is replaced."""

from __future__ import annotations

import math
from collections.abc import Mapping

from matplotlib.axes import Axes

from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Curve, Scores, bootstrap_interval
from xaicore.visualization.canvas import SMALL, as_chart, note, own_axes
from xaicore.visualization.canvas import title as _draw_title
from xaicore.visualization.scales import as_array

_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
"""Told apart by most people who see colours differently (Okabe and Ito 2008); line styles follow when they run out."""
_STYLES = ("-", "--", ":", "-.")


def curves(
    scores: Mapping[str, Scores],
    ax: Axes | None = None,
    *,
    confidence: float | None = 0.95,
    seed: int = 0,
    title: str | None = None,
) -> Axes:
    """Draw the mean curve of each method, with its score in the legend, the best method first.

    Parameters
    ----------
    scores : mapping of str to Scores
        By the name to show: what one metric that gives curves (pixel flipping, insertion, ...) says of each method, of
        the same samples.
    confidence : float, optional
        Of the band, the percentile bootstrap interval of the mean at each point; samples are drawn as wholes. None: no
        band. There is none for fewer than two samples.
    seed : int
        Of the bootstrap.
    title : str, optional

    Raises
    ------
    InputError
        Without scores, for scores without curves, and for curves that do not go over the same axis.

    Notes
    -----
    Samples for which the metric is not defined are left out of both curve and score, and counted below.
    """
    if confidence is not None and not 0 < confidence < 1:
        raise ParameterError(f"confidence={confidence!r} must lie between 0 and 1, or be None: no band")
    first = _checked(scores)
    ax = own_axes(ax, (4.4, 3.0))
    defined = {name: each.defined for name, each in scores.items()}
    order = sorted(scores, key=lambda name: _goodness(defined[name]), reverse=True)
    numbers = {name: place for place, name in enumerate(scores)}  # a method keeps its colour from figure to figure
    for name in order:
        _draw(ax, name, defined[name], numbers[name], confidence, seed)
    as_chart(ax)
    ax.set_xlabel(first.x_label, fontsize=SMALL, labelpad=2, parse_math=False)
    ax.set_ylabel(first.y_label, fontsize=SMALL, labelpad=2, parse_math=False)
    ax.margins(x=0)
    better = "higher" if next(iter(scores.values())).higher_is_better else "lower"
    legend = ax.legend(fontsize=SMALL, frameon=False, title=f"mean score ({better} is better)", title_fontsize=SMALL)
    legend.get_title().set_color("#616161")
    for text in legend.get_texts():
        text.set_parse_math(False)
    left_out = [
        f"{name}: undefined for {each.undefined} of {len(each)}" for name, each in scores.items() if each.undefined
    ]
    note(ax, "\n".join(left_out))
    _draw_title(ax, title)
    return ax


def _checked(scores: Mapping[str, Scores]) -> Curve:
    """The curve whose labels are shown."""
    if not scores:
        raise InputError("There are no scores to draw.")
    found = [each.curve for each in scores.values() if each.curve is not None]
    if len(found) < len(scores):
        lacking = [name for name, each in scores.items() if each.curve is None]
        raise InputError(
            f"No curve belongs to the scores of {', '.join(map(repr, lacking))}: choose a metric that has one, such as "
            "pixel flipping."
        )
    labels = {(curve.x_label, curve.y_label) for curve in found}
    if len(labels) > 1:
        raise InputError(f"These curves are of different things and do not belong in one picture: {sorted(labels)}.")
    return found[0]


def _goodness(scores: Scores) -> float:
    """Higher is better; what is undefined comes last."""
    if not len(scores):
        return -math.inf
    return scores.mean if scores.higher_is_better else -scores.mean


def _draw(ax: Axes, name: str, scores: Scores, number: int, confidence: float | None, seed: int) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    style = _STYLES[number // len(_COLOURS) % len(_STYLES)]
    if scores.curve is None or not len(scores):
        ax.plot([], [], color=colour, linestyle=style, linewidth=1.4, label=f"{name}: undefined")
        return
    x = as_array(scores.curve.x, "x")
    label = f"{name}: {scores.mean:.3g}"
    ax.plot(x, as_array(scores.curve.mean(), "y"), color=colour, linestyle=style, linewidth=1.4, label=label)
    if confidence is not None and len(scores) > 1:
        # The same seed draws the same samples at each point.
        ends = [bootstrap_interval(values, confidence, seed=seed) for values in scores.curve.y.T]
        low, high = zip(*ends, strict=True)
        ax.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
