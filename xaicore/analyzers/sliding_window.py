"""Explaining inputs that are larger than what the model takes, window by window."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from xaicore.analyzers.base import Analyzer
from xaicore.analyzers.meta import MetaAnalyzer
from xaicore.analyzers.quantities import Predicted
from xaicore.analyzers.sizes import a_number_each
from xaicore.analyzers.streaming import streamed
from xaicore.analyzers.targets import resolve_target
from xaicore.analyzers.views import Subject, check_options, explain_views, predict_views
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError, nearest
from xaicore.explanation import Explanation

CLASSES = ("image", "window")


class SlidingWindow(MetaAnalyzer):
    """The sum of a method's explanations of all windows of a larger input: an explanation of the summed score.

    Windows lie ``stride`` positions apart; the last one ends at the border, so that everything is seen. Where windows
    overlap their relevance is added. One class is explained in all windows of a sample: without a target, the one
    whose scores sum to most over the windows.

    Parameters
    ----------
    analyzer : Analyzer
        Any method, for a model that takes inputs of the size of the window.
    window : int or sequence of int
        The size of a window; one for all dimensions behind the channels, or one each.
    stride : int or sequence of int, optional
        How far windows lie apart, at most a window. Default: as far as a window is large, so that only the last ones
        overlap others.
    predicted : {'image', 'window'}
        Whose class is explained where no target is given: one for the whole sample, or each window's own.

    Examples
    --------
    >>> scan = SlidingWindow(create_analyzer("lrp.epsilon", model), window=(224, 224), stride=112)  # doctest: +SKIP
    >>> scan.analyze(photo, batch_size=16).relevance.shape  # doctest: +SKIP
    torch.Size([1, 3, 1200, 1600])
    """

    name = "sliding_window"

    def __init__(
        self,
        analyzer: Analyzer,
        *,
        window: int | Sequence[int] = 224,
        stride: int | Sequence[int] | None = None,
        predicted: str = "image",
    ) -> None:
        super().__init__(analyzer)
        a_number_each("window", window, least=1)
        if stride is not None:
            a_number_each("stride", stride, least=1)
        if predicted not in CLASSES:
            raise ParameterError(f"predicted={predicted!r}: one of {CLASSES}.{nearest(str(predicted), CLASSES)}")
        self.window, self.stride, self.predicted = window, stride, predicted

    def corners(self, shape: Sequence[int]) -> list[tuple[int, ...]]:
        """Where the windows of an input of this shape, (B, C, ...), begin, in the order in which they are run."""
        sizes = list(shape[2:])
        windows = a_number_each("window", self.window, len(sizes))
        strides = windows if self.stride is None else a_number_each("stride", self.stride, len(sizes))
        for size, window, stride in zip(sizes, windows, strides, strict=True):
            if window > size:
                raise InputError(
                    f"the input has shape {tuple(shape)}, less than a window of {tuple(windows)} behind the channels: "
                    "explain it without windows, or choose smaller ones"
                )
            if stride > window:
                raise InputError(f"a stride of {stride} leaves gaps between windows of {window}: give {window} or less")
        return list(itertools.product(*map(_starts, sizes, windows, strides)))

    def predict(self, inputs: Any, *, output: str | int | None = None, batch_size: int | str | None = "auto") -> Tensor:
        """The sum of the outputs of all windows, (B, ...)."""
        subject = Subject.of(inputs, type(self).__name__)
        return predict_views(self.wrapped, subject, self._views(subject), output, Engine(batch_size))

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
        """Explain the score of the target, summed over all windows.

        Parameters
        ----------
        inputs : Tensor or array, (B, C, ...)
            The only input of the model, floating-point, at least as large as a window.
        target, output, **options
            As the wrapped analyzer takes them, but for ``layer`` and ``record``. No target: see ``predicted``; the one
            class of a sample costs a forward pass over the windows beforehand.
        batch_size : int, 'auto' or None
            Run this many windows at a time. ``'auto'``: one window of each sample. None: all.
        progress : bool, optional
            A progress bar. Default: where it takes more than one batch and there is a terminal.
        engine : Engine, optional
            More settings (precision, memory limit), and the report of what was run.

        Returns
        -------
        Explanation
            Its ``prediction`` is the sum of the outputs over the windows, and the explained value the summed score.

        Raises
        ------
        InputError, ParameterError
            For inputs smaller than a window; for a stride that leaves gaps; for options that name inner layers.
        """
        engine = Engine.of(engine, batch_size, progress)
        check_options(options, type(self).__name__)
        subject = Subject.of(inputs, type(self).__name__)
        views = self._views(subject)
        chosen = resolve_target(target, output)
        own_classes = self.predicted == "window" and isinstance(chosen, Predicted)
        if not own_classes:
            chosen = chosen.fixed(lambda: self.predict(inputs, output=output, batch_size=engine.batch_size))
        seen = explain_views(self.wrapped, subject, views, chosen, engine, **options)
        samples = len(subject.tensor)
        several = {"kind": "mixed", "labels": ["each window's own"] * samples, "index": [None] * samples}
        return seen.explanation(self, subject.tensor, 1.0, **(several if own_classes else {}))

    def _views(self, subject: Subject) -> list[Window]:
        shape = subject.tensor.shape
        windows = a_number_each("window", self.window, len(shape) - 2)
        return [
            Window(tuple(slice(start, start + size) for start, size in zip(corner, windows, strict=True)))
            for corner in self.corners(shape)
        ]


@dataclass(frozen=True)
class Window:
    """A window of the input; see `views.View`."""

    slices: tuple[slice, ...]

    def take(self, x: Tensor) -> Tensor:
        return x[(slice(None), slice(None), *self.slices)]

    def give_back(self, relevance: Tensor, total: Tensor) -> None:
        total[(slice(None), slice(None), *self.slices)] += relevance


def _starts(size: int, window: int, stride: int) -> list[int]:
    """The starts of the windows along one dimension; the last window ends at the border."""
    starts = list(range(0, size - window + 1, stride))
    return starts if starts[-1] == size - window else [*starts, size - window]
