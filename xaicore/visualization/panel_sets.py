"""The panels of an explanation: one for each input, and which of them share a scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from xaicore.errors import InputError, ParameterError, UnknownRendererError, nearest
from xaicore.explanation import Explanation
from xaicore.plugins import find_renderer
from xaicore.visualization.panels import KINDS, Panel
from xaicore.visualization.scales import symmetric_limit

SCALES = ("map", "row", "figure")
_KIND_OF = {f"core.{kind}": kind for kind in KINDS} | {"core.heatmap": "image", "core.channels_time": "channels"}


def panels_of(
    explanation: Explanation,
    inputs: Any,
    kind: Any,
    names: Any,
    merge: Any = None,
    behind: Mapping[str, Any] | None = None,
    drawing: Mapping[str, Any] | None = None,
) -> list[Panel]:
    """A panel for each input; kinds, names and merging may be given by input."""
    relevance = explanation.relevance
    named = {"": relevance} if isinstance(relevance, Tensor) else relevance
    kinds, texts = _by_input("kind", kind, named), _by_input("names", names, named)
    merging = _by_input("merge", merge, named)
    kinds = {name: kind_named(each) for name, each in kinds.items()}
    return [
        Panel(name, explanation, inputs, kinds[name], texts[name], merging[name], behind, drawing) for name in named
    ]


def kind_named(name: Any) -> Any:
    """One of KINDS, or the canonical name of a renderer; of several by input, each; None stays."""
    if isinstance(name, Mapping):
        return {key: kind_named(each) for key, each in name.items()}
    if name is None or name in KINDS:
        return name
    try:
        found = find_renderer(name)
    except UnknownRendererError as error:
        raise ParameterError(f"kind={name!r}: one of {KINDS}, or a renderer. {error}") from error
    if found.all_samples and found.name not in _KIND_OF:
        raise ParameterError(f"kind={name!r} draws all samples at once: call xaicore.visualization.render.")
    return _KIND_OF.get(found.name, found.name)


def shared_limits(panels: Sequence[Panel], rows: int, scale: str, percentile: float | None) -> list[list[float | None]]:
    """The limit of each panel's scale where several share one, samples by panels; None where each has its own."""
    if scale not in SCALES:
        raise ParameterError(f"scale={scale!r}: one of {SCALES}.{nearest(str(scale), SCALES)}")
    if scale == "map":
        return [[None] * len(panels) for _ in range(rows)]
    shown = [np.concatenate([panel.shown(row).ravel() for panel in panels]) for row in range(rows)]
    if scale == "figure":
        shown = [np.concatenate(shown)] * rows
    return [[symmetric_limit(values, None, percentile)] * len(panels) for values in shown]


def _by_input(what: str, given: Any, named: Mapping[str, Tensor]) -> dict[str, Any]:
    """What is given for each input: the same for all, or by name."""
    if not isinstance(given, Mapping):
        return dict.fromkeys(named, given)
    if list(named) == [""] and len(given) == 1:  # of an explanation of one input, which does not say how it is called
        return {"": next(iter(given.values()))}
    for name in given:
        if name not in named:
            known = ", ".join(map(repr, named)) if list(named) != [""] else "only one: give it without a dict"
            raise InputError(
                f"{what}: there is no explained input {name!r}; there is {known}.{nearest(str(name), named)}"
            )
    return {name: given.get(name) for name in named}
