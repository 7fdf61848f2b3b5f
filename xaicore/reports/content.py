"""What a report shows, as plain data: whoever has something to show fills these in, and `write_report` makes the page.

Nothing here knows of models or methods, and nothing of HTML.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Cell = str | float | int | None


@dataclass(frozen=True, kw_only=True)
class MapView:
    """The relevance of one sample under one column: a method, a class, a model.

    Attributes
    ----------
    relevance : array (H, W) or (T,), or None
        Of an image, or of the words of a text or the features of a table. None: there is none, and `reason` says why.
    explained : str
        What is explained: "class 3".
    score : float, optional
        The explained value.
    gap : float, optional
        Conservation gap, as a share of the explained value; None where the method promises none.
    non_finite : int
        How many relevance values were NaN or infinite, before any pooling.
    notes : tuple of str
        Fallbacks and warnings.
    reason : str
        Why there is no relevance.
    full_shape : tuple of int, optional
        The shape before `shrunk` made it smaller.
    limit : float, optional
        Where the map's own colour scale ends; without it at the largest magnitude.
    words : tuple of str, optional
        What a map (T,) is about, where that is not `SampleView.words`: of one input of several.
    """

    relevance: Array | None
    explained: str = ""
    score: float | None = None
    gap: float | None = None
    non_finite: int = 0
    notes: tuple[str, ...] = ()
    reason: str = ""
    full_shape: tuple[int, ...] | None = None
    limit: float | None = None
    words: tuple[str, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class SampleView:
    """One sample with its maps, by column.

    Attributes
    ----------
    name : str
        File name or number.
    maps : mapping of str to MapView
        By column; columns that are missing are left empty.
    picture : array (H, W) or (H, W, 3), optional
        Values between 0 and 1, as `xaicore.visualization.displayable` makes them.
    words : tuple of str, optional
        The tokens of a text, or the names of features: what maps (T,) are about.
    predicted, true : str
        Names of classes. A sample whose two differ counts as wrong.
    confidence : float, optional
        Softmax of the predicted class, 0 to 1.
    facts : mapping of str to str
        Anything else to show.
    scores : mapping of str to mapping of str to float
        By metric and column: what samples can be sorted by.
    cluster : str, optional
        "3 / cluster 1".
    position : (float, float), optional
        In the embedding.
    full_shape : tuple of int, optional
        The shape of the picture before `shrunk` made it smaller.
    """

    name: str
    maps: Mapping[str, MapView] = field(default_factory=dict)
    picture: Array | None = None
    words: tuple[str, ...] | None = None
    predicted: str = ""
    true: str | None = None
    confidence: float | None = None
    facts: Mapping[str, str] = field(default_factory=dict)
    scores: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    cluster: str | None = None
    position: tuple[float, float] | None = None
    full_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class MetricView:
    """The mean of a metric over the samples under one column, with an interval.

    Attributes
    ----------
    better : {"higher", "lower", ""}
        Which direction is better; "" where neither is.
    samples, undefined : int
        How many samples have a value, and how many have none. The mean is over the former.
    level : float
        Coverage of the interval from `low` to `high`.
    """

    metric: str
    column: str
    mean: float
    low: float
    high: float
    better: str = ""
    samples: int = 0
    undefined: int = 0
    note: str = ""
    level: float = 0.95


@dataclass(frozen=True, kw_only=True)
class CurveView:
    """Lines over one axis.

    Attributes
    ----------
    x : sequence of float (N,)
    lines : mapping of str to sequence of float (N,)
        By the name in the legend. NaN leaves a gap.
    bands : mapping of str to (low, high)
        By the name of a line: the edges of a band around it, each (N,).
    """

    title: str
    x_label: str
    y_label: str
    x: Sequence[float]
    lines: Mapping[str, Sequence[float]]
    caption: str = ""
    bands: Mapping[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class TableView:
    """A table of texts and numbers, whose rows the reader may sort by any column."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class Report:
    """Everything a page shows, from top to bottom.

    Attributes
    ----------
    title, lead : str
        The heading, and a sentence or two below it.
    facts : sequence of (str, str)
        Model, weights, data, versions, seeds, parameters; see `facts_about`.
    command, code : str
        What makes this report again, at a terminal and in Python.
    samples : sequence of SampleView
    columns : sequence of str
        The columns in their order; without them those of the samples, as they come.
    notes : sequence of str
        What the reader should know of all. Those that begin with "do not trust this explanation" stand out.
    """

    title: str
    lead: str = ""
    facts: Sequence[tuple[str, str]] = ()
    command: str = ""
    code: str = ""
    samples: Sequence[SampleView] = ()
    columns: Sequence[str] = ()
    metrics: Sequence[MetricView] = ()
    curves: Sequence[CurveView] = ()
    tables: Sequence[TableView] = ()
    notes: Sequence[str] = ()
