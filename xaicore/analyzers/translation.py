"""Averaging explanations over small translations of the input, against noise that depends on the exact position."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers.base import Analyzer
from xaicore.analyzers.meta import MetaAnalyzer
from xaicore.analyzers.sizes import a_number_each, integer
from xaicore.analyzers.streaming import streamed
from xaicore.analyzers.targets import resolve_target
from xaicore.analyzers.views import Subject, check_options, explain_views
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError, nearest
from xaicore.explanation import Explanation

MODES = ("replicate", "reflect", "constant")


class TranslationAverage(MetaAnalyzer):
    """The mean of a method's explanations of translated copies of the input, each moved back before it is added.

    Copies are moved by up to ``shifts`` positions along each dimension behind the channels. What is explained is the
    mean of the scores of the copies, and the relevance of each copy goes back to where its values came from: that of a
    border position that was filled with a copy of another one belongs to that one. So the sum is kept, and the
    averaged gradient is the gradient of the averaged score. Only what lands on a ``constant`` border came from
    nowhere in the input; it is lost, and a note tells how much that is.

    The class is the one predicted for the input as it is, for all copies, unless a target is given.

    Parameters
    ----------
    analyzer : Analyzer
        Any method, such as ``xaicore.create_analyzer("lrp.epsilon", model)``.
    shifts : int or sequence of int
        The largest shift, in positions; one for all dimensions behind the channels, or one each (0: not moved).
    stride : int
        The step between shifts: 0, stride, 2 * stride, ... in both directions.
    samples : int, optional
        Take this many of the shifts at random, without repeating one. Default: all of them.
    seed : int
        Of the random choice.
    mode : {'replicate', 'reflect', 'constant'}
        What fills the border that a copy leaves open: the nearest values, their mirror image, or ``value``.
    value : float
        What a constant border is filled with, in the units of the input.

    References
    ----------
    Montavon, Samek and Mueller 2018, "Methods for interpreting and understanding deep neural networks", where
    translations of the input are averaged over against shattered explanations.

    Examples
    --------
    >>> denoised = TranslationAverage(create_analyzer("lrp.epsilon", model), shifts=2)  # doctest: +SKIP
    >>> denoised.analyze(x).plot()  # doctest: +SKIP
    """

    name = "translation_average"

    def __init__(
        self,
        analyzer: Analyzer,
        *,
        shifts: int | Sequence[int] = 2,
        stride: int = 1,
        samples: int | None = None,
        seed: int = 0,
        mode: str = "replicate",
        value: float = 0.0,
    ) -> None:
        super().__init__(analyzer)
        a_number_each("shifts", shifts, least=0)
        integer("stride", stride, least=1)
        if samples is not None:
            integer("samples", samples, least=1)
        if mode not in MODES:
            raise ParameterError(f"mode={mode!r}: there is no such border.{nearest(str(mode), MODES)} One of {MODES}.")
        self.shifts, self.stride, self.samples, self.seed = shifts, stride, samples, seed
        self.mode, self.value = mode, value

    def translations(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """The shifts of an input of this shape, (B, C, ...), in the order in which they are run."""
        sizes = list(shape[2:])
        largest = a_number_each("shifts", self.shifts, len(sizes))
        for size, reach in zip(sizes, largest, strict=True):
            if reach >= size:
                raise InputError(f"an input of shape {tuple(shape)} cannot be moved by {reach} positions: give less")
        steps = [range(-(reach // self.stride) * self.stride, reach + 1, self.stride) for reach in largest]
        every = list(itertools.product(*steps))
        if self.samples is None or self.samples >= len(every):
            return every
        return random.Random(self.seed).sample(every, self.samples)

    def predict(self, inputs: Any, *, output: str | int | None = None) -> Tensor:
        """The output for the input as it is, (B, ...)."""
        return self.wrapped.predict(inputs, output=output)

    @streamed
    def analyze(
        self,
        inputs: Any,
        target: Any = None,
        *,
        output: str | int | None = None,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        engine: Engine | None = None,
        **options: Any,
    ) -> Explanation:
        """Explain the mean score of the translated copies of the inputs.

        Parameters
        ----------
        inputs : Tensor or array, (B, C, ...)
            The only input of the model, floating-point.
        target, output, **options
            As the wrapped analyzer takes them, but for ``layer`` and ``record``. No target: the class that is
            predicted for the input as it is.
        batch_size : int, 'auto' or None
            Run this many copies at a time. ``'auto'``: one copy of each sample. None: all.
        progress : bool, optional
            A progress bar. Default: where it takes more than one batch and there is a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.

        Returns
        -------
        Explanation
            Its ``prediction`` is the mean output over the copies, and the explained value the mean score.

        Raises
        ------
        InputError, ParameterError
            For inputs without dimensions to move along, or too small; for options that name inner layers.
        """
        engine = Engine.of(engine, batch_size, progress)
        check_options(options, type(self).__name__)
        subject = Subject.of(inputs, type(self).__name__)
        views = [Translation(by, self.mode, self.value) for by in self.translations(subject.tensor.shape)]
        fixed = resolve_target(target, output).fixed(lambda: self.predict(inputs, output=output))
        seen = explain_views(self.wrapped, subject, views, fixed, engine, **options)
        explanation = seen.explanation(self, subject.tensor, 1 / len(views))
        if self.mode == "constant":
            # What the copies had in all, less what came back to the input.
            lost = seen.diagnostics.relevance_sum.sum() / len(views) - explanation.diagnostics.relevance_sum.sum()
            explanation.diagnostics.notes.append(
                f"relevance on the constant border, which came from nowhere in the inputs: {float(lost):.4g}, summed "
                "over the batch"
            )
        return explanation


@dataclass(frozen=True)
class Translation:
    """A copy of the input moved along its dimensions behind the channels; see `views.View`."""

    by: tuple[int, ...]
    mode: str
    value: float

    def take(self, x: Tensor) -> Tensor:
        for dim, shift in enumerate(self.by, start=2):
            source, inside = self._source(x.shape[dim], shift, x)
            x = x.index_select(dim, source)
            if self.mode == "constant":
                x = torch.where(_along(dim, inside, x.ndim), x, torch.full_like(x, self.value))
        return x

    def give_back(self, relevance: Tensor, total: Tensor) -> None:
        for dim, shift in enumerate(self.by, start=2):
            source, inside = self._source(relevance.shape[dim], shift, relevance)
            if self.mode == "constant":
                relevance = torch.where(_along(dim, inside, relevance.ndim), relevance, torch.zeros_like(relevance))
            relevance = torch.zeros_like(relevance).index_add(dim, source, relevance)
        total += relevance

    def _source(self, size: int, shift: int, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where each position of the copy has its value from, and whether that is not a filled border."""
        wanted = torch.arange(size, device=like.device) - shift
        if self.mode == "reflect":
            source = wanted.abs()
            source = torch.where(source < size, source, 2 * (size - 1) - source)
        else:
            source = wanted.clamp(0, size - 1)
        return source, (wanted >= 0) & (wanted < size)


def _along(dim: int, flags: Tensor, rank: int) -> Tensor:
    """Flags of one dimension, shaped to broadcast over a tensor of this rank."""
    return flags.view(-1, *[1] * (rank - dim - 1))
