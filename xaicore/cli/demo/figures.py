"""The figures of the demo: an overview of a few methods, and every method on each digit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from matplotlib.figure import Figure
from torch import Tensor

import xaicore
from xaicore.cli.demo.methods import Run
from xaicore.cli.demo.training import Mistakes
from xaicore.visualization import grid

_IN_THE_OVERVIEW = 6
_TELLING = (
    "lrp.epsilon_plus",
    "lrp.epsilon_gamma_box",
    "lrp.epsilon",
    "gradients.saliency",
    "gradients.input_x_gradient",
    "gradients.guided_backprop",
)
"""Methods that differ much from each other; the overview shows those of them that are installed, then others."""


def overview(mistakes: Mistakes, explanations: dict[str, xaicore.Explanation]) -> Figure:
    """Draw all digits under a few methods: two rows a digit, for the predicted and for the true class."""
    chosen = sorted(most_telling(explanations)[:_IN_THE_OVERVIEW], key=list(explanations).index)
    return grid(
        twice(mistakes.images),
        {name: explanations[name] for name in chosen},
        true=twice(mistakes.true),
        score="softmax",
        title="Misread digits: evidence for the predicted and for the true class",
        footer=f"red speaks for the explained class, blue against it · xaicore {xaicore.__version__}",
    )


def every_method(number: int, mistakes: Mistakes, explanations: dict[str, xaicore.Explanation]) -> Figure:
    """Draw one digit under all methods."""
    rows = [2 * number, 2 * number + 1]
    return grid(
        mistakes.images[number].expand(2, -1, -1, -1),
        {name: explanation[rows] for name, explanation in explanations.items()},
        true=mistakes.true[number].repeat(2),
        score="softmax",
        wrap=9,
        footer=f"red speaks for the explained class, blue against it · xaicore {xaicore.__version__}",
    )


def most_telling(explanations: dict[str, xaicore.Explanation]) -> list[str]:
    """Return the names of the methods, best first."""
    first = [name for name in _TELLING if name in explanations]
    return [*first, *(name for name in explanations if name not in first)]


def twice(each: Tensor) -> Tensor:
    """Repeat every digit: once for the predicted class, once for the true one."""
    return each.repeat_interleave(2, 0)


def both_classes(mistakes: Mistakes) -> list[int]:
    """Return the classes to explain: of each digit the predicted one, then the true one."""
    return torch.stack([mistakes.predicted, mistakes.true], 1).flatten().tolist()


def of_runs(runs: Sequence[Run]) -> dict[str, xaicore.Explanation]:
    """Return the explanations of the methods that gave one, by canonical name."""
    return {run.spec.name: run.explanation for run in runs if run.explanation is not None}
