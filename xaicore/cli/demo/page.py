"""The page of the demo: what was done, what one sees, and how far each method can be trusted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

import xaicore
from xaicore.cli.demo.methods import Run
from xaicore.cli.demo.training import TRAINED_ON, Mistakes

_TOLD = ("number", "true", "predicted", "confidence", "predicted_score", "true_score")


@dataclass(frozen=True)
class Story:
    """What the demo did, for the page."""

    seed: int
    accuracy: float
    tested: int
    wrong: int
    mistakes: Mistakes
    layers: int
    figures: Sequence[str]  # one a digit
    overview: str
    example: str  # the method to try first


def render(story: Story, runs: Sequence[Run]) -> str:
    """Return the page as HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(files(__package__).joinpath("index.html.jinja").read_text(encoding="utf-8"))
    return template.render(
        story=story,
        trained=TRAINED_ON,
        digits=_digits(story),
        example=story.example,
        done=[_row(run, run.explanation) for run in runs if run.explanation is not None],
        left_out=[run for run in runs if run.explanation is None],
        version=xaicore.__version__,
    )


def _digits(story: Story) -> list[dict[str, Any]]:
    mistakes = story.mistakes
    columns = {name: getattr(mistakes, name).tolist() for name in _TOLD}
    return [
        {"figure": figure} | {name: column[place] for name, column in columns.items()}
        for place, figure in enumerate(story.figures)
    ]


def _row(run: Run, explanation: xaicore.Explanation) -> dict[str, Any]:
    checks = explanation.diagnostics
    gap = checks.conservation_gap
    return {
        "name": run.spec.name,
        "summary": run.spec.summary,
        "sources": "; ".join(run.spec.sources),
        "parameters": ", ".join(f"{name}={value!r}" for name, value in explanation.parameters.items()),
        "typical_gap": None if gap is None else float(gap.median()),
        "worst_gap": None if gap is None else float(gap.max()),
        "milliseconds": 1000 * run.seconds,
        "non_finite": checks.non_finite,
        "file": f"explanations/{run.spec.name}.safetensors",
    }
