"""`xaicore compare MODEL INPUT... -m A -m B`: several methods side by side, in one figure and one table."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.data import analyzer_with_data, data_option
from xaicore.cli.engines import engine_options, move
from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import INPUT_HELP, Samples, files_of, load_inputs
from xaicore.cli.judging import judging_options, masks_of, metrics_of
from xaicore.cli.lines import read_lines
from xaicore.cli.models import MODEL_HELP, load_model
from xaicore.cli.options import called, image_options, model_argument
from xaicore.cli.options import target as read_target
from xaicore.cli.reporting import given_command, report_option
from xaicore.cli.table import echo_json
from xaicore.cli.words import as_text, read_words
from xaicore.cli.writing import output_folder, percentile_for, record
from xaicore.errors import InputError

if TYPE_CHECKING:
    from xaicore import Comparison, Engine


@click.command(epilog=f"{MODEL_HELP.strip()}\n\n{INPUT_HELP.strip()}")
@model_argument
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--method", "-m", "methods", type=called, metavar="METHOD", multiple=True, required=True,
    help="A method, with parameters where it needs them: 'lrp.epsilon(epsilon=0.25)'; repeat it.",
)  # fmt: skip
@click.option("--also", metavar="MODEL", multiple=True, help="Another model, explained beside the first; repeat it.")
@click.option(
    "--also-weights", type=click.Path(path_type=Path), multiple=True,
    help="Weights of the other models, in their order.",
)  # fmt: skip
@click.option("--output", help="Which output of the model, where it has several.")
@click.option(
    "--target", "-t", type=read_target, metavar="TARGET",
    help="3; [3, 1]; (1, 3); '3 vs 8'. Default: the predicted class.",
)  # fmt: skip
@click.option(
    "--classes", metavar="CLASSES",
    help="Explain several classes of each input: '3,8', or a number of classes such as 'top 3'.",
)  # fmt: skip
@click.option("--true", "true", metavar="LIST", help="The true class of each input: '[3, 8, 1]'.")
@click.option("--labels", type=click.Path(path_type=Path), help="Names of the classes, one a line.")
@image_options
@judging_options
@data_option
@engine_options
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="comparison", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@report_option()
@click.option(
    "--render", "form", default="heatmap", show_default=True, metavar="NAME",
    help="How maps of images are drawn; see `xaicore list --renderers`.",
)  # fmt: skip
@click.option(
    "--scale", type=click.Choice(["map", "row", "figure"]), default="map", show_default=True,
    help="What shares one colour scale.",
)  # fmt: skip
@click.option(
    "--percentile", type=click.FloatRange(0, 100, min_open=True), metavar="P",
    help="Cut the colours at this percentile of the relevance. Default: 99 for images of more than 64 pixels a side.",
)  # fmt: skip
@click.option(
    "--words", type=click.Path(path_type=Path), metavar="FILE",
    help="Words for figures of integer inputs: a text file with one word a line, that of id 0 first.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    weights: Path | None,
    inputs: tuple[Path, ...],
    methods: tuple[tuple[str, dict[str, Any]], ...],
    also: tuple[str, ...],
    also_weights: tuple[Path, ...],
    output: str | None,
    target: Any,
    classes: str | None,
    true: str | None,
    labels: Path | None,
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    metrics: tuple[tuple[str, dict[str, Any]], ...],
    masks: Path | None,
    boxes: Path | None,
    data: tuple[Path, ...],
    batch_size: int | str,
    precision: str | None,
    memory_limit: str | None,
    device: str | None,
    timing: bool,
    folder: Path,
    page: Path | None,
    form: str,
    scale: str,
    percentile: float | None,
    words: Path | None,
    as_json: bool,
) -> None:
    """Explain each INPUT by several methods, for several classes or models, and judge the explanations.

    Writes one figure, comparison.png, and the explanations; prints a table with the metrics that were asked for.
    """
    from xaicore import Engine, compare

    engine = Engine(batch_size, precision=precision, memory_limit=memory_limit)
    models = _models(model, weights, also, also_weights, device)
    first = next(iter(models.values()))
    images = ImageOptions(size, mean, std, input_channels(first))
    samples = load_inputs(inputs, images)
    known = _true(true, len(samples.names))
    names = read_lines(labels, "--labels") if labels else None
    comparison = compare(
        models if len(models) > 1 else first,
        samples.inputs,
        methods=_methods(methods, models, data, images),
        target=target,
        classes=_classes(classes, known),
        metrics=metrics_of(metrics) or None,
        **masks_of(masks, boxes),
        engine=engine,
        **({} if output is None else {"output": output}),
    )
    first_found = next(iter(comparison.values()))
    cut = percentile_for(first_found, samples.images, {"percentile": percentile})
    shown = {"labels": names, "true": known, "percentile": cut}
    pixels = {"mean": images.mean, "std": images.std} if samples.images else {}
    told = as_text(first_found, read_words(words))
    with output_folder(folder, files_of(inputs)):
        drawing = told if told else {"form": form, "scale": scale, **pixels}
        figure = folder / "comparison.png"
        comparison.plot(**shown, **drawing, **_row_names(comparison, samples)).savefig(figure, dpi=200)
        comparison.save(folder)
        if page is not None:
            texts = {"words": told.get("names")} if told else {}
            again = {"command": given_command(), "weights": weights, "data": _shown_paths(inputs)}
            comparison.report(page, names=samples.names, **shown, **pixels, **texts, **again)
    if as_json:
        echo_json(_json(comparison, samples, engine if timing else None))
        return
    click.echo(comparison.table())
    click.echo(f"\nWrote the figure to {figure} and the explanations to {folder}")
    if page is not None:
        click.echo(f"Wrote the report to {page}")
    if timing:
        click.echo(f"\n{engine.report}")


def _models(
    model: str, weights: Path | None, also: Sequence[str], also_weights: Sequence[Path], device: str | None
) -> dict[str, Any]:
    """The models by name; those that are called the same by number."""
    if len(also_weights) > len(also):
        raise click.UsageError(f"--also-weights is given {len(also_weights)} times, --also {len(also)} times.")
    found: dict[str, Any] = {}
    places = [weights, *also_weights, *[None] * (len(also) - len(also_weights))]
    for spec, place in zip([model, *also], places, strict=True):
        loaded = load_model(spec, place)
        move(loaded.model, device)
        if loaded.warning:
            click.echo(f"WARNING: {loaded.warning}", err=True)
        name, number = spec, 2
        while name in found:
            name, number = f"{spec} ({number})", number + 1
        found[name] = loaded.model
    return found


def _methods(
    methods: Sequence[tuple[str, dict[str, Any]]], models: dict[str, Any], data: Sequence[Path], images: ImageOptions
) -> Any:
    if len(models) == 1:
        (model,) = models.values()
        return [analyzer_with_data(name, model, parameters, data, images) for name, parameters in methods]
    if data:
        raise click.UsageError("--data is for one model: methods that learn are compared in one model at a time.")
    if len(dict(methods)) < len(methods):
        raise click.UsageError("with several models each method is given once.")
    return dict(methods)


def _classes(text: str | None, true: list[Any] | None) -> Any:
    if text is None:
        return None
    words = text.split()
    if len(words) == 2 and words[0] == "top" and words[1].isdigit():
        return int(words[1])
    if text.strip() == "predicted,true":
        if true is None:
            raise click.UsageError("--classes predicted,true needs --true: which classes these are.")
        return {"predicted": None, "true": true}
    return [read_target(part) for part in text.split(",")]


def _true(text: str | None, samples: int) -> list[Any] | None:
    if text is None:
        return None
    found = read_target(text)
    if not isinstance(found, list) or len(found) != samples:
        raise InputError(f"--true {text}: give one class for each of the {samples} inputs, as in '[3, 8]'")
    return found


def _row_names(comparison: Comparison, samples: Samples) -> dict[str, Any]:
    """The files, where each has one row of the figure and there are several."""
    from xaicore.visualization.printable import printable

    named = samples.images and comparison.by == "methods" and len(samples.names) > 1
    return {"rows": list(map(printable, samples.names))} if named else {}


def _shown_paths(paths: Sequence[Path]) -> str:
    return ", ".join(map(str, paths[:3])) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


def _json(comparison: Comparison, samples: Samples, engine: Engine | None) -> dict[str, Any]:
    from xaicore.cli.judging import scores_json

    found: dict[str, Any] = {"by": comparison.by, "methods": comparison.methods, "groups": comparison.groups}
    found["explanations"] = [
        {
            "group": group,
            "method": method,
            "samples": [record(one, name) for one, name in zip(explanation, samples.names, strict=True)],
            "metrics": {metric: scores_json(each[method]) for metric, each in comparison.scores.get(group, {}).items()},
        }
        for group, methods in comparison.explanations.items()
        for method, explanation in methods.items()
    ]
    return found if engine is None else found | {"timing": str(engine.report)}
