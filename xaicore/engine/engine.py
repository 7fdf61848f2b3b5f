"""The engine: runs a function over a batch, in pieces where it is told to."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any, Protocol, Self, TypeVar

from torch import nn

from xaicore.engine.inputs import Inputs
from xaicore.engine.preparation import prepare
from xaicore.engine.progress import progress_bar
from xaicore.errors import ParameterError


class Divisible(Protocol):
    """What accompanies the inputs sample by sample and splits with them: a target."""

    def chunk(self, start: int, stop: int, total: int) -> Self:
        """Return the part for the samples from `start` to `stop` of `total`."""
        ...


Result = TypeVar("Result")
PerSample = TypeVar("PerSample", bound=Divisible)


class Engine:
    """Runs a function over inputs, batch by batch.

    Parameters
    ----------
    batch_size
        Most samples in one call of the function; None: all at once.
    progress
        None: a progress bar where there is more than one batch and stderr is a terminal. True: always. False: never.
    """

    def __init__(self, batch_size: int | None = None, progress: bool | None = None) -> None:
        self.batch_size = _checked(batch_size)
        self.progress = progress

    def prepare(self, inputs: Any, model: nn.Module, *, tracked: bool = False) -> Inputs:
        """Make the arguments of a call of `model` from what a user passed; see `xaicore.engine.prepare`."""
        return prepare(inputs, model, tracked=tracked)

    def chunks(self, inputs: Inputs, target: PerSample) -> Iterator[tuple[Inputs, PerSample]]:
        """Yield inputs and target, at most `batch_size` samples at a time."""
        total = inputs.batch
        size = self.batch_size or total
        for start in range(0, total, size):
            stop = min(start + size, total)
            yield (inputs if size >= total else inputs.slice(start, stop)), target.chunk(start, stop, total)

    def run(self, function: Callable[[Inputs, PerSample], Result], inputs: Inputs, target: PerSample) -> list[Result]:
        """Return what `function` returns for each batch, in order."""
        total = inputs.batch
        one_batch = self.batch_size is None or self.batch_size >= total
        show = False if one_batch and self.progress is None else self.progress
        results = []
        with progress_bar(total, show=show) as bar:
            for part, part_target in self.chunks(inputs, target):
                results.append(function(part, part_target))
                bar.update(part.batch)
        return results


def _checked(batch_size: int | None) -> int | None:
    if batch_size is None:
        return None
    try:
        size = operator.index(batch_size)
    except TypeError:
        size = 0
    if isinstance(batch_size, bool) or size < 1:
        raise ParameterError(f"batch_size must be a positive integer or None (all at once), not {batch_size!r}.")
    return size
