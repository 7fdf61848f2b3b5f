"""The report of the demo: every method on every digit, to look through in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from xaicore.cli.demo.figures import of_runs, twice
from xaicore.cli.demo.methods import Run
from xaicore.cli.demo.training import TRAINED_ON, Mistakes
from xaicore.reports import Report, TableView, facts_about, sample_views, write_report


def write(path: Path, model: nn.Module, mistakes: Mistakes, runs: Sequence[Run], seed: int, most: int) -> Path:
    """Write the report; each digit is there twice, explained for the predicted and for the true class."""
    data = f"scikit-learn's digits, {TRAINED_ON} to train on; numbers {', '.join(map(str, mistakes.number.tolist()))}"
    return write_report(
        Report(
            title="Digits that a small network misreads",
            lead="Each digit is explained for the class that the network predicted and for the class that it missed.",
            facts=facts_about(model, weights="model.safetensors", data=data, seed=seed),
            command=f"xaicore demo --seed {seed} --digits {most}",
            samples=sample_views(
                of_runs(runs), inputs=twice(mistakes.images), names=_names(mistakes), true=twice(mistakes.true)
            ),
            tables=[_methods(runs)],
        ),
        path,
    )


def _names(mistakes: Mistakes) -> list[str]:
    pairs = zip(mistakes.number.tolist(), mistakes.true.tolist(), mistakes.predicted.tolist(), strict=True)
    return [
        f"digit {number}: {what}"
        for number, true, predicted in pairs
        for what in (f"why {predicted}, as predicted", f"why {true}, as it should be")
    ]


def _methods(runs: Sequence[Run]) -> TableView:
    rows: list[tuple[str | float | None, ...]] = []
    for run in runs:
        gap = None if run.explanation is None else run.explanation.diagnostics.conservation_gap
        gaps = (None, None) if gap is None else (float(gap.median()), float(gap.max()))
        seconds = None if run.explanation is None else run.seconds
        rows.append((run.spec.name, run.spec.summary if run.explanation else f"left out: {run.reason}", *gaps, seconds))
    return TableView(
        title="Methods",
        columns=["method", "what it does", "gap, typical", "gap, worst", "seconds"],
        rows=rows,
        caption="The conservation gap is the share of the output that is not found in the pixels, because biases and "
        "stabilizers absorbed it. Seconds are for all digits together.",
    )
