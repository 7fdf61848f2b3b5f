"""How continuous an explanation is: its largest change by that of the input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from xai_evaluation.parameters import check_choice, check_count, check_flag, check_number, check_seed, check_size
from xai_evaluation.robustness.changes import changes
from xai_evaluation.robustness.neighbours import DISTRIBUTIONS, Given, Neighbours, Noisy, Translated
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import Case, Metric, Scores

_FILLS = ("replicate", "reflect")
_WORDS = ("noise", "translation")


class Continuity(Metric):
    """The largest change of relevance by change of the input: ``max |R(x) - R(x')|_1 / |x - x'|_2``.

    The maximum is over neighbours x' of each sample x: copies with noise, or neighbours that are given. Along a
    translation x is moved step by step in each direction, and each position is compared with the one before it; where
    it is moved by a single step, that is the sample itself. Nearly equal inputs should have nearly equal explanations,
    so lower is better. The value has the units of relevance by those of the input: methods whose relevance is on
    different scales are compared with ``normalize=True``, by ``|R(x)|_1`` of the sample.

    A neighbour that equals the sample (0 / 0) is left out, and a note says so. NaN where no other is left, and
    where relevance is not finite. ``details["ratios"]`` (B, K) has the ratio of every neighbour.

    Parameters
    ----------
    neighbours : {'noise', 'translation'}, tensor, dict of tensors, or callable
        Tensors (B, K, ...) with K neighbours a sample, or (B, ...) with one; several inputs: a dict by name. A callable
        is given the inputs and returns such tensors.
    samples : int
        How many noisy copies.
    noise : float
        Standard deviation of normal noise, largest value of uniform noise.
    distribution : {'normal', 'uniform'}
    relative : bool
        Noise as a share of the range of each sample (largest minus smallest value); False: in units of the input.
    seed : int
        Of the noise.
    directions : sequence of tuples of int
        How far a step of the translation goes, in positions along each dimension behind the channels; for images
        (down, right).
    shifts : int
        How many steps are taken in each direction.
    fill : float, 'replicate' or 'reflect'
        What fills the border that a translation leaves open: a value, the nearest values, or their mirror image.
    explained : {'same', 'predicted'}
        Whether the explained class is that of the sample for all neighbours, or the one predicted for each.
    normalize : bool
        By the sum of the magnitudes of the relevance of the sample; NaN where that is 0.

    References
    ----------
    Montavon, Samek and Mueller 2018, "Methods for interpreting and understanding deep neural networks", sec. 7.1.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(
        self,
        *,
        neighbours: Any = "noise",
        samples: int = 10,
        noise: float = 0.05,
        distribution: str = "normal",
        relative: bool = True,
        seed: int = 0,
        directions: Sequence[tuple[int, ...]] = ((0, 1),),
        shifts: int = 4,
        fill: float | str = 0.0,
        explained: str = "same",
        normalize: bool = False,
    ) -> None:
        if isinstance(neighbours, str):
            check_choice("neighbours", neighbours, _WORDS)
        check_count("samples", samples)
        check_size("noise", noise, "the size of the noise")
        check_choice("distribution", distribution, DISTRIBUTIONS)
        check_flag("relative", relative)
        check_seed(seed)
        _check_directions(directions)
        check_count("shifts", shifts)
        if isinstance(fill, str):
            check_choice("fill", fill, _FILLS)
        else:
            check_number("fill", fill, f"or one of {', '.join(_FILLS)}")
        check_choice("explained", explained, ("same", "predicted"))
        check_flag("normalize", normalize)
        self.neighbours, self.samples, self.noise, self.distribution = neighbours, samples, noise, distribution
        self.relative, self.seed, self.directions, self.shifts = relative, seed, directions, shifts
        self.fill, self.explained, self.normalize = fill, explained, normalize

    def score(self, case: Case) -> Scores:
        found = changes(case, self._neighbours(case), 1.0, predicted=self.explained == "predicted")
        undefined, why = found.undefined(self.normalize)
        found = found.normalised() if self.normalize else found
        values, notes = found.largest_ratio()
        values = values.masked_fill(undefined, torch.nan)
        return self.scores(values, details={"ratios": found.ratios()}, notes=[*notes, *why])

    def _neighbours(self, case: Case) -> Neighbours:
        if not isinstance(self.neighbours, str):
            return Given(case.varied, self.neighbours)
        if self.neighbours == "noise":
            return Noisy(
                case.varied,
                size=self.noise,
                distribution=self.distribution,
                relative=self.relative,
                samples=self.samples,
                seed=self.seed,
            )
        if len(case.varied) != 1:
            raise InputError(
                f"continuity along a translation is of one input; the model has {', '.join(map(repr, case.varied))}: "
                "give neighbours="
            )
        ((name, x),) = case.varied.items()
        if not x.is_floating_point():
            raise InputError(f"a translation moves floating-point inputs; {name!r} is of type {x.dtype}")
        return Translated(name, x, directions=self.directions, shifts=self.shifts, fill=self.fill)


def _check_directions(directions: Any) -> None:
    steps = list(directions) if isinstance(directions, Sequence) and not isinstance(directions, str) else []
    for step in steps:
        if not isinstance(step, Sequence) or not any(step) or any(type(by) is not int for by in step):
            steps = []
            break
    if not steps:
        raise ParameterError(
            f"directions={directions!r} must be a list of steps, with one integer for each dimension behind the "
            "channels and not all 0, such as [(0, 1), (1, 0)] for an image to the right and down"
        )
