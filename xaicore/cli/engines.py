"""Options that say how work is run: batch size, precision, memory, device."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from torch import nn

    from xaicore.analyzers import Analyzer
    from xaicore.engine import Engine

_SAMPLES = {"cpu": 32, "cuda": 256}


def batch_size(text: str) -> int | str:
    """Read a positive integer, or ``auto``."""
    if text.strip().lower() == "auto":
        return "auto"
    try:
        size = int(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no number of inputs; write 16, or auto.") from None
    if size < 1:
        raise click.BadParameter(f"{text} is not in the range x>=1; write 16, or auto.")
    return size


def engine_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--batch-size``, ``--precision``, ``--memory-limit``, ``--device`` and ``--timing``."""
    decorators = [
        click.option(
            "--batch-size", type=batch_size, metavar="N|auto", default="auto", show_default=True,
            help="Most inputs that the model is given at a time: samples, or variations of them.",
        ),
        click.option(
            "--precision", type=click.Choice(["float32", "bfloat16", "float16"]),
            help="Type in which linear layers and convolutions compute. Default: the model's own.",
        ),
        click.option("--memory-limit", metavar="SIZE", help="Most memory to plan with, as in '4 GB'."),
        click.option("--device", help="Where the model runs: cpu, cuda, cuda:1. Default: the CPU."),
        click.option("--timing", is_flag=True, help="Tell what it took: time, batch sizes, memory."),
    ]  # fmt: skip
    for decorate in reversed(decorators):
        command = decorate(command)
    return command


def move(model: nn.Module, device: str | None) -> None:
    """Put the model on a device, where one is named."""
    import torch

    if device is None:
        return
    try:
        place = torch.device(device)
        model.to(place)
    except (RuntimeError, AssertionError) as error:  # the second is what a PyTorch without CUDA raises
        reason = str(error).partition("\n")[0]
        raise click.BadParameter(f"{device!r} cannot be used: {reason}", param_hint="--device") from error


def samples_at_once(analyzer: Analyzer, engine: Engine, model: nn.Module) -> int | None:
    """How many samples are read and explained together; None: all, for a method that compares them."""
    from xaicore.analyzers.meta import MetaAnalyzer

    while isinstance(analyzer, MetaAnalyzer):
        analyzer = analyzer.wrapped
    if getattr(analyzer, "needs_whole_batch", False):
        return None
    if isinstance(engine.batch_size, int):
        return engine.batch_size
    first = next(model.parameters(), None)
    return _SAMPLES.get("cpu" if first is None else first.device.type, _SAMPLES["cpu"])


def options_for(analyzer: Analyzer, engine: Engine, given: dict[str, Any], timing: bool) -> dict[str, Any]:
    """The options of ``analyze``: those that were given, where the method has them, and how it is run.

    Parameters
    ----------
    given
        By the name that ``analyze`` knows them by; what is None or False was not given.
    timing
        Whether the engine's report was asked for.

    Raises
    ------
    click.UsageError
        For an option that the method does not have.
    """
    chosen = {name: value for name, value in given.items() if value is not None and value is not False}
    known = _known(analyzer)
    for name in chosen:
        if name not in known:
            raise click.UsageError(f"{analyzer.method} has no option --{name}: it is one of {_OWNERS[name]}.")
    if "engine" in known:
        return chosen | {"engine": engine}
    asked = {
        "--precision": engine.precision is not None,
        "--memory-limit": engine.memory_limit is not None,
        "--timing": timing,
    }
    for flag, is_asked in asked.items():
        if is_asked:
            raise click.UsageError(f"{analyzer.method} cannot be run with {flag}.")
    size = engine.batch_size if isinstance(engine.batch_size, int) else None
    return chosen | ({"batch_size": size} if "batch_size" in known else {})


_OWNERS = {
    "layer": "methods that can look inside a model",
    "output": "methods that can choose an output",
    "filter": "methods that propagate backwards through the graph (families gradient and relevance)",
    "ledger": "methods that propagate backwards through the graph (families gradient and relevance)",
    "fallback": "methods that propagate backwards through the graph (families gradient and relevance)",
    "compile": "methods that propagate backwards through the graph (families gradient and relevance)",
}


def _known(analyzer: Analyzer) -> set[str]:
    """The options of ``analyze``; where it passes others on to an analyzer that it wraps, those of that one too."""
    parameters = inspect.signature(analyzer.analyze).parameters.values()
    known = {each.name for each in parameters if each.kind is each.KEYWORD_ONLY}
    inner = getattr(analyzer, "wrapped", None)
    if inner is not None and any(each.kind is each.VAR_KEYWORD for each in parameters):
        known |= _known(inner) - {"engine", "batch_size", "progress"}
    return known
