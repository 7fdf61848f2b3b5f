"""`xaicore tune MODEL INPUT... --try M`: the method and the parameters that explain a model best by a metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.engines import engine_options, move
from xaicore.cli.images import ImageOptions, input_channels
from xaicore.cli.inputs import INPUT_HELP, files_of, load_inputs
from xaicore.cli.judging import masks_of, place_options, scores_json
from xaicore.cli.models import MODEL_HELP, load_model
from xaicore.cli.options import called, image_options, model_argument
from xaicore.cli.options import target as read_target
from xaicore.cli.table import echo_json
from xaicore.cli.writing import output_folder

if TYPE_CHECKING:
    from xaicore import Ranking


@click.command(epilog=f"{MODEL_HELP.strip()}\n\n{INPUT_HELP.strip()}")
@model_argument
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--try", "tried", type=called, metavar="METHOD", multiple=True, required=True,
    help="A method, with lists of values where several are tried: 'lrp.epsilon(epsilon=[1e-6, 0.1, 0.25])'; repeat it. "
    "Rules by groups of layers are tried in Python, with xaicore.tune.",
)  # fmt: skip
@click.option(
    "--metric", type=called, metavar="METRIC", default="evaluation.pixel_flipping", show_default=True,
    help="What judges: a metric, with parameters where it needs them; see `xaicore list --metrics`.",
)  # fmt: skip
@place_options
@click.option("--output", help="Which output of the model, where it has several.")
@click.option(
    "--target", "-t", type=read_target, metavar="TARGET",
    help="3; [3, 1]; (1, 3); '3 vs 8'. Default: the predicted class.",
)  # fmt: skip
@click.option("--candidates", type=click.IntRange(1), help="Draw this many at random, instead of trying all.")
@click.option(
    "--held-out", type=click.FloatRange(0, 1, max_open=True), default=0.3, show_default=True,
    help="Share of the inputs that have no part in the choice, and tell what the best is worth.",
)  # fmt: skip
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of what is drawn at random.")
@click.option(
    "--data", "data", type=click.Path(path_type=Path), multiple=True, help="Data for methods that learn; repeat it."
)
@image_options
@engine_options
@click.option(
    "--out", "-o", "folder", type=click.Path(path_type=Path), default="tuning", show_default=True,
    help="Folder to write to; made where it is missing.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def command(
    model: str,
    weights: Path | None,
    inputs: tuple[Path, ...],
    tried: tuple[tuple[str, dict[str, Any]], ...],
    metric: tuple[str, dict[str, Any]],
    masks: Path | None,
    boxes: Path | None,
    output: str | None,
    target: Any,
    candidates: int | None,
    held_out: float,
    seed: int,
    data: tuple[Path, ...],
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    batch_size: int | str,
    precision: str | None,
    memory_limit: str | None,
    device: str | None,
    timing: bool,
    folder: Path,
    as_json: bool,
) -> None:
    """Find the method and the parameters that explain MODEL best on these INPUTs, by a metric.

    Prints a ranking with intervals, and whether the differences are significant; writes it as a figure, ranking.png.
    """
    from xaicore import Engine, create_metric, tune

    engine = Engine(batch_size, precision=precision, memory_limit=memory_limit)
    loaded = load_model(model, weights)
    move(loaded.model, device)
    if loaded.warning:
        click.echo(f"WARNING: {loaded.warning}", err=True)
    images = ImageOptions(size, mean, std, input_channels(loaded.model))
    samples = load_inputs(inputs, images)
    name, parameters = metric
    with output_folder(folder, files_of(inputs)):
        ranking = tune(
            loaded.model,
            samples.inputs,
            space_of(tried),
            metric=create_metric(name, **parameters),
            target=target,
            candidates=candidates,
            held_out=held_out,
            fit_data=load_inputs(data, images).inputs if data else None,
            **masks_of(masks, boxes),
            seed=seed,
            engine=engine,
            **({} if output is None else {"output": output}),
        )
        figure = folder / "ranking.png"
        drawable = any(math.isfinite(each.mean) for each in ranking)
        if drawable:
            ranking.plot().savefig(figure, dpi=200)
    if as_json:
        echo_json(_json(ranking))
        return
    click.echo(f"{ranking}\n\nWrote the figure to {figure}" if drawable else str(ranking))
    if timing:
        click.echo(f"\n{engine.report}")


def space_of(tried: Sequence[tuple[str, dict[str, Any]]]) -> list[dict[str, Any]]:
    """What `xaicore.tune` searches: a value that is no list is the only one that is tried."""
    return [
        {"method": method} | {name: value if isinstance(value, list) else [value] for name, value in parameters.items()}
        for method, parameters in tried
    ]


def _json(ranking: Ranking) -> dict[str, Any]:
    return {
        "metric": ranking.metric,
        "higher_is_better": ranking.higher_is_better,
        "verdict": ranking.verdict(),
        "held_out": None if ranking.held_out is None else scores_json(ranking.held_out),
        "candidates": [
            {
                "name": each.name,
                "parameters": {name: str(value) for name, value in each.parameters.items()},
                "p_value": None if math.isnan(each.p_value) else each.p_value,
                "failure": each.failure or None,
                "scores": None if each.scores is None else scores_json(each.scores),
            }
            for each in ranking
        ],
    }
