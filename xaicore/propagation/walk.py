"""The reverse walk over a tape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import XaicoreError
from xaicore.graph import Layer, Ref
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.matching import Match, Matching
from xaicore.propagation.record import Record
from xaicore.propagation.state import State
from xaicore.propagation.tape import Tape

Filter = Callable[[Tensor], Tensor]


def walk(
    tape: Tape,
    seeds: Mapping[Ref, Tensor],
    matching: Matching,
    *,
    wanted: Sequence[Ref] = (),
    filters: Mapping[Ref, Filter] | None = None,
    ledger: Ledger | None = None,
    notes: list[str] | None = None,
    free: bool = False,
) -> dict[Ref, Tensor]:
    """Propagate from the outputs towards the inputs.

    Layers are visited in reverse topological order, so that all that arrives at a tensor over several branches is
    summed before it is passed on.

    Parameters
    ----------
    tape : Tape
    seeds : mapping of Ref to Tensor
        What the walk starts from, at outputs of the graph.
    matching : Matching
        The mapping of each layer on the way, on the tape's graph.
    wanted : sequence of Ref
        Tensors at which to keep what arrives, beside the starts of the matching.
    filters : mapping of Ref to callable, optional
        Applied to what has arrived at a tensor before it goes on.
    ledger : Ledger, optional
        Filled with each layer's account.
    notes : list of str, optional
        Receives what mappings have to tell the user.
    free : bool
        Drop each layer's record once it is passed; the tape then serves this walk only.

    Returns
    -------
    dict of Ref to Tensor
        What arrived at the starts and at ``wanted``; tensors that nothing arrived at are missing.

    Raises
    ------
    XaicoreError
        The matching is of another graph than the tape, or a mapping returns something else than it should.
    """
    if matching.graph is not tape.graph:
        raise XaicoreError(
            "the composite was matched with another graph than the tape ran. A composite of the relevance family works "
            "on graph.folded: make the tape of matching.graph."
        )
    kept = dict.fromkeys([*matching.starts, *wanted])
    arrived: dict[Ref, Tensor] = dict(seeds)
    found: dict[Ref, Tensor] = {}
    step = _Step(tape, filters or {}, ledger, notes)
    with torch.set_grad_enabled(tape.create_graph):
        for layer in reversed(tape.graph.layers):
            match = matching.matches.get(layer)
            refs = [Ref(layer, index) for index in range(len(layer.outputs))]
            rs = [step.filtered(ref, arrived.pop(ref, None)) for ref in refs]
            found.update({ref: r for ref, r in zip(refs, rs, strict=True) if ref in kept and r is not None})
            record = tape.records.pop(layer, None) if free else tape.records.get(layer)
            if match is None or record is None or all(r is None for r in rs):
                continue
            for ref, sent in zip(layer.inputs, step.take(match, record, rs, matching), strict=True):
                if sent is not None:
                    arrived[ref] = arrived[ref] + sent if ref in arrived else sent
    return found


class _Step:
    """One layer of the walk."""

    def __init__(
        self, tape: Tape, filters: Mapping[Ref, Filter], ledger: Ledger | None, notes: list[str] | None
    ) -> None:
        self.tape = tape
        self.filters = filters
        self.ledger = ledger
        self.notes = notes

    def filtered(self, ref: Ref, r: Tensor | None) -> Tensor | None:
        return self.filters[ref](r) if r is not None and ref in self.filters else r

    def take(self, match: Match, record: Record, rs: list[Tensor | None], matching: Matching) -> list[Tensor | None]:
        """Apply the mapping; what leads to nothing that is explained is dropped, and noted in the ledger."""
        layer = match.layer
        if self.ledger is not None:
            self.ledger.open(layer, rs)
        state = State(self.tape, layer, record, self.ledger, self.notes)
        ys = [y if self.tape.create_graph or not isinstance(y, Tensor) else y.detach() for y in record.ys]
        xs = [x if self.tape.create_graph else x.detach() for x in record.xs]
        sent = list(match.mapping(xs, ys, rs, state))
        _check(match, record.xs, sent)
        starts = {ref.layer for ref in matching.starts}
        on_path = [ref.layer in matching.matches or ref.layer in starts for ref in layer.inputs]
        on_path = [flag and active for flag, active in zip(on_path, record.active, strict=True)]
        kept = [r if flag else None for r, flag in zip(sent, on_path, strict=True)]
        if self.ledger is not None:
            self.ledger.close(layer, kept, [r for r, flag in zip(sent, on_path, strict=True) if not flag])
        return kept


def _check(match: Match, xs: Sequence[Tensor], sent: Sequence[Any]) -> None:
    layer: Layer = match.layer
    if len(sent) != len(xs):
        raise XaicoreError(
            f"mapping {match.description} returned {len(sent)} tensors for {layer.where()}, which has {len(xs)} inputs"
        )
    for number, (x, r) in enumerate(zip(xs, sent, strict=True)):
        if r is not None and r.shape != x.shape:
            raise XaicoreError(
                f"mapping {match.description} returned shape {tuple(r.shape)} for input {number} of {layer.where()}, "
                f"which has shape {tuple(x.shape)}"
            )
