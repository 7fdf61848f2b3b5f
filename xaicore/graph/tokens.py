"""Integer inputs: the embeddings that look them up, and the way back from there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref

if TYPE_CHECKING:
    from xaicore.graph.graph import Graph

# A transposed, cut, padded or shifted integer still stands for its token.
_CARRY_TOKENS = (Kind.RESHAPE, Kind.SELECT, Kind.PAD, Kind.CONCAT, Kind.ADD, Kind.CAST)


def embeddings_of(graph: Graph, source: Layer) -> tuple[Ref, ...]:
    """The embeddings that are looked up with an integer input, or with a rearrangement of it."""
    found: list[Ref] = []
    waiting = [source.ref]
    while waiting:
        for user in graph.consumers.get(waiting.pop(), []):
            if user.kind is Kind.EMBEDDING:
                found.append(user.ref)
            elif user.kind in _CARRY_TOKENS and not user.outputs[0].differentiable:
                waiting.extend(Ref(user, index) for index in range(len(user.outputs)))
    return tuple(dict.fromkeys(found))


def pull_to_tokens(
    graph: Graph,
    source: Layer,
    embedding: Ref,
    relevance: Tensor,
    inputs: Mapping[Layer, Tensor],
    sizes: Mapping[Any, int],
) -> Tensor:
    """Bring one value for each looked-up index back to the integer input that the indices were taken from.

    Parameters
    ----------
    graph : Graph
    source : Layer
        The integer input.
    embedding : Ref
        One of `embeddings_of` the input.
    relevance : Tensor
        One value an index: of the shape of the embedding's output without its last dimension.
    inputs : mapping of Layer to Tensor
        All inputs of the graph.

    Returns
    -------
    Tensor
        Of the shape of the input. An integer that is looked up twice gets the sum, one that is not gets zero.
    """
    index: Ref = embedding.layer.arguments["indices"]
    if index.layer is source:
        return relevance
    needed = graph.before([index])
    with torch.enable_grad():
        # The operations only move integers about, so that on numbers with a derivative that derivative is the way back.
        stand_in = inputs[source].to(relevance.dtype).requires_grad_()
        values = {layer.ref: tensor for layer, tensor in inputs.items()} | {source.ref: stand_in}

        def lookup(ref: Ref) -> Tensor:
            return graph.constants.value(ref, sizes) if ref.layer.constant else values[ref]

        for layer in graph.layers:
            if layer in needed and not layer.constant and layer.kind is not Kind.INPUT:
                cast = layer.kind is Kind.CAST  # from integers to integers
                results = (lookup(layer.inputs[0]),) if cast else layer.call(lookup, sizes)
                values.update({Ref(layer, number): result for number, result in enumerate(results)})
        (pulled,) = torch.autograd.grad(values[index], stand_in, relevance, create_graph=relevance.requires_grad)
    return pulled
