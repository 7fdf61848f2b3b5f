"""`xaicore audit MODEL DATA... --method M`: what each class of a data set is recognised by."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.data import analyzer_with_data, data_option
from xaicore.cli.engines import engine_options, move, options_for, samples_at_once
from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.judging import masks_of
from xaicore.cli.labelled import DATA_HELP, LabelledFolders, check_kinds, read_arrays
from xaicore.cli.lines import read_lines
from xaicore.cli.models import MODEL_HELP, load_model
from xaicore.cli.objects import BOXES_HELP, MASKS_HELP, Objects
from xaicore.cli.options import model_options, parameters_of
from xaicore.cli.reporting import given_command, report_option
from xaicore.cli.table import echo_json
from xaicore.cli.writing import output_folder
from xaicore.errors import CaptureError, InputError, ParameterError

if TYPE_CHECKING:
    from xaicore.analyzers import Analyzer
    from xaicore.studies.auditing import Audit

_INTERRUPTED = 130  # what shells say of a command that Ctrl-C ended
_NOT_IN_TABLES = ("parts", "members")  # columns of their own, and a table of their own
_ADVICE = "If their size is the reason: --size gives all images one."


@click.command(epilog=f"{MODEL_HELP.strip()}\n\n{DATA_HELP.strip()}")
@model_options
@click.argument("places", metavar="DATA...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--target", type=click.Choice(["true", "predicted"]), default="true", show_default=True,
    help="Which class of each sample is explained.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Path(path_type=Path), help="Names of the classes in the model's order, one a line."
)
@click.option("--classes", metavar="CLASSES", help="Only samples of these classes, by number or name: '3,8'.")
@click.option("--masks", type=click.Path(path_type=Path), help=MASKS_HELP)
@click.option("--boxes", type=click.Path(path_type=Path), help=BOXES_HELP)
@click.option(
    "--clusters", metavar="N|auto", default="auto", show_default=True,
    help="Into how many clusters the heatmaps of each class are divided; auto follows the eigengap.",
)  # fmt: skip
@click.option("--resolution", type=int, default=16, show_default=True, help="Sides of the heatmaps that are clustered.")
@click.option(
    "--embedding", type=click.Choice(["pca", "tsne"]), default="pca", show_default=True,
    help="How samples are laid out in the plane.",
)  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the clustering and the intervals."
)
@data_option
@engine_options
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="audit", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@report_option("some samples of each cluster")
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    weights: Path | None,
    method: str,
    parameters: tuple[tuple[str, Any], ...],
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    places: tuple[Path, ...],
    target: str,
    labels: Path | None,
    classes: str | None,
    masks: Path | None,
    boxes: Path | None,
    clusters: str,
    resolution: int,
    embedding: str,
    seed: int,
    data: tuple[Path, ...],
    batch_size: int | str,
    precision: str | None,
    memory_limit: str | None,
    device: str | None,
    timing: bool,
    folder: Path,
    page: Path | None,
    as_json: bool,
) -> None:
    """Explain all samples of DATA and tell what each class of MODEL is recognised by.

    Ranks classes by how little of the relevance lies inside the object, where masks or boxes are given, and clusters
    the heatmaps of each class to find strategies that rely on an artefact. Writes a figure (audit.png), tables
    (classes.csv, clusters.csv, samples.csv), audit.json, and audit.safetensors, which xaicore.Audit.load reads. Files
    that cannot be read are told of on standard error and left out.
    """
    from xaicore.engine import Engine
    from xaicore.studies.auditing import audit

    if masks is not None and boxes is not None:
        raise click.UsageError("give --masks or --boxes, not both.")
    engine = Engine(batch_size, precision=precision, memory_limit=memory_limit)
    loaded = load_model(model, weights)
    move(loaded.model, device)
    if loaded.warning:
        click.echo(f"WARNING: {loaded.warning}", err=True)
    images = ImageOptions(size, mean, std, input_channels(loaded.model))
    analyzer = analyzer_with_data(method, loaded.model, parameters_of(parameters), data, images)
    options = options_for(analyzer, engine, {}, timing)
    names = read_lines(labels, "--labels") if labels else None
    most = samples_at_once(analyzer, engine, loaded.model)
    if most is None:
        raise ParameterError(f"{method} compares samples with each other; an audit explains them a few at a time")
    samples = _samples(places, names, images, most, masks, boxes)
    if isinstance(samples, LabelledFolders):
        samples.refused = lambda sample: _refused(analyzer, sample, samples)
    names = samples.labels if isinstance(samples, LabelledFolders) else names
    shown: dict[str, Any] = {"mean": mean, "std": std} if isinstance(samples, LabelledFolders) else {}
    with output_folder(folder, samples.files if isinstance(samples, LabelledFolders) else []):
        try:
            found = audit(
                loaded.model,
                samples,
                method=analyzer,
                target=target,
                labels=names,
                classes=_classes(classes, names),
                clusters=_clusters(clusters),
                resolution=resolution,
                embedding=embedding,
                seed=seed,
                **shown,
                **options,
            )
        except (CaptureError, InputError) as error:
            raise type(error)(_with_advice(str(error), samples)) from error
        if isinstance(samples, LabelledFolders):
            found.notes += _left_out(samples)
        _write(found, folder)
        if page is not None:
            where = ", ".join(map(str, places))
            found.report(page, title=f"What {model} looks at", command=given_command(), data=where)
    skipped = samples.skipped if isinstance(samples, LabelledFolders) else []
    if as_json:
        echo_json(_json(found, model, skipped, str(engine.report) if timing else None))
    else:
        click.echo(found.table())
        click.echo(f"\nWrote the figure, tables and audit.safetensors to {folder}")
        if page is not None:
            click.echo(f"Wrote the report to {page}")
        if timing:
            click.echo(f"\n{engine.report}")
    if engine.report.interrupted:
        raise click.exceptions.Exit(_INTERRUPTED)


def _samples(
    places: Sequence[Path],
    labels: list[str] | None,
    images: ImageOptions,
    most: int,
    masks: Path | None,
    boxes: Path | None,
) -> LabelledFolders | dict[str, Any]:
    if check_kinds(places):
        folders = LabelledFolders(places, labels, images, most)
        if masks or boxes:
            folders.objects = Objects(masks, boxes, len(folders.files))
            folders.objects.check_names(folders.files)
        return folders
    arrays = read_arrays(places[0])
    if masks or boxes:
        given = "masks" if masks else "boxes"
        arrays = {name: each for name, each in arrays.items() if name not in ("masks", "boxes")}
        return arrays | {given: masks_of(masks, boxes)[given]}
    return arrays


def _left_out(samples: LabelledFolders) -> list[str]:
    """What an audit of files should tell beside what it tells of its own."""
    notes = [f"{each['input']} was left out: {each['reason']}" for each in samples.skipped]
    if samples.objects is not None and samples.objects.missing:
        notes.append(f"where the object is was not given for {samples.objects.missing} of {len(samples.files)} images")
    return notes


def _refused(analyzer: Analyzer, sample: Any, samples: LabelledFolders) -> str | None:
    """Why images of this shape cannot be explained; None where they can."""
    try:
        analyzer.analyze(sample)
    except (CaptureError, InputError) as error:
        return _with_advice(str(error), samples)
    return None


def _with_advice(text: str, samples: Any) -> str:
    has_own_sizes = isinstance(samples, LabelledFolders) and samples.images.size is None
    return f"{text.rstrip('.')}. {_ADVICE}" if has_own_sizes else text


def _classes(text: str | None, labels: list[str] | None) -> list[int | str] | None:
    """Numbers, and names where there are labels; a name that is a number is taken as a name."""
    if text is None:
        return None
    words = [word.strip() for word in text.split(",") if word.strip()]
    return [word if word in (labels or []) or not word.isdigit() else int(word) for word in words]


def _clusters(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def _write(found: Audit, folder: Path) -> None:
    from xaicore.studies.auditing.tables import as_data, sample_rows

    data = as_data(found)
    found.plot().savefig(folder / "audit.png", dpi=150)
    found.save(folder / "audit.safetensors")
    (folder / "audit.json").write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    _write_table(folder / "classes.csv", data["classes"])
    _write_table(folder / "clusters.csv", ({**each, **each["parts"]} for each in data["clusters"]))
    _write_table(folder / "samples.csv", sample_rows(found))


def _write_table(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = None
        for row in rows:
            cells = {
                name: "; ".join(map(str, value)) if isinstance(value, list) else value
                for name, value in row.items()
                if name not in _NOT_IN_TABLES
            }
            if writer is None:
                writer = csv.DictWriter(file, list(cells))
                writer.writeheader()
            writer.writerow(cells)


def _json(found: Audit, model: str, skipped: list[dict[str, str]], timing: str | None) -> dict[str, Any]:
    from xaicore.studies.auditing.tables import as_data

    data = {"model": model, **as_data(found), "skipped": skipped}
    return data if timing is None else data | {"timing": timing}
