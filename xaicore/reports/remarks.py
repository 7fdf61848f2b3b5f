"""What the page says of its maps together: warnings and notes, and what was made smaller."""

from __future__ import annotations

from dataclasses import dataclass

from xaicore.explanation.diagnostics import CAUTION
from xaicore.reports.content import Report

_FEW = 4  # notes that are in sight without being asked for


@dataclass(frozen=True)
class Remark:
    """A note of maps, and where it holds: "lrp.zero, 2 of 30 maps"."""

    text: str
    places: list[str]


@dataclass(frozen=True)
class Remarks:
    """All that the reader should know of the maps."""

    cautions: list[Remark]
    notes: list[Remark]
    shrunk: str

    @property
    def few(self) -> bool:
        """Whether the notes are few enough to be in sight."""
        return len(self.notes) <= _FEW


def remarks_of(report: Report, side: int) -> Remarks:
    """Collect the notes of maps, each once; warnings apart from the others."""
    counts: dict[str, dict[str, int]] = {}
    totals: dict[str, int] = {}
    for sample in report.samples:
        for column, view in sample.maps.items():
            totals[column] = totals.get(column, 0) + 1
            for note in dict.fromkeys(view.notes):
                columns = counts.setdefault(note, {})
                columns[column] = columns.get(column, 0) + 1
    remarks = [
        Remark(note, [_place(column, count, totals[column]) for column, count in columns.items()])
        for note, columns in counts.items()
    ]
    return Remarks(
        cautions=[each for each in remarks if each.text.startswith(CAUTION)],
        notes=[each for each in remarks if not each.text.startswith(CAUTION)],
        shrunk=_shrunk(report, side),
    )


def _place(column: str, count: int, total: int) -> str:
    return column if count == total else f"{column}, {count} of {total} maps"


def _shrunk(report: Report, side: int) -> str:
    shapes = [
        view.full_shape or view.relevance.shape
        for sample in report.samples
        for view in sample.maps.values()
        if view.relevance is not None and view.relevance.ndim == 2
    ]
    if not shapes:
        return ""
    stored = "Maps are stored in 8 bits: 127 steps on either side of zero."
    larger = [max(shape) for shape in shapes if max(shape) > side]
    if not larger:
        return stored
    return (
        f"{stored} {len(larger)} of {len(shapes)} maps are shown smaller than they are, at most {side} pixels a side "
        f"(the largest has {max(larger)}): each pixel is the mean of the relevance in its area, so that single pixels "
        "stand out less."
    )
