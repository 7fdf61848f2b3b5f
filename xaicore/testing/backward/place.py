"""A layer of a captured model at which a mapping is tried, alone."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Graph, Layer, Ref
from xaicore.propagation import BackwardMapping, Ledger, Match, Matching, Tape, walk
from xaicore.testing.backward.watched import Call, Watched

Relevance = Sequence[Any]  # one tensor, coefficient or None for each output of the layer
_MOST_TAPES = 64

TIGHT = 1e-7
"""How far relevance may be off in float64."""


@dataclass(frozen=True)
class Passed:
    """What came of one walk through one layer.

    Attributes
    ----------
    relevance : one tensor, or None, for each input of the layer, as it arrived there.
    call : what the mapping was given and returned; None where it was not asked.
    row : of the ledger.
    """

    relevance: tuple[Tensor | None, ...]
    call: Call | None
    row: dict[str, Any]

    @property
    def total(self) -> Tensor:
        """All relevance of the inputs, flattened into one vector."""
        found = [r.flatten() for r in self.relevance if r is not None]
        return torch.cat(found) if found else torch.zeros(0)


@dataclass(eq=False)
class Captured:
    """A graph and a batch of inputs for it; its forward runs are remembered, since many checks ask for the same.

    Parameters
    ----------
    graph : of the whole model.
    tensors : one for each input of the model, the batch in front.
    """

    graph: Graph
    tensors: tuple[Tensor, ...]
    _tapes: dict[Any, tuple[Tape, Sequence[Tensor]]] = field(default_factory=dict)
    _others: dict[Any, tuple[Tensor, ...]] = field(default_factory=dict)

    @functools.cached_property
    def of_zeros(self) -> tuple[Tensor, ...]:
        """Inputs of zero."""
        return tuple(torch.zeros_like(tensor) for tensor in self.tensors)

    @functools.cached_property
    def large(self) -> tuple[Tensor, ...]:
        """Inputs a thousand times as large."""
        return tuple(t * 1e3 if t.is_floating_point() else t for t in self.tensors)

    def sample(self, number: int) -> tuple[Tensor, ...]:
        """One sample alone; the same objects each time, like all of these, so that forward runs are found again."""
        return self._made(("sample", number), lambda t: t[number : number + 1])

    def repeated(self, count: int) -> tuple[Tensor, ...]:
        """The first sample, this many times."""
        return self._made(("repeated", count), lambda t: t[:1].expand(count, *t.shape[1:]).contiguous())

    def _made(self, key: Any, make: Callable[[Tensor], Tensor]) -> tuple[Tensor, ...]:
        if key not in self._others:
            self._others[key] = tuple(make(tensor) for tensor in self.tensors)
        return self._others[key]

    def tape(self, tensors: Sequence[Tensor] | None = None) -> Tape:
        """The forward run of these inputs, by default its own, with the weights that the model has now."""
        tensors = self.tensors if tensors is None else tensors
        weights = [layer.tensor._version for layer in self.graph.layers if layer.tensor is not None]
        key = (*((id(tensor), tensor._version) for tensor in tensors), *weights)
        if key not in self._tapes:
            while len(self._tapes) >= _MOST_TAPES:
                del self._tapes[next(iter(self._tapes))]
            self._tapes[key] = (Tape(self.graph, tensors), tensors)  # what has an id must live on
        return self._tapes[key][0]


@dataclass(frozen=True, eq=False)
class Place:
    """A layer in its graph.

    Parameters
    ----------
    model : the graph, with a batch of inputs.
    layer : of this graph.
    name : what messages call it.
    """

    model: Captured
    layer: Layer
    name: str

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The inputs of the model."""
        return self.model.tensors

    @property
    def batch(self) -> int:
        """How many samples these are."""
        return len(self.tensors[0])

    @functools.cached_property
    def tolerance(self) -> float:
        """How far relevance may be off, as a part of the largest value: rounding, not another formula."""
        values = [v for v in [*self.values(), *self.outputs()] if isinstance(v, Tensor) and v.is_floating_point()]
        coarsest = max(torch.finfo(value.dtype).eps for value in values)
        return TIGHT if coarsest <= torch.finfo(torch.float64).eps else 50 * coarsest

    def outputs(self, tensors: Sequence[Tensor] | None = None) -> list[Any]:
        """What the layer computes."""
        return [y.detach() if isinstance(y, Tensor) else y for y in self.model.tape(tensors).records[self.layer].ys]

    def values(self, tensors: Sequence[Tensor] | None = None) -> list[Tensor]:
        """What the layer is given."""
        return [x.detach() for x in self.model.tape(tensors).records[self.layer].xs]

    def relevance(self, seed: int = 5, tensors: Sequence[Tensor] | None = None) -> list[Tensor | None]:
        """Random relevance of either sign for each output of the layer."""
        generator = torch.Generator().manual_seed(seed)
        return [
            torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y.dtype)
            if isinstance(y, Tensor) and y.is_floating_point()
            else None
            for y in self.outputs(tensors)
        ]

    def walk(
        self,
        mapping: BackwardMapping,
        rs: Relevance,
        *,
        tensors: Sequence[Tensor] | None = None,
        tape: Tape | None = None,
        ledger: bool = False,
        factored: bool = False,
        sparing: bool = False,
    ) -> Passed:
        """Take relevance through the layer.

        ``tape``: go by this forward run. ``sparing``: by one that holds only what the mapping declares that it reads.
        """
        watched = Watched(mapping)
        matching = self._matching(watched)
        if sparing:
            tensors = self.tensors if tensors is None else tensors
            needs, differentiates = matching.needs, matching.differentiates
            tape = Tape(self.model.graph, tensors, needs=needs, differentiates=differentiates)
        tape = self.model.tape(tensors) if tape is None else tape
        seeds = {ref: r for ref, r in zip(matching.ends, rs, strict=True) if r is not None}
        book = Ledger() if ledger else None
        found = walk(tape, seeds, matching, ledger=book, factored=factored)
        relevance = tuple(found.get(ref) for ref in self.layer.inputs)
        rows: list[dict[str, Any]] = list(book.rows()) if book is not None else []
        return Passed(relevance, watched.calls[-1] if watched.calls else None, rows[0] if rows else {})

    def _matching(self, watched: Watched) -> Matching:
        """Only this layer has a mapping."""
        starts = [ref for ref in dict.fromkeys(self.layer.inputs) if ref.info.differentiable]
        ends = [Ref(self.layer, index) for index in range(len(self.layer.outputs))]
        return Matching(self.model.graph, [Match(self.layer, watched, repr(watched.mapping), "")], starts, ends)
