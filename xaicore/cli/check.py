"""`xaicore check MODEL --method M`: who handles which layer, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import load_inputs
from xaicore.cli.models import MODEL_HELP, LoadedModel, load_model
from xaicore.cli.options import model_options, parameters_of, shape
from xaicore.cli.table import echo_json, table
from xaicore.errors import ArgumentsError, InputError

if TYPE_CHECKING:
    from xaicore.analyzers import Advice

_COLUMNS = {
    "layer": "LAYER",
    "kind": "KIND",
    "module_path": "MODULE",
    "mapping": "MAPPING",
    "provider": "PROVIDER",
}
_ONE_EACH = "Repeat --shape, once for each input, or give --input FILE.pt with a tuple or dict of them."
_SHOWN = 6  # layers that a piece of advice names; JSON has all


@click.command(epilog=MODEL_HELP.strip().replace("\n", " "))
@model_options
@click.option(
    "--shape", "shapes", type=shape, metavar="SHAPE", multiple=True, help="Shape of an input: 1,3,224,224; 1,16:int64."
)
@click.option("--input", "files", type=click.Path(path_type=Path), multiple=True, help="An input to take shapes from.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    weights: Path | None,
    method: str,
    parameters: tuple[tuple[str, Any], ...],
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    shapes: tuple[Any, ...],
    files: tuple[Path, ...],
    as_json: bool,
) -> None:
    """Say which mapping handles each layer of MODEL under a method, what is missing, and what the method advises.

    Ends with 1 where a layer has no mapping; advice changes nothing about that. Shapes of inputs are taken from
    --shape or --input, or guessed where the kind of model tells.
    """
    from xaicore import create_analyzer
    from xaicore.analyzers import PropagationAnalyzer

    loaded = load_model(model, weights)
    if files:
        images = ImageOptions(size, mean, std, input_channels(loaded.model))
        inputs = load_inputs(files, images).inputs
    else:
        inputs = _example(loaded, shapes)
    analyzer = create_analyzer(method, loaded.model, **parameters_of(parameters))
    if not isinstance(analyzer, PropagationAnalyzer):
        raise click.UsageError(f"{method} does not look inside the model, so that there is nothing to check.")
    try:
        report = analyzer.match(inputs, strict=False)
    except ArgumentsError as error:
        raise InputError(f"{error.problem} {_ONE_EACH}") from error
    rows = report.rows()
    unmatched = {match.layer.name for match in report.missing}
    missing = [row for row in rows if row["layer"] in unmatched]
    advice = analyzer.advise(report)
    if as_json:
        found = {"ok": not missing, "layers": rows, "missing": missing, "advice": [each.row() for each in advice]}
        echo_json({"model": model, "method": method, **found})
    else:
        click.echo(table(tuple(_COLUMNS.values()), [[row[name] or "-" for name in _COLUMNS] for row in rows]))
        _conclude(method, len(rows), missing)
        if not missing:
            _advise(method, advice)
    if missing:
        raise click.exceptions.Exit(1)


def _example(loaded: LoadedModel, shapes: tuple[Any, ...]) -> Any:
    if shapes:
        return shapes
    if loaded.example is None:
        raise click.UsageError(
            "What inputs does the model take? Say it with --shape 1,3,224,224, or give one by --input."
        )
    return loaded.example


def _conclude(method: str, layers: int, missing: list[dict[str, str]]) -> None:
    if not missing:
        click.echo(f"\n{method} handles all {layers} layers from the inputs to the output.")
        return
    click.echo(f"\n{method} cannot explain this model: {len(missing)} of {layers} layers have no mapping.")
    for row in missing:
        place = " of ".join(part for part in (row["layer"], row["module_path"]) if part)
        click.echo(f"\n  {place} ({row['kind']})\n    at   {row['source'] or 'unknown'}\n    fix  {row['fix']}")


def _advise(method: str, advice: Sequence[Advice]) -> None:
    if advice:
        click.echo(f"\nThis model would be easier to explain by {method}:")
    for each in advice:
        click.echo(f"\n  {each.about}: {each.reason}")
        if each.layers:
            more = f", and {len(each.layers) - _SHOWN} more" if len(each.layers) > _SHOWN else ""
            click.echo(f"    in   {', '.join(each.layers[:_SHOWN])}{more}")
        click.echo(f"    fix  {each.fix}")
