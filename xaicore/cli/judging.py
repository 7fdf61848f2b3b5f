"""Options that say which metrics judge explanations, and where the object is."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.options import called
from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore.scoring import Metric, Scores


def judging_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--metric``, ``--masks`` and ``--boxes``."""
    metric = click.option(
        "--metric", "metrics", type=called, metavar="METRIC", multiple=True,
        help="A metric, with parameters where it needs them: 'pixel_flipping(patch=4)'; see `xaicore list --metrics`.",
    )  # fmt: skip
    return metric(place_options(command))


def place_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``--masks`` and ``--boxes``: where the object is."""
    masks = click.option(
        "--masks", type=click.Path(path_type=Path),
        help="Where the object is, (samples, height, width) in a .npy or .pt file: what is not zero is inside.",
    )  # fmt: skip
    boxes = click.option(
        "--boxes", type=click.Path(path_type=Path),
        help="Where the object is, (samples, 4) in a .npy, .pt or .csv file: x1, y1, x2, y2 in pixels.",
    )  # fmt: skip
    return masks(boxes(command))


def metrics_of(given: Sequence[tuple[str, dict[str, Any]]]) -> list[Metric]:
    """The metrics that are named on the command line."""
    if not given:
        return []
    from xaicore.scoring import create_metric

    return [create_metric(name, **parameters) for name, parameters in given]


def masks_of(masks: Path | None, boxes: Path | None) -> dict[str, Any]:
    """What `xaicore.evaluate` is given of these files."""
    if masks is not None and boxes is not None:
        raise click.UsageError("give --masks or --boxes, not both.")
    return {name: _array(path) for name, path in (("masks", masks), ("boxes", boxes)) if path is not None}


def scores_json(scores: Scores) -> dict[str, Any]:
    """Scores as plain data; None stands for NaN, which JSON does not know."""
    low, high = scores.interval()
    curve = scores.curve
    found = {
        "mean": _number(scores.mean),
        "interval": [_number(low), _number(high)],
        "undefined": scores.undefined,
        "higher_is_better": scores.higher_is_better,
        "values": [_number(value) for value in scores],
        "notes": list(scores.notes),
    }
    if curve is None:
        return found
    return found | {"curve": {"x": curve.x.tolist(), "mean": [_number(value) for value in curve.mean().tolist()]}}


def _array(path: Path) -> Any:
    from xaicore.cli.arrays import ARRAY_SUFFIXES, open_array

    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise FileError(f"{str(path)!r} is no array file ({', '.join(ARRAY_SUFFIXES)}).")
    return open_array(path).whole()


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
