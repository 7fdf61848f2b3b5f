"""What the page says above the samples: warnings and notes of maps, and what was made smaller."""

from __future__ import annotations

from dataclasses import dataclass

from xaicore.explanation.diagnostics import CAUTION
from xaicore.reports.content import Report


@dataclass(frozen=True)
class Remark:
    """A note of maps: under which column, of how many of its maps."""

    column: str
    text: str
    count: int
    of: int


@dataclass(frozen=True)
class Remarks:
    """All that the reader should know of the maps."""

    cautions: list[Remark]
    notes: list[Remark]
    shrunk: str


def remarks_of(report: Report, side: int) -> Remarks:
    """Collect the notes of maps, each once a column; warnings apart from the others."""
    counts: dict[tuple[str, str], int] = {}
    totals: dict[str, int] = {}
    for sample in report.samples:
        for column, view in sample.maps.items():
            totals[column] = totals.get(column, 0) + 1
            for note in dict.fromkeys(view.notes):
                counts[column, note] = counts.get((column, note), 0) + 1
    remarks = [Remark(column, note, count, totals[column]) for (column, note), count in counts.items()]
    return Remarks(
        cautions=[each for each in remarks if each.text.startswith(CAUTION)],
        notes=[each for each in remarks if not each.text.startswith(CAUTION)],
        shrunk=_shrunk(report, side),
    )


def _shrunk(report: Report, side: int) -> str:
    views = [view for sample in report.samples for view in sample.maps.values() if view.relevance is not None]
    images = [view for view in views if view.relevance is not None and view.relevance.ndim == 2]
    small = [view for view in images if max(view.full_shape or view.relevance.shape) > side]  # type: ignore[union-attr]
    if not images:
        return ""
    stored = "Maps are stored with 127 steps on either side of zero, that is in 8 bits."
    if not small:
        return stored
    largest = max(max(view.full_shape or view.relevance.shape) for view in small)  # type: ignore[union-attr]
    return (
        f"{stored} {len(small)} of {len(images)} maps are shown smaller than they are, at most {side} pixels a side "
        f"(the largest has {largest}): each pixel is the mean of the relevance in its area, so that single pixels "
        "stand out less."
    )
