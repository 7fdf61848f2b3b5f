"""Renderers by name: draw an explanation, or relevance, by any that is installed."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from matplotlib.axes import Axes
from torch import Tensor

from xaicore.errors import InputError, ParameterError, PluginError, nearest
from xaicore.explanation import Explanation
from xaicore.plugins import RendererSpec, find_renderer, renderers, resolve
from xaicore.visualization.scales import Array, as_array, as_map


def render(
    explained: Any,
    name: str,
    ax: Axes | None = None,
    *,
    sample: int = 0,
    image: Any = None,
    of: str | None = None,
    mean: Any = None,
    std: Any = None,
    **options: Any,
) -> Axes:
    """Draw relevance by a renderer, named as `xaicore.renderers()` lists them.

    Parameters
    ----------
    explained : Explanation, tensor or array
        Relevance that is no explanation is that of one sample, or of all for a renderer that draws them together.
    name : str
        Such as "core.contours", or "contours" where only one renderer is called so.
    ax : Axes, optional
        Where to draw; a new figure without it.
    sample : int
        Which sample of the explanation.
    image : optional
        What was explained, one sample of it; an explanation that keeps its inputs knows it.
    of : str, optional
        Which input of an explanation of several.
    mean, std : float or one a channel, optional
        What the image was normalised with.
    **options
        Those of the renderer, such as ``pool="norm"`` or ``percentile=99`` of images.

    Returns
    -------
    Axes

    Raises
    ------
    UnknownRendererError
        There is none of this name, or several are.
    ParameterError
        The renderer has no such option, or needs one that is not given.

    Examples
    --------
    >>> render(explanation, "contours", percentile=99)  # doctest: +SKIP
    """
    spec = find_renderer(name)
    relevance = explained
    if isinstance(explained, Explanation):
        relevance, given = _chosen(explained, None if spec.all_samples else sample, of)
        if explained.layer is not None and spec.given_as != "image":
            given = None  # the inputs are no values of the inner layer
        image = given if image is None else image
    return call(spec, relevance, ax, image, options, {"mean": mean, "std": std})


def call(
    spec: RendererSpec,
    relevance: Any,
    ax: Axes | None,
    given: Any,
    options: Mapping[str, Any],
    shared: Mapping[str, Any] | None = None,
) -> Axes:
    """Call a renderer with its own options, and those of `shared` that it has; `given` is what was explained."""
    function = resolve(spec.target)
    parameters = check_options(spec, options)
    arguments = {key: value for key, value in (shared or {}).items() if key in parameters and value is not None}
    if spec.given_as and given is not None:
        arguments[spec.given_as] = given
    arguments |= options
    needed = [
        key
        for key, each in parameters.items()
        if key not in ("relevance", "ax")
        and (each.default is each.empty or (spec.needs_input and key == spec.given_as))
        and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
    ]
    missing = [key for key in needed if arguments.get(key) is None]
    if missing:
        raise ParameterError(f"The renderer {spec.name} needs {missing[0]}=, which is not given.")
    found = function(relevance=relevance, ax=ax, **arguments)
    if not isinstance(found, Axes):
        raise PluginError(f"The renderer {spec.name} returned {type(found).__name__}; a renderer returns its axes.")
    return found


def check_options(spec: RendererSpec, options: Iterable[str]) -> Mapping[str, inspect.Parameter]:
    """Return the parameters of a renderer's function; refuse options that it does not have."""
    parameters = inspect.signature(resolve(spec.target)).parameters
    open_ended = any(each.kind is each.VAR_KEYWORD for each in parameters.values())
    unknown = [] if open_ended else [key for key in options if key not in parameters]
    if unknown:
        known = [key for key in parameters if key not in ("relevance", "ax")]
        raise ParameterError(
            f"The renderer {spec.name} has no option {unknown[0]!r}.{nearest(unknown[0], known)} "
            f"It has {', '.join(known)}."
        )
    return parameters


def measured(spec: RendererSpec, relevance: Any, options: Mapping[str, Any]) -> Array:
    """Return what stands on a renderer's colour scale for this relevance."""
    if not spec.measure:
        return as_map(relevance, options.get("pool") or "sum")
    function = resolve(spec.measure)
    known = inspect.signature(function).parameters
    chosen = {key: value for key, value in options.items() if key in known and value is not None}
    return as_array(function(relevance, **chosen))


def for_images(name: str) -> RendererSpec:
    """Find a renderer of images."""
    spec = find_renderer(name)
    if not _draws_an_image(spec):
        known = ", ".join(each.name for each in renderers() if _draws_an_image(each))
        raise ParameterError(f"{spec.name} draws no images one by one. Renderers that do: {known}.")
    return spec


def _draws_an_image(spec: RendererSpec) -> bool:
    return "image" in spec.inputs and not spec.all_samples


def _chosen(explanation: Explanation, sample: int | None, of: str | None) -> tuple[Tensor, Any]:
    """The relevance of one sample, or of all, and what was explained of it, where that is kept."""
    if sample is not None and not -len(explanation) <= sample < len(explanation):
        raise InputError(f"sample={sample}: the explanation has {len(explanation)} samples, counted from 0.")
    relevance, inputs = explanation.relevance, explanation.inputs
    if isinstance(relevance, Mapping):
        if of is None and len(relevance) > 1:
            raise InputError(f"The model has several inputs: choose one with of=, out of {list(relevance)}.")
        of = next(iter(relevance)) if of is None else of
        if of not in relevance:
            raise InputError(f"of={of!r}: there is no such input.{nearest(of, relevance)} There is {list(relevance)}.")
        relevance = relevance[of]
    elif of is not None:
        raise InputError(f"of={of!r}: the explanation is of one input; leave `of` out.")
    if isinstance(inputs, Mapping):
        inputs = inputs.get(of) if of is not None else None
    given = None if inputs is None else torch.as_tensor(inputs).detach()
    if sample is None:
        return relevance.detach(), given
    return relevance[sample].detach(), None if given is None else given[sample]
