"""The engine: decides how work is run, and runs it in pieces that fit."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, Self, TypeVar

import torch
from torch import nn

from xaicore.engine.blocks import Block
from xaicore.engine.inputs import Inputs
from xaicore.engine.memory import Footprint, free_memory, parse_bytes
from xaicore.engine.preparation import prepare
from xaicore.engine.report import Report
from xaicore.engine.sweep import Sweep
from xaicore.errors import ParameterError, nearest


class Divisible(Protocol):
    """What accompanies the inputs sample by sample and splits with them: a target."""

    def chunk(self, start: int, stop: int, total: int) -> Self:
        """Return the part for the samples from `start` to `stop` of `total`."""
        ...


Result = TypeVar("Result")
PerSample = TypeVar("PerSample", bound=Divisible)

_PRECISIONS = {
    None: None,
    "float32": None,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_SHARE_OF_FREE = 0.5
_MOST_ROWS = {"cpu": 16384, "cuda": 65536}
# The largest tensor of a batch. On a CPU, memory beyond 32 MiB is fetched from the system anew each time, which takes
# longer than a larger batch saves: measured on networks from two convolutions to ResNet50.
_LARGEST_TENSOR = {"cpu": 26 * 2**20, "cuda": 2**30}


class Engine:
    """How work is run: batch size, precision, compilation, memory, progress; and what it took.

    Pass one to ``analyze(..., engine=)`` to set more than the batch size, or to read `report` afterwards.

    Parameters
    ----------
    batch_size : int, 'auto' or None
        Most rows in one run of the model; a row is one sample, or one variation of a sample for methods that need
        many. ``'auto'``: estimated from the shapes of the graph and the free memory. None: all samples at once.
        In every case a batch for which memory runs out is halved and tried again.
    progress : bool, optional
        None: a progress bar where there is more than one batch and stderr is a terminal. True: always. False: never.
    precision : {None, 'float32', 'bfloat16', 'float16'}
        Type in which linear layers and convolutions compute, by `torch.autocast`; ``'float32'``: without autocast, also
        where the caller has it on. Default: as the caller has it.
    compile : bool or str
        As in ``PropagationAnalyzer.analyze``.
    memory_limit : int or str, optional
        Most memory that the engine plans with, in bytes or as ``"500 MB"``. Default: what is free.

    Attributes
    ----------
    report : Report
        Time by phase, batch sizes, peak memory.

    Examples
    --------
    >>> engine = Engine(precision="bfloat16", memory_limit="4 GB")
    >>> explanation = analyzer.analyze(x, engine=engine)  # doctest: +SKIP
    >>> print(engine.report)  # doctest: +SKIP
    """

    def __init__(
        self,
        batch_size: int | str | None = "auto",
        progress: bool | None = None,
        *,
        precision: str | None = None,
        compile: bool | str = False,
        memory_limit: int | str | None = None,
    ) -> None:
        self.batch_size = _checked(batch_size)
        self.progress = progress
        if precision not in _PRECISIONS:
            known = [name for name in _PRECISIONS if name]
            raise ParameterError(
                f"precision={precision!r}: choose one of {', '.join(known)}, or None for the model's own."
                f"{nearest(str(precision), known)}"
            )
        self.precision = precision
        self.compile = compile
        self.memory_limit = parse_bytes(memory_limit)
        self.report = Report(precision=precision or "")
        self.most_rows: int | None = None
        """The largest batch that memory allowed, where it has run out once."""
        self.nested = False
        """Whether another engine runs this one: then Ctrl-C is passed on, since half a result is none."""

    @classmethod
    def of(cls, engine: Engine | None, batch_size: int | str | None = "auto", progress: bool | None = None) -> Engine:
        """The engine that was passed, or one with these settings; refuses both at once."""
        if engine is None:
            return cls(batch_size, progress)
        if not isinstance(engine, Engine):
            raise ParameterError(f"engine={engine!r} is no xaicore.Engine")
        if batch_size != "auto" or progress is not None:
            raise ParameterError("Give batch_size= and progress= to the engine, or leave engine= out: not both.")
        return engine

    def prepare(self, inputs: Any, model: nn.Module, *, tracked: bool = False) -> Inputs:
        """Make the arguments of a call of `model` from what a user passed; see `xaicore.engine.prepare`."""
        with self.report.phase("prepare"):
            return prepare(inputs, model, tracked=tracked)

    def within(self, *, batch_size: int | str | None = "same", nested: bool = True) -> Engine:
        """An engine for work inside this one's: the same settings and the same report, without a progress bar."""
        inner = Engine(
            self.batch_size if batch_size == "same" else batch_size,
            False,
            precision=self.precision,
            compile=self.compile,
            memory_limit=self.memory_limit,
        )
        inner.report, inner.most_rows, inner.nested = self.report, self.most_rows, nested
        return inner

    def rows(self, footprint: Footprint | None, device: torch.device) -> int | None:
        """Most rows to run at once, when each takes this much memory; None: no limit."""
        chosen: int | None
        if isinstance(self.batch_size, int) or self.batch_size is None:
            chosen = self.batch_size
        elif footprint is None:
            chosen = None
        else:
            free = free_memory(device)
            room = self.memory_limit or (None if free is None else free * _SHARE_OF_FREE)
            limits = [
                _MOST_ROWS.get(device.type, _MOST_ROWS["cpu"]),
                _LARGEST_TENSOR.get(device.type, _LARGEST_TENSOR["cpu"]) // max(1, footprint.largest),
                *([] if room is None else [int(room // max(1, footprint.total))]),
            ]
            chosen = max(1, min(limits))
        return min((each for each in (chosen, self.most_rows) if each is not None), default=None)

    def sweep(
        self,
        samples: int,
        steps: int,
        function: Callable[[Block], Result],
        *,
        device: torch.device | str = "cpu",
        footprint: Footprint | None = None,
        unit: str = "row",
        divisible: bool = True,
        outer: bool = False,
    ) -> Sweep[Result]:
        """Run ``function`` over all steps of all samples, block by block; see `Sweep`, which is iterated over.

        Parameters
        ----------
        samples, steps : int
            Size of the whole.
        function : callable
            Given a `Block`, makes its rows, runs them and returns something that does not hold on to them.
        device : torch.device
            Where it computes.
        footprint : Footprint, optional
            About how much memory a row takes while it is run.
        unit : str
            What a row is, for the progress bar.
        divisible : bool
            Whether samples may be run apart from each other.
        outer : bool
            Whether ``function`` runs the model on an engine of its own (see `within`), which then sets the precision
            and reports time and batches.
        """
        return Sweep(self, samples, steps, function, torch.device(device), footprint, unit, divisible, outer)

    def run(
        self,
        function: Callable[[Inputs, PerSample], Result],
        inputs: Inputs,
        target: PerSample,
        *,
        footprint: Footprint | None = None,
        divisible: bool = True,
    ) -> list[Result]:
        """Return what `function` returns for each batch, in order; after Ctrl-C, for the batches that were finished."""
        total = inputs.batch
        device = next(iter(inputs.tensors().values())).device

        def run_block(block: Block) -> Result:
            part = inputs if block.samples == total else inputs.slice(block.start, block.stop)
            return function(part, target.chunk(block.start, block.stop, total))

        sweep = self.sweep(total, 1, run_block, device=device, footprint=footprint, unit="sample", divisible=divisible)
        return [result for _, result in sweep]

    @contextmanager
    def computing(self, device: torch.device) -> Iterator[None]:
        """The settings under which the model computes."""
        dtype = _PRECISIONS[self.precision]
        if self.precision is None:
            yield
            return
        with torch.autocast(device.type, dtype, enabled=dtype is not None):
            yield


def _checked(batch_size: int | str | None) -> int | str | None:
    if batch_size is None or batch_size == "auto":
        return batch_size
    try:
        size = operator.index(batch_size)  # type: ignore[arg-type]
    except TypeError:
        size = 0
    if isinstance(batch_size, bool) or size < 1:
        raise ParameterError(
            f"batch_size must be a positive integer, 'auto' or None (all at once), not {batch_size!r}."
        )
    return size
