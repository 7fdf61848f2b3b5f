"""The relevant pattern: the input with only those positions left that carry the most relevance."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xaicore.errors import InputError, ParameterError, nearest

if TYPE_CHECKING:
    from xaicore.explanation.result import Explanation

FILLS = ("mean", "blur")
_BLUR_OF_FILL = 0.1  # the width of a blurred fill, as a share of the size of the input


def relevant_pattern(
    explanation: Explanation,
    keep: float = 0.8,
    *,
    quantile: float | None = None,
    blur: float = 0.0,
    fill: float | str | Tensor | Mapping[str, Any] = 0.0,
    inputs: Any = None,
) -> Tensor | dict[str, Tensor]:
    """See `Explanation.relevant_pattern`."""
    if explanation.layer is not None:
        raise InputError(f"the relevance is that of layer '{explanation.layer}': a pattern is cut out of the inputs")
    inputs = explanation.inputs if inputs is None else inputs
    if inputs is None:
        raise InputError("the explanation keeps no inputs: give them as inputs=")
    relevance, given = _by_name(explanation.relevance), _by_name(inputs)
    for name, values in relevance.items():
        _check(name, values, given, len(explanation))
    maps = {name: blurred(_pooled(values), blur, first=min(values.ndim - 1, 2)) for name, values in relevance.items()}
    kept = kept_positions(maps, keep, quantile)
    shown = {}
    for name, x in given.items():
        filling = fill.get(name, 0.0) if isinstance(fill, Mapping) else fill
        shown[name] = torch.where(kept[name].to(x.device), x, _filled(name, x, filling)) if name in kept else x.clone()
    return shown.get("", shown)


def blurred(values: Tensor, sigma: float | list[float], first: int = 2) -> Tensor:
    """Smooth (B, ...) with a Gaussian of this standard deviation along each dimension from ``first`` on.

    Beyond the border the nearest value goes on.
    """
    dims = range(first, values.ndim)
    widths = sigma if isinstance(sigma, list) else [sigma] * len(dims)
    if any(not (0 <= width < math.inf) for width in widths):
        raise ParameterError(f"blur={sigma!r}: the standard deviation of a Gaussian is a number of positions from 0 on")
    for dim, width in zip(dims, widths, strict=True):
        if width:
            values = _smoothed(values, dim, width)
    return values


def _smoothed(values: Tensor, dim: int, sigma: float) -> Tensor:
    size, reach = values.shape[dim], math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, device=values.device)
    weights = torch.exp(-0.5 * (steps / sigma) ** 2).to(values.dtype)
    beyond = torch.arange(-reach, size + reach, device=values.device).clamp(0, size - 1)
    lines = values.movedim(dim, -1)
    padded = lines.index_select(-1, beyond).reshape(-1, 1, len(beyond))
    return F.conv1d(padded, (weights / weights.sum()).view(1, 1, -1)).view(lines.shape).movedim(-1, dim)


def _by_name(tensors: Any) -> dict[str, Tensor]:
    if isinstance(tensors, Mapping):
        return {str(name): torch.as_tensor(tensor) for name, tensor in tensors.items()}
    return {"": torch.as_tensor(tensors)}


def _check(name: str, values: Tensor, given: Mapping[str, Tensor], samples: int) -> None:
    what = f"input {name!r}" if name else "the input"
    if name not in given:
        raise InputError(f"inputs= lacks {what}; it has {', '.join(map(repr, given))}.{nearest(name, given)}")
    if given[name].shape != values.shape:
        raise InputError(f"{what} has shape {tuple(given[name].shape)}, its relevance {tuple(values.shape)}")
    if values.shape[:1] != (samples,) or values.ndim < 2:
        raise InputError(f"the relevance of {what} has shape {tuple(values.shape)}: it has no positions in each sample")
    if not bool(torch.isfinite(values).all()):
        raise InputError(f"the relevance of {what} has NaN or infinite values: it tells no pattern")


def _pooled(values: Tensor) -> Tensor:
    """Relevance by position, in single precision or better: channels are summed, since a pixel has one fate."""
    wide = values.detach().float() if values.dtype in (torch.float16, torch.bfloat16) else values.detach()
    return wide.sum(1, keepdim=True) if wide.ndim > 2 else wide


def kept_positions(maps: Mapping[str, Tensor], keep: float, quantile: float | None) -> dict[str, Tensor]:
    """Which positions stay: those above a threshold that all inputs of a sample share, and above zero."""
    everything = torch.cat([values.flatten(1) for values in maps.values()], 1)
    ranked = everything.sort(1, descending=True).values
    if quantile is None:
        if not 0 < keep <= 1:
            raise ParameterError(f"keep={keep!r}: a share of the positive relevance lies above 0 and up to 1")
        carried = ranked.clamp_min(0).cumsum(1, dtype=torch.float64)
        # As many as lack the share before they are counted; rounding must not ask for one more.
        wanted = (keep - 1e-9) * carried[:, -1:]
        count = (carried < wanted).sum(1, keepdim=True) + 1
    else:
        if not 0 <= quantile < 1:
            raise ParameterError(f"quantile={quantile!r}: a quantile lies between 0 and 1, without 1")
        count = torch.full((len(ranked), 1), math.ceil((1 - quantile) * ranked.shape[1] - 1e-9), device=ranked.device)
    threshold = ranked.gather(1, count.clamp(1, ranked.shape[1]) - 1)
    return {
        name: (values >= threshold.view(-1, *[1] * (values.ndim - 1))) & (values > 0) for name, values in maps.items()
    }


def _filled(name: str, x: Tensor, fill: Any) -> Tensor:
    """What is shown where nothing is kept."""
    what = f"input {name!r}" if name else "the input"
    if isinstance(fill, str):
        if fill not in FILLS:
            raise ParameterError(f"fill={fill!r}: a number, a tensor, or one of {FILLS}.{nearest(fill, FILLS)}")
        if not x.is_floating_point():
            raise InputError(f"fill={fill!r}: {what} holds {x.dtype}, whose entries cannot be averaged; give a number")
        first = min(x.ndim - 1, 2)
        if fill == "mean":
            return x.mean(tuple(range(first, x.ndim)), keepdim=True).expand_as(x)
        return blurred(x, [_BLUR_OF_FILL * size for size in x.shape[first:]], first)
    filling = torch.as_tensor(fill, device=x.device)
    if not x.is_floating_point() and filling.is_floating_point() and not bool((filling == filling.round()).all()):
        raise InputError(f"fill={fill!r}: {what} holds {x.dtype}; give an integer, such as the number of a mask token")
    try:
        return filling.to(x.dtype).expand_as(x)
    except RuntimeError:
        raise InputError(
            f"fill= has shape {tuple(filling.shape)}, which does not broadcast to {what} of shape {tuple(x.shape)}"
        ) from None
