"""`xaicore explain MODEL INPUT... --method M`: explanations and figures for files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.data import analyzer_with_data, asks_for_data, data_option
from xaicore.cli.engines import engine_options, move, options_for, samples_at_once
from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import INPUT_HELP, files_of, is_image
from xaicore.cli.models import MODEL_HELP, load_model
from xaicore.cli.options import model_options, parameters_of
from xaicore.cli.options import target as read_target
from xaicore.cli.parts import filters_of, layer_filter
from xaicore.cli.rendering import drawn_by, render_options
from xaicore.cli.reporting import Collection, report_option
from xaicore.cli.running import Run
from xaicore.cli.stream import Piece, Stream
from xaicore.cli.table import echo_json
from xaicore.cli.telling import Outcome, nothing_explained
from xaicore.cli.tricks import trick_options, wrapped
from xaicore.cli.words import as_text, read_words, show_tokens, words_option, write_page
from xaicore.cli.writing import output_folder, record, write
from xaicore.errors import NotFittedError, TargetError

if TYPE_CHECKING:
    from xaicore import Explanation

_INTERRUPTED = 130  # what shells say of a command that Ctrl-C ended


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
@data_option
@engine_options
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="explanations", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@click.option(
    "--pattern", type=click.FloatRange(0, 1, min_open=True), metavar="SHARE",
    help="Draw as well what is left of an image where only the pixels with this share of the positive relevance stay.",
)  # fmt: skip
@click.option(
    "--percentile", type=click.FloatRange(0, 100, min_open=True), metavar="P",
    help="Cut the colours at this percentile of the relevance, so that faint structure shows. Default: 99 "
    "for images of more than 64 pixels a side, else 100.",
)  # fmt: skip
@click.option("--overlaid", is_flag=True, help="Draw relevance on top of images, which are grey then.")
@render_options
@words_option
@click.option("--ledger", is_flag=True, help="Keep account of each layer: what biases and stabilizers absorbed.")
@click.option(
    "--fallback",
    type=click.Choice(["gradient"]),
    help="Pass layers that the method has no mapping for by the plain gradient. Default: an error that names them.",
)
@click.option(
    "--compile", "compiled", is_flag=True, help="Run as one compiled function: for many inputs; the first takes longer."
)
@report_option()
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
    noise: float | None,
    noise_samples: int | None,
    data: tuple[Path, ...],
    batch_size: int | str,
    precision: str | None,
    memory_limit: str | None,
    device: str | None,
    timing: bool,
    folder: Path,
    pattern: float | None,
    percentile: float | None,
    overlaid: bool,
    renderer: str | None,
    drawn_with: tuple[tuple[str, Any], ...],
    words: Path | None,
    merge: str | None,
    show: bool,
    ledger: bool,
    fallback: str | None,
    compiled: bool,
    page: Path | None,
    as_json: bool,
) -> None:
    """Explain what MODEL makes of each INPUT.

    Writes one file with the explanation and one figure for each sample. Of several files, those that fail are told of
    on standard error and left out; one that is named alone must be sound.
    """
    from xaicore.engine import Engine

    engine = Engine(batch_size, precision=precision, memory_limit=memory_limit)
    drawn = drawn_by(renderer, drawn_with, overlaid)
    loaded = load_model(model, weights)
    move(loaded.model, device)
    images = ImageOptions(size, mean, std, input_channels(loaded.model))
    files, vocabulary = files_of(inputs), read_words(words)
    analyzer = analyzer_with_data(method, loaded.model, parameters_of(parameters), data, images)
    analyzer = wrapped(analyzer, translations, window, window_stride, noise, noise_samples)
    given = {"output": output, "layer": layer, "filter": filters_of(filters), "ledger": ledger, "fallback": fallback}
    options = options_for(analyzer, engine, given | {"compile": compiled}, timing)
    if loaded.warning:
        click.echo(f"WARNING: {loaded.warning}", err=True)
    strict = len(files) == 1 and not inputs[0].is_dir()
    advice = (
        " Images of several sizes can be given one with --size." if size is None and any(map(is_image, files)) else ""
    )
    most = samples_at_once(analyzer, engine, loaded.model)
    run = Run(analyzer, target, options, strict, together=most is None, advice=advice)
    stream = Stream(files, images, most, run.bad)
    if isinstance(target, list):
        _check_target(target, stream.counted())
    outcome = Outcome(model, run)
    collection = None if page is None else Collection(page)

    def done(piece: Piece, place: int, explanation: Explanation) -> None:
        name = piece.names[place]
        shown = images if is_image(piece.files[place]) else None
        drawing = {"percentile": percentile, "overlaid": overlaid}
        drawing |= as_text(explanation, vocabulary, merge, show) | drawn
        written = write(explanation, name, folder, shown, pattern, drawing)
        written += write_page(explanation, name, folder, drawing)
        if show:
            show_tokens(explanation, name, drawing, sys.stderr if as_json else sys.stdout)
        outcome.records[piece.numbers[place]] = {**record(explanation, name), "files": written}
        if collection is not None:
            collection.add(piece.numbers[place], explanation, name, shown, drawing)

    with output_folder(folder, files):
        try:
            for explanation in run.over(stream, done):
                outcome.add(explanation)
        except NotFittedError as error:
            raise asks_for_data(error) from error
    if collection is not None and outcome.records:
        from xaicore.reports import facts_about

        facts = facts_about(loaded.model, weights=weights, data=", ".join(map(str, inputs)), methods=[analyzer])
        outcome.page = collection.write(f"{model} explained by {outcome.method}", facts, run.skipped)
    report = engine.report if timing else None
    if as_json:
        echo_json(outcome.json(report))
    elif outcome.records or run.interrupted:
        click.echo(outcome.text(folder, report))
    if run.interrupted:
        raise click.exceptions.Exit(_INTERRUPTED)
    if not outcome.records:
        raise nothing_explained(run.skipped)


def _check_target(target: list[Any], samples: int) -> None:
    if len(target) != samples:
        raise TargetError(f"{len(target)} targets for {samples} samples: give one target a sample, or one for all.")
