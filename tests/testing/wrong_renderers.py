"""Renderers with one thing wrong each, by the name of the check that must find it, and one with nothing wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xaicore.errors import InputError
from xaicore.plugins import RendererSpec


def right(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    """Columns of an image, red above and blue below."""
    columns = as_columns(relevance)
    ax = Figure().subplots() if ax is None else ax
    limit = scale or float(np.abs(columns[np.isfinite(columns)]).max(initial=0.0)) or 1.0
    shares = np.nan_to_num(columns, posinf=0.0, neginf=0.0) / limit
    ax.bar(range(len(shares)), shares, color=["tab:red" if share > 0 else "tab:blue" for share in shares])
    ax.set_ylim(-1, 1)
    return ax


def as_columns(relevance: Any) -> Any:
    try:
        values = relevance.detach().double().numpy() if hasattr(relevance, "detach") else np.asarray(relevance, float)
    except (TypeError, ValueError) as error:
        raise InputError("the relevance holds no numbers: give a tensor or an array") from error
    if values.ndim != 3 or not values.size:
        raise InputError(f"the relevance has shape {values.shape}: give one image, (C, H, W)")
    return values.sum((0, 1))


def needs_axes(relevance: Any, ax: Axes, *, image: Any = None, scale: float | None = None) -> Axes:
    return right(relevance, ax, scale=scale)


def elsewhere(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    found = right(relevance, ax, scale=scale)
    if ax is not None:
        for other in found.figure.axes:
            other.plot([0, 1], [0, 0])
    return found


def popping_up(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure().add_subplot()
    return right(relevance, ax, scale=scale)


def only_finite(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    if not np.isfinite(as_columns(relevance)).all():
        raise ValueError("not finite")
    return right(relevance, ax, scale=scale)


def only_float32(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    if hasattr(relevance, "detach"):
        relevance = relevance.detach().float().numpy() * 1.5
    return right(relevance, ax, scale=scale or 3.0)


def takes_all(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    try:
        as_columns(relevance)
    except InputError:
        relevance = np.zeros((1, 1, 3))
    return right(relevance, ax, scale=scale)


def secretly_needy(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    if image is None:
        raise InputError("an image is needed")
    return right(relevance, ax, scale=scale)


def scribbling(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    found = right(relevance, ax, scale=scale)
    if isinstance(relevance, np.ndarray):
        relevance *= 0.5
    return found


def restyling(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    mpl.rcParams["font.size"] = 7.0
    return right(relevance, ax, scale=scale)


CALLS: list[int] = []


def changing(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    CALLS.append(1)
    found = right(relevance, ax, scale=scale)
    found.plot([0, 7], [0.02 * (len(CALLS) % 7) - 0.9] * 2, linewidth=0.6)
    return found


def constant(relevance: Any, ax: Axes | None = None, *, image: Any = None) -> Axes:
    as_columns(relevance)
    return right(np.arange(12.0).reshape(1, 1, 12) - 6, ax)


def of_magnitudes(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    return right(np.abs(as_columns(relevance))[None, None], ax, scale=scale)


def absolute(relevance: Any, ax: Axes | None = None, *, image: Any = None, scale: float | None = None) -> Axes:
    return right(relevance, ax, scale=1.0)


def not_finite(relevance: Any) -> Any:
    return np.full(3, np.nan)


SPEC = RendererSpec(
    name="wrong.columns", target="wrong_renderers:right", summary="Columns of an image.", inputs=("image",),
    given_as="image", scale="signed", measure="wrong_renderers:as_columns",
)  # fmt: skip


def described(function: Callable[..., Any], **changes: Any) -> RendererSpec:
    return replace(SPEC, target=f"wrong_renderers:{function.__name__}", **changes)


WRONG: dict[str, RendererSpec] = {
    "as_described": described(right, inputs=("picture",)),
    "draws_on_given_axes": described(elsewhere),
    "makes_axes_of_its_own": described(popping_up),
    "any_relevance": described(only_finite),
    "tensors_and_arrays": described(only_float32, scale="", measure=""),
    "refuses_bad_input": described(takes_all),
    "says_what_it_needs": described(secretly_needy),
    "inputs_untouched": described(scribbling),
    "no_global_state": described(restyling),
    "repeatable": described(changing),
    "shows_the_relevance": described(constant, scale="", measure=""),
    "tells_signs_apart": described(of_magnitudes),
    "scale_as_described": described(absolute),
    "measure_as_described": described(right, measure="wrong_renderers:not_finite"),
}
