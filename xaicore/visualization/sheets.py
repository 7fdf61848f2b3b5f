"""What stands in a grid of inputs x methods: columns, row titles, captions, maps. Nothing is drawn here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Explanation
from xaicore.visualization.scales import single

Columns = (
    Explanation
    | Sequence[Explanation]
    | Mapping[str, Explanation]
    | Mapping[str, Mapping[str, Explanation]]
    | Mapping[str, "Explanation | Mapping[str, Explanation]"]
)


@dataclass(frozen=True)
class Column:
    """One method (or target) of the grid; columns of one group stand under a common heading."""

    group: str
    title: str
    explanation: Explanation


@dataclass(frozen=True)
class Sheet:
    """The contents of a grid; every list of lists is rows x columns."""

    columns: list[Column]
    relevance: list[list[Tensor]]
    captions: list[list[str]]
    heads: list[str]
    images: list[Tensor] | None
    repeated: list[bool]  # the row shows the image of the row above


def make_sheet(
    inputs: Any,
    explanations: Columns,
    labels: Sequence[str] | None,
    true: Sequence[Any] | Tensor | None,
    score: str | None,
    name: str | None,
    rows: Sequence[str] | None = None,
    captions: Sequence[Sequence[str]] | None = None,
) -> Sheet:
    """Collect the contents of a grid; see `xaicore.visualization.grid` for the parameters."""
    columns = columns_of(explanations)
    first = columns[0].explanation
    count = len(first)
    if count == 0 or any(len(column.explanation) != count for column in columns):
        counts = {column.title: len(column.explanation) for column in columns}
        raise InputError(f"Every column of a grid needs the same samples, at least one; got {counts}.")
    relevance = [[single(_relevance(column.explanation, name)[row]) for column in columns] for row in range(count)]
    images = _images(first.inputs if inputs is None else inputs, count, name)
    repeated = [images is not None and row > 0 and torch.equal(images[row], images[row - 1]) for row in range(count)]
    targets = [[target_name(column.explanation, row, labels) for column in columns] for row in range(count)]
    columns, below, explained = _place_targets(columns, targets)
    below = _with_captions(below, captions)
    names = _row_names(rows, count)
    truths, answers = _truths(count, labels, true), _answers(first, labels, score)
    heads = []
    for row in range(count):
        said = names[row : row + 1] if names else []
        if not repeated[row] or truths[row] != truths[row - 1]:
            said = said + truths[row]
        if not repeated[row] or names or answers[row] != answers[row - 1]:  # of the same input, said one row above
            said = said + answers[row]
        heads.append("\n".join([*said, *explained[row : row + 1]]))
    return Sheet(columns, relevance, below, heads, images, repeated)


def _row_names(rows: Sequence[str] | None, count: int) -> list[str]:
    if rows is not None and len(rows) != count:
        raise InputError(f"rows= has {len(rows)} names for {count} rows.")
    return [] if rows is None else [str(name) for name in rows]


def _with_captions(below: list[list[str]], captions: Sequence[Sequence[str]] | None) -> list[list[str]]:
    """What is given stands above what is explained."""
    if captions is None:
        return below
    if len(captions) != len(below) or any(len(line) != len(below[0]) for line in captions):
        raise InputError(f"captions= needs {len(below)} rows of {len(below[0])} texts.")
    pairs = [zip(given, own, strict=True) for given, own in zip(captions, below, strict=True)]
    return [["\n".join(filter(None, pair)) for pair in line] for line in pairs]


def columns_of(explanations: Columns) -> list[Column]:
    """Return the columns in order; canonical names "namespace.method" are grouped by their namespace."""
    if isinstance(explanations, Explanation):
        explanations = [explanations]
    if not isinstance(explanations, Mapping):
        columns = [Column("", title, each) for title, each in zip(_titles(explanations), explanations, strict=True)]
    else:
        columns = []
        for title, entry in explanations.items():
            if isinstance(entry, Mapping):
                columns += [Column(title, inner, each) for inner, each in entry.items()]
            else:
                columns.append(Column("", title, entry))
    if not columns or not all(isinstance(column.explanation, Explanation) for column in columns):
        raise InputError(
            "A grid needs explanations: a list of them, a dict by column title, or a dict of dicts by group and title."
        )
    canonical = all(not c.group and c.title == c.explanation.method and c.title.count(".") == 1 for c in columns)
    if canonical and len(columns) > 1:
        return [Column(*_split(column.title), column.explanation) for column in columns]
    return [replace(column, title=column.title.removeprefix(f"{column.group}.")) for column in columns]


def _split(canonical: str) -> tuple[str, str]:
    namespace, _, method = canonical.partition(".")
    return namespace, method


def target_name(explanation: Explanation, sample: int, labels: Sequence[str] | None) -> str:
    """Return how the explained quantity of one sample is called; a class by its name in `labels`."""
    index = explanation.target["index"][sample]
    # "mixed" is what explanations of several kinds of target are when they are joined.
    if explanation.target["kind"] in ("class", "mixed") and isinstance(index, int):
        return class_name(index, labels)
    return str(explanation.target["labels"][sample])


def class_name(index: int, labels: Sequence[str] | None) -> str:
    """Return the name of a class, or its number."""
    return str(labels[index]) if labels is not None and 0 <= index < len(labels) else str(index)


def _titles(explanations: Sequence[Explanation]) -> list[str]:
    """Titles of a list: the methods' names, told apart by their parameters where one occurs twice."""
    methods = [getattr(each, "method", "") for each in explanations]
    titles = []
    for each, method in zip(explanations, methods, strict=True):
        twice = methods.count(method) > 1 and each.parameters
        details = ", ".join(f"{key}={value}" for key, value in each.parameters.items()) if twice else ""
        titles.append(f"{method} {details}".strip())
    return titles


def _relevance(explanation: Explanation, name: str | None) -> Tensor:
    relevance = explanation.relevance
    if isinstance(relevance, Tensor):
        return relevance
    if name is None and len(relevance) == 1:
        return next(iter(relevance.values()))
    if name not in relevance:
        raise InputError(f"The model has several inputs: choose one with name=, out of {list(relevance)}.")
    return relevance[name]


def _images(inputs: Any, rows: int, name: str | None) -> list[Tensor] | None:
    if inputs is None:
        return None
    if isinstance(inputs, Mapping):
        if name is None and len(inputs) > 1:
            raise InputError(f"The model has several inputs: choose one with name=, out of {list(inputs)}.")
        inputs = inputs[name] if name in inputs else next(iter(inputs.values()))
    images = [torch.as_tensor(image).detach() for image in inputs]
    if len(images) != rows:
        raise InputError(f"{len(images)} inputs for explanations of {rows} samples: a grid has one row a sample.")
    return images


def _place_targets(columns: list[Column], targets: list[list[str]]) -> tuple[list[Column], list[list[str]], list[str]]:
    """Say once what is explained: by row where a row agrees, else by column where those agree, else under each cell."""
    nothing = [[""] * len(columns) for _ in targets]
    if all(column.explanation.target["kind"] == "output" for column in columns):
        return columns, nothing, []
    if all(len(set(row)) == 1 for row in targets):
        return columns, nothing, [f"explained: {row[0]}" for row in targets]
    if all(len({row[place] for row in targets}) == 1 for place in range(len(columns))):
        titled = [replace(c, title=f"{c.title}\nfor {name}") for c, name in zip(columns, targets[0], strict=True)]
        return titled, nothing, []
    return columns, [[f"for {name}" for name in row] for row in targets], []


def _truths(count: int, labels: Sequence[str] | None, true: Sequence[Any] | Tensor | None) -> list[list[str]]:
    """The true class of each row, as a line of its title, where it is given."""
    if true is None:
        return [[] for _ in range(count)]
    known = true.tolist() if isinstance(true, Tensor) or hasattr(true, "tolist") else list(true)
    if len(known) != count:
        raise InputError(f"{len(known)} true classes for {count} samples: give one a sample.")
    return [[f"true: {class_name(each, labels) if isinstance(each, int) else each}"] for each in known]


def _answers(explanation: Explanation, labels: Sequence[str] | None, score: str | None) -> list[list[str]]:
    """The predicted class of each row, as a line of its title."""
    if score not in ("output", "softmax", None):
        raise ParameterError(f"score={score!r}: one of 'output', 'softmax', None.")
    lines: list[list[str]] = [[] for _ in range(len(explanation))]
    output = explanation.prediction.detach().cpu().double()
    if output.ndim == 1 or (output.ndim == 2 and output.shape[1] == 1):
        for line, value in zip(lines, output.reshape(-1).tolist(), strict=True):
            line.append(f"predicted: {value:.3g}")
    elif output.ndim == 2:
        shown = output.softmax(1) if score == "softmax" else output
        for line, values, row in zip(lines, shown, output, strict=True):
            best = int(row.argmax())
            value = float(values[best])
            ending = {"softmax": f" ({100 * value:.0f} %)", "output": f" ({value:.2f})", None: ""}[score]
            line.append(f"predicted: {class_name(best, labels)}{ending}")
    return lines
