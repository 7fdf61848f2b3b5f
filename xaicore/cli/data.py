"""`--data FILE`: data that a method learns from, or compares each sample with."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from torch import nn

from xaicore.cli.images import ImageOptions
from xaicore.cli.inputs import load_inputs
from xaicore.errors import ArgumentsError, InputError, NotFittedError, ParameterError
from xaicore.plugins import find_method, resolve

if TYPE_CHECKING:
    from xaicore.analyzers import Analyzer

_HINT = "On the command line, data are given by --data FILE."
_ONLY_INPUTS = (
    "--data must hold what INPUT holds, and no labels: save the inputs alone, a tensor; of a model of several inputs a "
    "tuple in the order of the forward."
)


def data_option(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--data``."""
    return click.option(
        "--data", "data", type=click.Path(path_type=Path), multiple=True,
        help="Data for methods that learn from data, or compare with them: files or folders as for INPUT; repeat it.",
    )(command)  # fmt: skip


def analyzer_with_data(
    method: str, model: nn.Module, parameters: dict[str, Any], files: Sequence[Path], images: ImageOptions
) -> Analyzer:
    """Create the analyzer; give the data to its `fit`, or to its parameter ``baseline`` or ``fill``.

    Raises
    ------
    click.UsageError
        Where the method has no use for data.
    ParameterError
        Where it needs some, or other parameters.
    """
    from xaicore import create_analyzer
    from xaicore.analyzers import Analyzer
    from xaicore.analyzers.baselines import Data

    if find_method(method).family == "prototype":
        raise click.UsageError(
            f"{method} shows what a class looks like and explains no input: xaicore prototype MODEL --class 3."
        )
    if not files:
        try:
            return create_analyzer(method, model, **parameters)
        except ParameterError as error:
            if "baseline" in parameters or not _needs_baseline(method):
                raise
            raise ParameterError(_with_hint(error)) from error
    cls = resolve(find_method(method).target)
    learns = cls.fit is not Analyzer.fit
    place = _place(cls, parameters, learns)
    if not (learns or place):
        raise click.UsageError(
            f"{method} has no use for --data: it does not learn, and has nothing left to compare with."
        )
    values = load_inputs(files, images).inputs
    if place:
        if isinstance(values, tuple):
            raise click.UsageError(
                "--data for a model of several inputs must be a .pt file with a dict of them by name."
            )
        parameters = {**parameters, place: Data(values)}
    analyzer = create_analyzer(method, model, **parameters)
    if not learns:
        return analyzer
    try:
        return analyzer.fit(values)
    except ArgumentsError as error:
        raise InputError(f"{error.problem} {_ONLY_INPUTS}") from error


def _place(cls: type[Analyzer], parameters: dict[str, Any], learns: bool) -> str | None:
    """The parameter that data are given to: what samples are compared with, or what is put in their place."""
    known = inspect.signature(cls).parameters
    for name in ("baseline", "fill"):
        # A method that learns from data has them already, unless it cannot do without.
        needed = name in known and (not learns or known[name].default is inspect.Parameter.empty)
        if needed and name not in parameters:
            return name
    return None


def asks_for_data(error: NotFittedError) -> NotFittedError:
    """The same error, with how data are given here."""
    return NotFittedError(_with_hint(error))


def _with_hint(error: Exception) -> str:
    return f"{str(error).removesuffix('.')}. {_HINT}"


def _needs_baseline(method: str) -> bool:
    known = inspect.signature(resolve(find_method(method).target)).parameters
    return "baseline" in known and known["baseline"].default is inspect.Parameter.empty
