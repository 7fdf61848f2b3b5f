"""Explanations as files, and as plain data for tables and JSON."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from xaicore.cli.images import ImageOptions
from xaicore.errors import FileError

if TYPE_CHECKING:
    from xaicore import Explanation

_CLASSES_SHOWN = 3
_SMALL = 64  # pixels a side
_PERCENTILE = 99.0


@contextmanager
def output_folder(folder: Path, inputs: Iterable[Path]) -> Iterator[None]:
    """Make the folder that is written to, and take it away again where nothing was written.

    It is made before any work, so that one that cannot be made is refused in time; and so is one that holds inputs,
    which figures could replace.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    _make(folder, inputs)
    try:
        yield
    finally:
        for each in missing:
            if not any(each.iterdir()):
                each.rmdir()


def _make(folder: Path, inputs: Iterable[Path]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"The folder {str(folder)!r} cannot be made: {error}") from error
    place = folder.resolve()
    if any(file.suffix.lower() == ".png" and file.resolve().parent == place for file in inputs):
        raise click.UsageError(
            f"{str(folder)!r} is where the inputs are, and figures are called like images: choose another --out."
        )


def write(
    explanation: Explanation,
    name: str,
    folder: Path,
    images: ImageOptions | None,
    pattern: float | None,
    drawing: Mapping[str, Any],
) -> list[str]:
    """Write the explanation of one sample and its figures, drawn with these options; return the names of the files."""
    stem = folder / name
    data, figure = stem.with_name(f"{stem.name}.safetensors"), stem.with_name(f"{stem.name}.png")
    explanation.save(data)
    shown: dict[str, Any] = {"mean": images.mean, "std": images.std} if images and explanation.layer is None else {}
    percentile = percentile_for(explanation, images, drawing)
    explanation.plot(**shown, **{**drawing, "percentile": percentile}).savefig(figure)
    if pattern is None:
        return [str(data), str(figure)]
    from xaicore.visualization import plot_pattern

    masked = stem.with_name(f"{stem.name}_pattern.png")
    plot_pattern(explanation, pattern, **shown).savefig(masked)
    return [str(data), str(figure), str(masked)]


def percentile_for(explanation: Explanation, images: ImageOptions | None, drawing: Mapping[str, Any]) -> float | None:
    """Where the colours of a sample are cut: as asked for, else for large images."""
    return drawing.get("percentile") or (_PERCENTILE if images and _is_large(explanation) else None)


def _is_large(explanation: Explanation) -> bool:
    """Whether a single pixel is too small to be seen, so that one of them must not set the scale."""
    relevance = explanation.relevance
    return not isinstance(relevance, dict) and relevance.ndim == 4 and min(relevance.shape[2:]) > _SMALL


def record(explanation: Explanation, name: str) -> dict[str, Any]:
    """What is said about one sample, as plain data."""
    checks = explanation.diagnostics
    return {
        "input": name,
        "prediction": _prediction(explanation),
        "target": explanation.target["labels"][0],
        "target_kind": explanation.target["kind"],
        "explained": _number(checks.explained),
        "reference": None if checks.reference is None else _number(checks.reference),
        "relevance_sum": _number(checks.relevance_sum),
        "conservation_gap": None if checks.conservation_gap is None else _number(checks.conservation_gap),
        "non_finite": checks.non_finite,
    }


def table_rows(records: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """The records as lines of a table with the columns `COLUMNS`; names of files cannot drive the terminal."""
    from xaicore.visualization.printable import printable

    return [
        (
            printable(each["input"]),
            _shown_prediction(each["prediction"]),
            each["target"],
            _shown(each["explained"]),
            _shown(each["relevance_sum"]),
        )
        for each in records
    ]


COLUMNS = ("INPUT", "PREDICTION (CLASS: VALUE)", "TARGET", "EXPLAINED", "RELEVANCE SUM")


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


def _shown_prediction(prediction: list[dict[str, float]] | float | None) -> str:
    if isinstance(prediction, list):
        return ", ".join(f"{each['class']}: {each['value']:.4g}" for each in prediction)
    return _shown(prediction)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
