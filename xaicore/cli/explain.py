"""`xaicore explain MODEL INPUT... --method M`: explanations and figures for files."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import INPUT_HELP, Samples, load_inputs
from xaicore.cli.models import MODEL_HELP, load_model
from xaicore.cli.options import model_options, parameters_of
from xaicore.cli.options import target as read_target
from xaicore.cli.parts import filters_of, layer_filter
from xaicore.cli.table import echo_json, table
from xaicore.cli.tricks import trick_options, wrapped
from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore import Explanation

_CLASSES_SHOWN = 3


@click.command(epilog=f"{MODEL_HELP.strip()}\n\n{INPUT_HELP.strip()}")
@model_options
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target",
    "-t",
    type=read_target,
    metavar="TARGET",
    help="3; [3, 1]; (1, 3); '3 vs 8'. Default: the predicted class.",
)
@click.option("--output", help="Which output of the model, where it has several.")
@click.option("--layer", help="Explain at this inner layer instead of the input.")
@click.option(
    "--filter", "filters", type=layer_filter, metavar="LAYER=PART", multiple=True,
    help="Let relevance flow only through this part of a layer: conv1=channels(3, 5); repeat it.",
)  # fmt: skip
@trick_options
@click.option("--batch-size", type=click.IntRange(min=1), help="Samples at a time. Default: all at once.")
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="explanations", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@click.option(
    "--pattern", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
    help="Draw as well what is left of an image where only the pixels with this share of the positive relevance stay.",
)  # fmt: skip
@click.option("--ledger", is_flag=True, help="Keep account of each layer: what biases and stabilizers absorbed.")
@click.option(
    "--fallback",
    type=click.Choice(["gradient"]),
    help="Pass layers that the method has no mapping for by the plain gradient. Default: an error that names them.",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Run as one compiled function: for many inputs; the first takes longer."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    weights: Path | None,
    method: str,
    parameters: tuple[tuple[str, Any], ...],
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    inputs: tuple[Path, ...],
    target: Any,
    output: str | None,
    layer: str | None,
    filters: tuple[tuple[str, Any], ...],
    translations: int | None,
    window: tuple[int, int] | None,
    window_stride: int | None,
    batch_size: int | None,
    folder: Path,
    pattern: float | None,
    ledger: bool,
    fallback: str | None,
    compiled: bool,
    as_json: bool,
) -> None:
    """Explain what MODEL makes of each INPUT.

    Writes one file with the explanation and one figure for each sample.
    """
    from xaicore import create_analyzer

    loaded = load_model(model, weights)
    samples = load_inputs(inputs, ImageOptions(size, mean, std, input_channels(loaded.model)))
    analyzer = create_analyzer(method, loaded.model, **parameters_of(parameters))
    analyzer = wrapped(analyzer, translations, window, window_stride)
    folder = _made(folder)
    if loaded.warning:
        click.echo(f"WARNING: {loaded.warning}", err=True)
    options: dict[str, Any] = {
        "output": output,
        "layer": layer,
        "filter": filters_of(filters),
        "batch_size": batch_size,
        "ledger": ledger,
        "fallback": fallback,
    }
    options |= {"compile": True} if compiled else {}
    explanation = analyzer.analyze(samples.inputs, target, **options)
    records = [_record(explanation[number], name) for number, name in enumerate(samples.names)]
    for number, record in enumerate(records):
        record["files"] = _write(explanation[number], samples, number, folder, pattern)
    if as_json:
        echo_json(_report(model, explanation, records))
    else:
        _tell(model, explanation, records, folder)


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {str(folder)!r} cannot be made: {error}") from error
    return folder


def _write(explanation: Explanation, samples: Samples, number: int, folder: Path, pattern: float | None) -> list[str]:
    stem = folder / samples.names[number]
    data, figure = stem.with_name(f"{stem.name}.safetensors"), stem.with_name(f"{stem.name}.png")
    explanation.save(data)
    pixels = samples.images
    shown: dict[str, Any] = {"mean": pixels.mean, "std": pixels.std} if pixels and explanation.layer is None else {}
    explanation.plot(**shown).savefig(figure)
    if pattern is None:
        return [str(data), str(figure)]
    from xaicore.visualization import plot_pattern

    masked = stem.with_name(f"{stem.name}_pattern.png")
    plot_pattern(explanation, pattern, **shown).savefig(masked)
    return [str(data), str(figure), str(masked)]


def _record(explanation: Explanation, name: str) -> dict[str, Any]:
    """Return what is said about one sample, as plain data."""
    checks = explanation.diagnostics
    return {
        "input": name,
        "prediction": _prediction(explanation),
        "target": explanation.target["labels"][0],
        "target_kind": explanation.target["kind"],
        "explained": _number(checks.explained),
        "relevance_sum": _number(checks.relevance_sum),
        "conservation_gap": None if checks.conservation_gap is None else _number(checks.conservation_gap),
        "non_finite": checks.non_finite,
    }


def _prediction(explanation: Explanation) -> list[dict[str, float]] | float | None:
    """Return the largest classes with their values; the value itself of a model that returns one a sample."""
    values = explanation.prediction[0].detach()
    if values.dim() == 0:
        return float(values)
    if values.dim() > 1:
        return None
    top = values.topk(min(_CLASSES_SHOWN, len(values)))
    return [{"class": c, "value": v} for c, v in zip(top.indices.tolist(), top.values.tolist(), strict=True)]


def _number(values: Any) -> float | None:
    """Return the only value; None for NaN and infinity, which JSON does not know."""
    value = float(values.reshape(()))
    return value if math.isfinite(value) else None


def _report(model: str, explanation: Explanation, records: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "model": model,
        "method": explanation.method,
        "parameters": {name: _plain(value) for name, value in explanation.parameters.items()},
        "samples": records,
        "notes": explanation.diagnostics.notes,
        "warnings": explanation.diagnostics.warnings(),
        "ledger": explanation.diagnostics.ledger,
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _tell(model: str, explanation: Explanation, records: list[dict[str, Any]], folder: Path) -> None:
    click.echo(f"{model} explained by {explanation.method}\n")
    rows = [
        (
            record["input"],
            _shown_prediction(record["prediction"]),
            record["target"],
            _shown(record["explained"]),
            _shown(record["relevance_sum"]),
        )
        for record in records
    ]
    click.echo(table(("INPUT", "PREDICTION (CLASS: VALUE)", "TARGET", "EXPLAINED", "RELEVANCE SUM"), rows))
    click.echo(f"\n{explanation.diagnostics.summary()}")
    click.echo(f"\nWrote {len(records)} explanations (.safetensors) and figures (.png) to {folder}")


def _shown_prediction(prediction: list[dict[str, float]] | float | None) -> str:
    if isinstance(prediction, list):
        return ", ".join(f"{each['class']}: {each['value']:.4g}" for each in prediction)
    return _shown(prediction)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
