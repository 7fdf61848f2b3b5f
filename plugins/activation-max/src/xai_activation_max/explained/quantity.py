"""Which tensor of a graph is read, and how one number a sample is made of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xaicore.analyzers import Contrast, Target, resolve_target
from xaicore.errors import LayerError, TargetError
from xaicore.graph import Graph, Kind, Part, Ref

OBJECTIVES = ("log_probability", "logit")


@dataclass(frozen=True)
class Quantity:
    """One number a sample.

    Attributes
    ----------
    ref : Ref
        The tensor that it is read from.
    prepared : callable
        What the target is taken of, from that tensor in the type of the search.
    target : Target
    name : str
        What the number is: "log probability", "logit", "activation", ...
    place : str
        Where it is read, in words for `words_of`; "" for an output of the model.
    """

    ref: Ref
    prepared: Callable[[Tensor], Tensor]
    target: Target
    name: str
    place: str = ""

    def at(self, value: Tensor) -> Tensor:
        """The number of each sample, (N,)."""
        return self.target.score(self.prepared(value))


def of_output(graph: Graph, target: Any, output: str | int | None, objective: str, batch: int = 1) -> Quantity:
    """The log probability or the logit of a target, or a function of an output; ``batch`` is for messages.

    Raises
    ------
    TargetError
        There is no such target, or nobody can say what its probability is.
    """
    chosen = resolve_target(target, output)
    ref = graph.outputs[chosen.select({name: _blank(ref, batch) for name, ref in graph.outputs.items()})]
    if _is_function(target):
        return Quantity(ref, _as_it_is, chosen, "value")
    source, head = _head_of(ref)
    if objective == "logit":
        return Quantity(source, _as_it_is, chosen, "logit")
    if head is None:
        raise TargetError(
            f"the output has {len(ref.info.shape) - 1} dimensions after the batch, and nothing says which of them are "
            "classes, so that it has no probabilities. Choose objective='logit', or give target= a function of the "
            "output that returns one value a sample"
        )
    return Quantity(source, head, chosen, "log probability")


def of_layer(graph: Graph, layer: str, target: Any) -> Quantity:
    """The activation of a unit, of a channel or other part (its mean), or the squared norm of all of a layer."""
    ref = graph.find_ref(layer)
    if ref.layer.constant or not ref.info.dtype.is_floating_point:
        raise LayerError(f"'{layer}' does not depend on the inputs in a differentiable way: choose another layer")
    if target is None:
        return Quantity(ref, _as_it_is, resolve_target(_squared_norm), "squared norm", layer)
    if isinstance(target, Part):
        return Quantity(ref, _as_it_is, resolve_target(_mean_over(target, layer)), "activation", layer)
    if _is_function(target):
        return Quantity(ref, _as_it_is, resolve_target(target), "value", layer)
    prepared = _as_it_is if _names_units(target) else _channel_means
    return Quantity(ref, prepared, resolve_target(target), "activation", layer)


def words_of(quantity: Quantity, described: dict[str, Any], positions: bool, asked: Any) -> list[str]:
    """What is searched for, one text a sample; ``positions``: whether the layer has any behind its channels."""
    kind, labels = described["kind"], described["labels"]
    if not quantity.place:
        words = {"class": "class ", "contrast": "classes ", "index": "output "}.get(kind, "")
        return [f"{words}{label}" for label in labels]
    if asked is None:
        return [f"all of {quantity.place}"] * len(labels)
    if isinstance(asked, Part):
        return [f"{asked!r} of {quantity.place}"] * len(labels)
    by_channel = quantity.prepared is _channel_means and positions and kind == "class"
    one = {"class": "channel " if by_channel else "unit ", "index": "unit "}.get(kind, "")
    return [f"{one}{label} of {quantity.place}" for label in labels]


def count_of(target: Any) -> int | None:
    """How many samples a target is for; None where it is the same for all."""
    plain = target.tolist() if hasattr(target, "tolist") else target
    if isinstance(target, Contrast):
        return count_of(target.a) or count_of(target.b)
    listed = isinstance(plain, Sequence) and not isinstance(plain, str | bytes | tuple)
    return len(plain) if listed else None


def _head_of(ref: Ref) -> tuple[Ref, Callable[[Tensor], Tensor] | None]:
    """Where logits are read, and how log probabilities are made of what is read there.

    What the core left standing at the end of the graph are logits, except for a sigmoid, or a softmax that a reshape
    follows.
    """
    layer = ref.layer
    if layer.op_name == "sigmoid":
        return layer.inputs[0], F.logsigmoid
    while layer.kind is Kind.RESHAPE and len(layer.inputs) == 1:
        layer = layer.inputs[0].layer
    if layer.op_name in ("sigmoid", "softmax"):
        return ref, _log
    if layer.op_name in ("log_sigmoid", "log_softmax"):
        return ref, _as_it_is
    sizes = ref.info.shape[1:]
    if not sizes or tuple(sizes) == (1,):
        return ref, F.logsigmoid
    return ref, _log_softmax if len(sizes) == 1 else None


def _as_it_is(value: Tensor) -> Tensor:
    return value


def _log_softmax(value: Tensor) -> Tensor:
    return F.log_softmax(value, 1)


def _log(value: Tensor) -> Tensor:
    # A probability that has become zero has no gradient either way.
    return value.clamp_min(torch.finfo(value.dtype).tiny).log()


def _channel_means(value: Tensor) -> Tensor:
    return value.flatten(2).mean(2) if value.ndim > 2 else value


def _squared_norm(value: Tensor) -> Tensor:
    return value.flatten(1).square().sum(1)


def _mean_over(part: Part, layer: str) -> Callable[[Tensor], Tensor]:
    def mean(value: Tensor) -> Tensor:
        mask = part.mask(tuple(value.shape), layer).to(value.device).expand(value.shape)
        return (value * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)

    return mean


def _is_function(target: Any) -> bool:
    return callable(target) and not isinstance(target, Target | Tensor | Contrast)


def _names_units(target: Any) -> bool:
    """Whether a target is made of indices into several dimensions, rather than of channels."""
    if isinstance(target, Contrast):
        return _names_units(target.a) or _names_units(target.b)
    plain = target.tolist() if hasattr(target, "tolist") else target
    if isinstance(plain, tuple):
        return len(plain) > 1
    return isinstance(plain, Sequence) and any(isinstance(each, tuple | list) and len(each) > 1 for each in plain)


def _blank(ref: Ref, batch: int) -> Tensor:
    """A tensor of the shape of an output, for choosing one by name."""
    return torch.empty([size if isinstance(size, int) else batch for size in ref.info.shape], device="meta")
