"""`xaicore prototype MODEL --class 3`: a picture of what a class, channel or layer looks for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.commands import (
    INPUT_HELP,
    MODEL_HELP,
    ImageOptions,
    LoadedModel,
    echo_json,
    input_channels,
    load_inputs,
    load_model,
    move,
    numbers,
    parameter,
    parameters_of,
    shape,
    size,
)
from xaicore.errors import FileError, NotFittedError, ParameterError

if TYPE_CHECKING:
    from torch import Tensor

    from xai_activation_max.prototype import Prototype


@click.command(epilog=f"{MODEL_HELP.strip()}\n\nDATA is given as INPUT elsewhere. {INPUT_HELP.strip()}")
@click.argument("model")
@click.option("--weights", type=click.Path(path_type=Path), help="Weights: safetensors or a state dict.")
@click.option("--class", "classes", type=int, multiple=True, metavar="N", help="A class; repeat it for more columns.")
@click.option("--layer", help="Search at this layer instead of the output.")
@click.option("--channel", "channels", type=int, multiple=True, metavar="N", help="A channel of --layer; repeat it.")
@click.option("--prior", help="l2, mean, expert or none. Default: l2. mean and expert learn from --data.")
@click.option("--strength", type=float, help="How much the prior counts.")
@click.option("--count", type=click.IntRange(min=1), default=1, show_default=True, help="Prototypes of each target.")
@click.option("--bounds", type=numbers, metavar="LOW,HIGH", help="Lowest and highest value of what the model is given.")
@click.option("--seed", type=click.IntRange(min=0), help="Default: 0.")
@click.option(
    "--param", "-p", "parameters", type=parameter, metavar="NAME=VALUE", multiple=True,
    help="Another parameter of activation_max.prototype (see `xaicore info`); repeat it.",
)  # fmt: skip
@click.option(
    "--data", "data", type=click.Path(path_type=Path), multiple=True,
    help="Data to learn from, which also say what an input looks like: files or folders; repeat it.",
)  # fmt: skip
@click.option(
    "--labels", type=click.Path(path_type=Path),
    help="Numbers of the classes of the data: .npy, .pt or .csv. Default: those that the model predicts.",
)  # fmt: skip
@click.option("--shape", "shapes", type=shape, metavar="SHAPE", help="Of an input, where no data says it: 1,3,64,64.")
@click.option("--size", type=size, metavar="SIZE", help="Scale and crop images to this size: 224, or HEIGHTxWIDTH.")
@click.option("--mean", type=numbers, metavar="NUMBERS", default="0", help="Subtracted from pixels in [0, 1].")
@click.option("--std", type=numbers, metavar="NUMBERS", default="1", help="What pixels are divided by then.")
@click.option("--device", help="Where the model runs: cpu, cuda, cuda:1. Default: the CPU.")
@click.option(
    "--out", "-o", "out", type=click.Path(path_type=Path), default="prototype.png", show_default=True,
    help="The picture; the prototypes themselves are written beside it, as .safetensors.",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
def prototype(
    model: str,
    weights: Path | None,
    classes: tuple[int, ...],
    layer: str | None,
    channels: tuple[int, ...],
    prior: str | None,
    strength: float | None,
    count: int,
    bounds: tuple[float, ...] | None,
    seed: int | None,
    parameters: tuple[tuple[str, Any], ...],
    data: tuple[Path, ...],
    labels: Path | None,
    shapes: Any,
    size: tuple[int, int] | None,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    device: str | None,
    out: Path,
    as_json: bool,
) -> None:
    """Draw what a class, channel or layer of MODEL looks for.

    Searches for inputs for which it is most active (activation maximization), and writes them as one picture, a column
    for each target, and as a file that `xai_activation_max.load_prototype` reads.
    """
    from xaicore import create_analyzer

    target = _target(classes, layer, channels)
    named = {"prior": prior, "strength": strength, "bounds": _pair(bounds), "seed": seed}
    chosen = _parameters(parameters, {name: value for name, value in named.items() if value is not None})
    out = _checked_out(out)
    loaded = load_model(model, weights)
    move(loaded.model, device)
    images = ImageOptions(size, mean, std, input_channels(loaded.model))
    analyzer: Any = create_analyzer("activation_max.prototype", loaded.model, **chosen)
    samples = load_inputs(data, images) if data else None
    if loaded.warning:
        click.echo(f"WARNING: {loaded.warning}", err=True)
    if samples is not None:
        analyzer.fit(samples.inputs if labels is None else (samples.inputs, _labels(labels)))
    elif labels is not None:
        raise click.UsageError("--labels belong to --data, which is not given.")
    example = _example(shapes, samples.inputs if samples is not None else None, loaded)
    try:
        found = analyzer.analyze(example, target, count=count, layer=layer)
    except NotFittedError as error:
        raise NotFittedError(
            f"{str(error).removesuffix('.')}. On the command line, data are given by --data FILE."
        ) from error
    normalised = {"mean": mean, "std": std} if (mean, std) != ((0.0,), (1.0,)) else {}
    _write(found, out, normalised)
    if as_json:
        echo_json(_record(found, model, out))
    else:
        click.echo(f"{found!r}\nWrote {out} and {out.with_suffix('.safetensors')}")


def _target(classes: tuple[int, ...], layer: str | None, channels: tuple[int, ...]) -> Any:
    if layer is None and channels:
        raise click.UsageError("--channel is one of --layer, which is not given.")
    if layer is not None and classes:
        raise click.UsageError("--class is one of the output; with --layer, give --channel, or none for all of it.")
    if layer is None and not classes:
        raise click.UsageError("Say what to search for: --class 3, or --layer NAME with --channel 3.")
    chosen = list(classes or channels)
    return None if not chosen else chosen[0] if len(chosen) == 1 else chosen


def _pair(bounds: tuple[float, ...] | None) -> tuple[float, float] | None:
    if bounds is None:
        return None
    if len(bounds) != 2:
        raise click.BadParameter("write the lowest and the highest value, as in 0,1.", param_hint="--bounds")
    return bounds[0], bounds[1]


def _parameters(pairs: tuple[tuple[str, Any], ...], named: dict[str, Any]) -> dict[str, Any]:
    given = parameters_of(pairs)
    for name in given:
        if name in named:
            raise click.UsageError(f"{name} is given by --{name} and by --param: give it once.")
    return named | given


def _checked_out(out: Path) -> Path:
    if out.is_dir():
        raise FileError(f"{str(out)!r} is a folder; name the picture, as in -o {out / 'prototype.png'}.")
    if out.suffix.lower() not in (".png", ".pdf", ".svg", ".jpg", ".jpeg"):
        raise click.BadParameter(f"{str(out)!r} is no picture: end it in .png, .pdf, .svg or .jpg.", param_hint="--out")
    if not out.resolve().parent.is_dir():
        raise FileError(f"The folder {str(out.resolve().parent)!r} does not exist; make it first.")
    return out


def _labels(path: Path) -> Tensor:
    """The classes of the data, one integer a sample."""
    import torch

    values = load_inputs([path], ImageOptions()).inputs
    if not isinstance(values, torch.Tensor):
        raise FileError(f"{str(path)!r} holds several arrays; labels are one array of integers.")
    flat = values.flatten()
    whole = flat.round().long()
    if bool((whole != flat).any()):
        raise ParameterError(f"{str(path)!r} holds numbers that are no whole ones; labels are numbers of classes.")
    return whole


def _example(given: Any, samples: Any, loaded: LoadedModel) -> Any:
    """What an input looks like: as told, as in the data, or as the model says."""
    import torch

    if given is not None:
        return torch.zeros_like(given)
    if samples is not None:
        return torch.zeros_like(samples[:1]) if isinstance(samples, torch.Tensor) else samples
    if loaded.example is not None:
        return loaded.example
    raise click.UsageError(
        "Nothing says what an input looks like: give --shape 1,3,64,64 (the batch first), or --data to learn from."
    )


def _write(found: Prototype, out: Path, normalised: dict[str, Any]) -> None:
    try:
        found.plot(**normalised).savefig(out)
    except OSError as error:
        raise FileError(f"{str(out)!r} cannot be written: {error}") from error
    found.save(out.with_suffix(".safetensors"))


def _record(found: Prototype, model: str, out: Path) -> dict[str, Any]:
    likely = found.probability
    return {
        "model": model,
        "method": found.method,
        "parameters": dict(found.parameters),
        "layer": found.layer,
        "quantity": found.quantity,
        "prototypes": [
            {
                "target": found.target[place],
                "score": float(found.score[place]),
                "probability": None if likely is None else float(likely[place]),
                "prior": float(found.prior[place]),
                "objective": float(found.objective[place]),
            }
            for place in range(len(found))
        ],
        "notes": list(found.notes),
        "files": [str(out), str(out.with_suffix(".safetensors"))],
    }
