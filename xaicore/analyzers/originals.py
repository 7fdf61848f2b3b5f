"""The user's own inputs: what relevance is named, shaped and typed like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.engine import Inputs
from xaicore.errors import InputError, LayerError
from xaicore.graph import Graph, Ref
from xaicore.graph.tokens import pull_to_tokens


class Originals:
    """The inputs as the user gave them, beside those of the graph.

    Made from what was prepared for the model, and the user's `own_tensors`.

    Attributes
    ----------
    given : dict of str to Tensor
        What the graph is given, by the names of its inputs.
    names : dict of str to str
        How the user calls each of them.
    """

    def __init__(self, graph: Graph, prepared: Inputs, own: Mapping[str, Tensor]) -> None:
        self.graph, self.own = graph, own
        self.tensors = graph.flatten(prepared.args, prepared.kwargs)
        self.given = dict(zip((layer.name for layer in graph.inputs), self.tensors, strict=True))
        # The graph takes keyword arguments in the order of their names.
        as_given = Inputs(prepared.args, dict(sorted(prepared.kwargs.items())), prepared.names).tensors()
        self.names = dict(zip(self.given, as_given, strict=True))

    def like(self, found: Mapping[str, Sequence[Tensor]]) -> Tensor | dict[str, Tensor]:
        """Relevance by input of the graph, one tensor for each of ``graph.sources``, in the form of the inputs."""
        returned = {self.names[name]: self._at_input(name, each) for name, each in found.items()}
        return next(iter(returned.values())) if len(self.given) == 1 else returned

    def _at_input(self, name: str, found: Sequence[Tensor]) -> Tensor:
        tensor = self.given[name]
        if tensor.is_floating_point():
            own = self.own.get(self.names[name])
            return found[0] if own is None else found[0].to(own.device, own.dtype)
        # One value a token: the sum over the embedding, and over the embeddings where there are several.
        source = next(layer for layer in self.graph.inputs if layer.name == name)
        inputs = dict(zip(self.graph.inputs, self.tensors, strict=True))
        sizes = self.graph.sizes(self.tensors)
        refs: Sequence[Ref] = self.graph.sources[name]
        tokens = [
            pull_to_tokens(self.graph, source, ref, relevance.sum(-1), inputs, sizes)
            for ref, relevance in zip(refs, found, strict=True)
        ]
        return torch.stack(tokens).sum(0) if len(tokens) > 1 else tokens[0]

    def filled(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """Relevance by input of the graph, already of its shape, in the form of the inputs; zeros for the others."""
        returned: dict[str, Tensor] = {}
        for name in self.graph.sources:
            tensor = self.given[name]
            # Integers have relevance all the same: one floating-point value each.
            dtype = tensor.dtype if tensor.is_floating_point() else None
            values = relevance[name] if name in relevance else torch.zeros_like(tensor, dtype=dtype or torch.float32)
            own = self.own.get(self.names[name])
            returned[self.names[name]] = values.to(dtype) if own is None else values.to(own.device, own.dtype)
        return next(iter(returned.values())) if len(self.given) == 1 else returned

    def kept(self) -> Tensor | dict[str, Tensor]:
        """Copies of the inputs, for an explanation to keep."""
        given = {self.names[name]: tensor.detach().clone() for name, tensor in self.given.items()}
        return next(iter(given.values())) if len(given) == 1 else given

    def notes(self, layer: str | None) -> list[str]:
        """Which inputs cannot be explained."""
        if layer is not None:
            return []
        ignored = [self.names[layer.name] for layer in self.graph.inputs if layer.name not in self.graph.sources]
        return [f"not explained: {', '.join(ignored)} (integers that no embedding looks up)"] if ignored else []


def own_tensors(inputs: Any, prepared: Inputs) -> dict[str, Tensor]:
    """The user's own tensors by name: relevance is returned in their type and on their device."""
    given: dict[str, Any]
    if isinstance(inputs, Mapping):
        given = dict(inputs)
    else:
        given = dict(zip(prepared.names, inputs if isinstance(inputs, tuple) else (inputs,), strict=False))
    return {name: value for name, value in given.items() if isinstance(value, Tensor) and value.is_floating_point()}


def starts_of(graph: Graph, layer: str | None) -> dict[str, tuple[Ref, ...]]:
    """Where explanations end: at a layer, or at the inputs; by the name under which they are returned."""
    if layer is not None:
        ref = graph.find_ref(layer)
        if ref.layer.constant:
            raise LayerError(f"'{layer}' does not depend on the inputs: it has no relevance")
        return {layer: (ref,)}
    starts = graph.sources
    if not starts:
        raise InputError(
            f"none of the inputs ({', '.join(i.name for i in graph.inputs)}) can be explained: none is floating-point, "
            "and none is looked up in an embedding"
        )
    return starts
