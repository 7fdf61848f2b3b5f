"""What `xaicore explain` tells at the end: as text, or as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from xaicore.cli.running import Run
from xaicore.cli.table import table
from xaicore.cli.writing import COLUMNS, table_rows
from xaicore.engine import Report
from xaicore.errors import XaicoreError

if TYPE_CHECKING:
    from xaicore import Explanation
    from xaicore.explanation import Diagnostics


@dataclass
class Outcome:
    """What became of the samples of one run; holds numbers, no explanation.

    Attributes
    ----------
    records
        What is told of each sample, by its place among all.
    page
        The report, where one was written.
    """

    model: str
    run: Run
    records: dict[int, dict[str, Any]] = field(default_factory=dict)
    method: str = ""
    page: Path | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    _checks: list[Diagnostics] = field(default_factory=list)

    def add(self, explanation: Explanation) -> None:
        """Remember what concerns the batch as a whole."""
        self.method = explanation.method
        self.parameters = {name: _plain(value) for name, value in explanation.parameters.items()}
        self._checks.append(explanation.diagnostics)

    def ordered(self) -> list[dict[str, Any]]:
        """The records in the order of the inputs."""
        return [self.records[number] for number in sorted(self.records)]

    def diagnostics(self) -> Diagnostics:
        """Those of all batches, in the order of the inputs."""
        from xaicore.explanation import Diagnostics

        joined = Diagnostics.concat(self._checks)
        numbers = list(self.records)  # in the order in which they were explained
        order = torch.tensor(sorted(range(len(numbers)), key=numbers.__getitem__))
        gap, reference = joined.conservation_gap, joined.reference
        return replace(
            joined,
            explained=joined.explained[order],
            relevance_sum=joined.relevance_sum[order],
            conservation_gap=None if gap is None else gap[order],
            reference=None if reference is None else reference[order],
        )

    def json(self, report: Report | None) -> dict[str, Any]:
        """Everything, as plain data; with the engine's report where that was asked for."""
        found: dict[str, Any] = {"model": self.model, "method": self.method, "parameters": self.parameters}
        found["samples"] = self.ordered()
        if self._checks:
            checks = self.diagnostics()
            found |= {"notes": checks.notes, "warnings": checks.warnings(), "ledger": checks.ledger}
        else:
            found |= {"notes": [], "warnings": [], "ledger": None}
        found |= {"skipped": self.run.skipped, "interrupted": self.run.interrupted}
        if report is not None:
            found["timing"] = {each.name: getattr(report, each.name) for each in fields(report)}
        return found if self.page is None else found | {"report": str(self.page)}

    def text(self, folder: Path, report: Report | None) -> str:
        """A table of the samples, the diagnostics, and how many were written."""
        parts = []
        if self._checks:
            heading = f"{self.model} explained by {self.method}\n"
            parts += [heading, table(COLUMNS, table_rows(self.ordered())), f"\n{self.diagnostics().summary()}\n"]
        if report is not None:
            parts.append(f"{report}\n")
        ending = [] if self.page is None else [f"Wrote a report to {self.page}"]
        return "\n".join([*parts, self._conclusion(folder), *ending])

    def _conclusion(self, folder: Path) -> str:
        skipped = len(self.run.skipped)
        pages = any(file.endswith(".html") for each in self.records.values() for file in each["files"])
        figures = "figures (.png, .html)" if pages else "figures (.png)"
        wrote = f"Wrote {_counted(len(self.records), 'explanation')} (.safetensors) and {figures} to {folder}"
        ends = (f"; skipped {skipped}" if skipped else "") + ("; interrupted" if self.run.interrupted else "")
        return wrote + ends


def nothing_explained(skipped: Sequence[dict[str, str]]) -> XaicoreError:
    """The error where every sample failed."""
    first = skipped[0]
    return XaicoreError(
        f"Nothing was explained: {_counted(len(skipped), 'input')} failed, the first ({first['file']}) because: "
        f"{first['reason']}"
    )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
