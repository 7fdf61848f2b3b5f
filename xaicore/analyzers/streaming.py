"""What every `analyze` does with its arguments: refuses unknown options, and takes streams batch by batch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import torch

from xaicore.analyzers.jobs import engine_of
from xaicore.engine import Engine, progress_bar
from xaicore.engine.interrupts import Interrupts
from xaicore.engine.streams import Batch, ahead, batches_of, is_stream, length_of, pinned
from xaicore.errors import InputError, ParameterError, TargetError, nearest
from xaicore.explanation import Explanation

Analyze = TypeVar("Analyze", bound=Callable[..., Explanation])


def streamed(analyze: Analyze) -> Analyze:
    """Let a method ``analyze(self, inputs, target=None, *, engine=..., **options)`` take streams of batches too.

    The explanations of the batches are joined to one; after Ctrl-C, those that are finished.
    """
    known = [p.name for p in inspect.signature(analyze).parameters.values() if p.kind is p.KEYWORD_ONLY]
    takes_more = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(analyze).parameters.values())

    @functools.wraps(analyze)
    def wrapper(self: Any, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        if not takes_more:
            _refuse_unknown(self, options, known)
        if not is_stream(inputs):
            return analyze(self, inputs, target, **options)
        parts = list(explained_batches(self, inputs, target, **options))
        if not parts:
            raise InputError("There is nothing to explain: the stream of inputs holds no batch.")
        return Explanation.concat(parts)

    return wrapper  # type: ignore[return-value]


def explained_batches(
    analyzer: Any, stream: Iterable[Any], target: Any = None, **options: Any
) -> Iterator[Explanation]:
    """Explain a stream batch by batch; nothing but the batch at hand is kept."""
    engine = engine_of(options)
    inner = engine.within()
    batches = batches_of(stream)
    if _device_of(analyzer.model).type == "cuda":
        batches = ahead(batches, pinned)
    total = length_of(stream)
    with Interrupts() as interrupts, progress_bar(total, show=engine.progress, unit="batch") as bar:
        for number, batch in enumerate(batches):
            try:
                if interrupts.asked:  # while this batch was fetched
                    raise KeyboardInterrupt
                explanation = _explained(analyzer, batch, target, inner, options)
            except KeyboardInterrupt:
                if not number:
                    raise
                engine.report.interrupted = True
                return
            bar.update(1)
            yield explanation
            if interrupts.asked and number + 1 != total:
                engine.report.interrupted = True
                return


def _explained(analyzer: Any, batch: Batch, target: Any, engine: Engine, options: dict[str, Any]) -> Explanation:
    if batch.target is not None and target is not None:
        raise TargetError("The batches bring targets of their own: leave target= out.")
    chosen = target if batch.target is None else batch.target
    found: Explanation = analyzer.analyze(batch.inputs, chosen, engine=engine, **options)
    return found


def _device_of(model: Any) -> torch.device:
    first = next(model.parameters(), None) if isinstance(model, torch.nn.Module) else None
    return torch.device("cpu") if first is None else first.device


def _refuse_unknown(analyzer: Any, options: dict[str, Any], known: list[str]) -> None:
    for name in options:
        if name not in known:
            raise ParameterError(
                f"{analyzer.method}: analyze has no option '{name}' (it has: {', '.join(known)})."
                f"{nearest(name, known)} Parameters of the method are given when it is created."
            )
