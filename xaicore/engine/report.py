"""What a run took: time by phase, batch sizes, memory."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from xaicore.engine.memory import in_words


@dataclass
class Report:
    """What an engine did, over all its runs.

    Attributes
    ----------
    seconds : dict of str to float
        Time by phase: ``prepare`` (inputs to the device, capture of the graph), ``run`` (the model).
    batches : dict of int to int
        How many calls had how many rows. A row is one run of the model on one sample or on one variation of it. Runs
        that prepare, such as that for the prediction, are not counted.
    too_large : list of int
        Batch sizes that were given up for lack of memory.
    peak_memory : int or None
        Bytes: on CUDA the most that tensors took during the runs, elsewhere the most that the process ever took.
    interrupted : bool
        Whether the last run was stopped by Ctrl-C and returned what was finished.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    batches: dict[int, int] = field(default_factory=dict)
    too_large: list[int] = field(default_factory=list)
    peak_memory: int | None = None
    device: str = ""
    precision: str = ""
    interrupted: bool = False

    @property
    def rows(self) -> int:
        """How many rows were run."""
        return sum(size * calls for size, calls in self.batches.items())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Add the time that the block of code takes to a phase."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def count(self, rows: int) -> None:
        """A call with this many rows was finished."""
        self.batches[rows] = self.batches.get(rows, 0) + 1

    def __str__(self) -> str:
        running = self.seconds.get("run", 0.0)
        sizes = ", ".join(f"{size} ({calls} x)" for size, calls in sorted(self.batches.items(), reverse=True))
        lines = [
            ("device", f"{self.device or 'unknown'}{', ' + self.precision if self.precision else ''}"),
            *((f"{phase}", f"{seconds:.3g} s") for phase, seconds in self.seconds.items()),
            ("rows", f"{self.rows}" + (f", {self.rows / running:.3g} a second" if running else "")),
            ("batch sizes", sizes or "none"),
            ("peak memory", in_words(self.peak_memory)),
        ]
        if self.too_large:
            lines.insert(-1, ("did not fit", ", ".join(map(str, self.too_large))))
        if self.interrupted:
            lines.append(("interrupted", "yes: only what was finished is returned"))
        return "\n".join(f"{name:<14} {value}" for name, value in lines)
