"""Baselines of the inputs, at the inputs themselves, at their embeddings, and carried on to an inner layer."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from xaicore.analyzers.baselines import Baseline, Blurred, Mean
from xaicore.analyzers.originals import Originals
from xaicore.errors import InputError
from xaicore.graph import Graph, Ref


class Sources:
    """Where the inputs of a graph enter it as numbers: floats as they are, integers at their embeddings."""

    def __init__(self, graph: Graph, originals: Originals) -> None:
        self._graph, self._originals = graph, originals
        self.refs: list[Ref] = list(dict.fromkeys(ref for refs in graph.sources.values() for ref in refs))

    def baseline(self, baseline: Baseline, number: int) -> list[Tensor]:
        """A variant of a baseline at each of ``refs``; see `GraphEvaluation.baseline`."""
        given, names = dict(self._originals.given), self._originals.names
        direct: set[Ref] = set()
        for name, refs in self._graph.sources.items():
            if given[name].is_floating_point() or baseline.is_discrete(names[name]):
                found = baseline.at({names[name]: given[name]}, number)[names[name]]
                given[name] = found.expand(len(given[name]), *found.shape[1:])
            else:
                if isinstance(baseline, Mean | Blurred):
                    raise InputError(
                        f"{baseline!r} averages over positions, and the embedding of input '{names[name]}' has none: "
                        "give a number, or other tokens as a tensor of integers"
                    )
                direct.update(refs)
        with torch.no_grad():
            values = self._graph.values(list(given.values()), self.refs)
        for name, refs in self._graph.sources.items():
            for ref in direct.intersection(refs):
                values[ref] = baseline.at({names[name]: values[ref]}, number)[names[name]]
        return [values[ref] for ref in self.refs]

    def carried(self, values: Sequence[Tensor], layer: str) -> Tensor:
        """What a layer computes when these values, (B, ...) or (1, ...), stand at ``refs``."""
        batch = len(self._originals.tensors[0])
        rows = [value.expand(batch, *value.shape[1:]) for value in values]
        others = [self._originals.given[each.name] for each in self._opened.inputs[len(rows) :]]
        ref = self._opened.find_ref(layer)
        with torch.no_grad():
            return self._opened.values([*rows, *others], [ref])[ref]

    @cached_property
    def _opened(self) -> Graph:
        return self._graph.opened(self.refs)
