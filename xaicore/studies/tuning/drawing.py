"""A ranking as a figure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from xaicore.errors import InputError
from xaicore.visualization.canvas import SMALL, as_chart, note, own_axes
from xaicore.visualization.texts import wrapped

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from xaicore.studies.tuning.ranking import Ranking

_SURE, _COLOUR = 0.05, "#2166ac"
_WIDEST, _ROW, _LINE = 3.2, 0.32, 0.12  # inches: of a name, of a candidate, of a line of a name


def draw_ranking(ranking: Ranking, ax: Axes | None, most: int) -> Axes:
    """Draw mean and interval of each candidate; see `Ranking.plot`."""
    scored = [(each, each.scores) for each in ranking if each.scores is not None and math.isfinite(each.mean)]
    if not scored:
        raise InputError("there is nothing to draw: no candidate has a finite score for every sample")
    shown = scored[:most]
    names = [wrapped(each.name, _WIDEST) for each, _ in shown]
    row = max(_ROW, _LINE * (1 + max(name.count("\n") + 1 for name in names)))
    ax = own_axes(ax, (7.2, 0.7 + row * len(shown)))
    for place, (each, scores) in enumerate(shown):
        low, high = scores.interval()
        as_good = place == 0 or each.p_value >= _SURE
        ax.plot([low, high], [place, place], color=_COLOUR, linewidth=1, solid_capstyle="butt")
        face = _COLOUR if as_good else "white"
        ax.plot(each.mean, place, "o", color=_COLOUR, markerfacecolor=face, markersize=5)
    ax.set_ylim(len(shown) - 0.5, -0.5)
    ax.set_yticks(range(len(shown)))
    as_chart(ax)
    ax.set_yticklabels(names, fontsize=SMALL, parse_math=False)
    direction = "higher" if ranking.higher_is_better else "lower"
    note(ax, f"{ranking.metric} ({direction} is better)")
    note(ax, "mean with 95 % interval")
    note(ax, "filled: the best, and what is not significantly worse")
    if len(scored) > len(shown):
        note(ax, f"the first {len(shown)} of {len(scored)}")
    return ax
