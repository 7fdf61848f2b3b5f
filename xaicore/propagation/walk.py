"""The reverse walk over a tape."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import XaicoreError
from xaicore.graph import Layer, Ref
from xaicore.graph.autocast import without_autocast
from xaicore.propagation.coefficient import ALWAYS, Arrived, Coefficient, hands_on
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.matching import Match, Matching
from xaicore.propagation.notes import Notes
from xaicore.propagation.precision import cast, saturated, working_type
from xaicore.propagation.record import Record
from xaicore.propagation.state import State
from xaicore.propagation.tape import Tape

Filter = Callable[[Tensor], Tensor]
Relevance = Tensor | Coefficient


def walk(
    tape: Tape,
    seeds: Mapping[Ref, Tensor],
    matching: Matching,
    *,
    wanted: Sequence[Ref] = (),
    filters: Mapping[Ref, Filter] | None = None,
    ledger: Ledger | None = None,
    notes: Notes | None = None,
    free: bool = False,
    factored: bool = False,
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
    notes : Notes, optional
        Receives what mappings have to tell the user.
    free : bool
        Drop each layer's record once it is passed; the tape then serves this walk only.
    factored : bool
        Let mappings that can hand on relevance as `Coefficient`; the tape must hold the outputs of all layers. The
        same relevance, sooner; not with a ledger.

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
            "on another form of it (graph.folded): make the tape of matching.graph."
        )
    kept = dict.fromkeys([*matching.starts, *wanted])
    arrived: dict[Ref, Arrived] = defaultdict(Arrived)
    for ref, seed in seeds.items():
        arrived[ref].add(seed)
    found: dict[Ref, Tensor] = {}
    step = _Step(tape, filters or {}, ledger, notes, factored)
    with torch.set_grad_enabled(tape.create_graph), without_autocast():
        for layer in reversed(tape.graph.layers):
            match = matching.matches.get(layer)
            record = tape.records.pop(layer, None) if free else tape.records.get(layer)
            rs: list[Relevance | None] = []
            for index in range(len(layer.outputs)):
                ref = Ref(layer, index)
                r = step.received(ref, arrived.pop(ref), record) if ref in arrived else None
                if ref in kept and r is not None:
                    found[ref] = step.multiplied(ref, r, record)
                rs.append(r)
            if match is None or record is None or all(r is None for r in rs):
                continue
            for ref, sent in zip(layer.inputs, step.take(match, record, rs, matching), strict=True):
                if sent is not None:
                    arrived[ref].add(sent)
    return found


class _Step:
    """One layer of the walk."""

    def __init__(
        self,
        tape: Tape,
        filters: Mapping[Ref, Filter],
        ledger: Ledger | None,
        notes: Notes | None,
        factored: bool,
    ) -> None:
        self.tape = tape
        self.filters = filters
        self.ledger = ledger
        self.notes = notes
        self.factored = factored

    def received(self, ref: Ref, arrived: Arrived, record: Record | None) -> Relevance | None:
        """All that arrived at a tensor, filtered."""
        r = arrived.total(lambda: self._value(ref, record))
        if r is not None and ref in self.filters:
            r = self.filters[ref](self.multiplied(ref, r, record))
        return saturated(r) if isinstance(r, Tensor) else r

    def multiplied(self, ref: Ref, r: Relevance, record: Record | None) -> Tensor:
        """Relevance as it is."""
        return r.times(self._value(ref, record)) if isinstance(r, Coefficient) else r

    def _value(self, ref: Ref, record: Record | None) -> Tensor:
        value: Tensor = self.tape.value(ref) if record is None else record.ys[ref.index]
        return value.detach()

    def take(
        self, match: Match, record: Record, rs: Sequence[Relevance | None], matching: Matching
    ) -> list[Relevance | None]:
        """Apply the mapping; what leads to nothing that is explained is dropped, and noted in the ledger."""
        layer = match.layer
        rs = self._as_taken(match, record, rs)
        if self.ledger is not None:
            self.ledger.open(layer, rs)  # type: ignore[arg-type]  # no coefficients with a ledger
        dtype = working_type(layer, [*record.xs, *record.ys])
        state = State(self.tape, layer, record, self.ledger, self.notes, dtype, self.factored)
        ys = [y if self.tape.create_graph or not isinstance(y, Tensor) else y.detach() for y in record.ys]
        if not record.overwritten:
            clipped = [isinstance(r, Coefficient) and r.clipped for r in rs]
            ys = [y.clamp(min=0) if flag else y for y, flag in zip(ys, clipped, strict=True)]
        xs = [x if self.tape.create_graph else x.detach() for x in record.xs]
        if dtype is not None:
            xs, ys, rs = ([cast(value, dtype) for value in values] for values in (xs, ys, rs))
        sent = list(match.mapping(xs, ys, rs, state))
        _check(match, record.xs, sent)
        if self.factored and hands_on(match.mapping, layer) == ALWAYS and any(isinstance(r, Tensor) for r in sent):
            # What stood before a ReLU may have been given up, since coefficients do not need it.
            raise XaicoreError(
                f"mapping {match.description} says that it always hands on coefficients, but returned relevance for "
                f"{layer.where()}: return xaicore.propagation.Coefficient where state.factored, or leave hands_on out."
            )
        sent = [cast(r, x.dtype) for r, x in zip(sent, record.xs, strict=True)]
        starts = {ref.layer for ref in matching.starts}
        on_path = [ref.layer in matching.matches or ref.layer in starts for ref in layer.inputs]
        on_path = [flag and active for flag, active in zip(on_path, record.active, strict=True)]
        kept = [r if flag else None for r, flag in zip(sent, on_path, strict=True)]
        if self.ledger is not None:
            self.ledger.close(layer, kept, [r for r, flag in zip(sent, on_path, strict=True) if not flag])
        return kept

    def _as_taken(self, match: Match, record: Record, rs: Sequence[Relevance | None]) -> Sequence[Relevance | None]:
        """Multiplied out for a mapping that does not know coefficients, and where outputs differ in form."""
        forms = {r.clipped if isinstance(r, Coefficient) else None for r in rs if r is not None}
        if forms == {None} or (len(forms) == 1 and hands_on(match.mapping, match.layer)):
            return rs
        refs = [Ref(match.layer, index) for index in range(len(rs))]
        return [None if r is None else self.multiplied(ref, r, record) for ref, r in zip(refs, rs, strict=True)]


def _check(match: Match, xs: Sequence[Tensor], sent: Sequence[Any]) -> None:
    layer: Layer = match.layer
    if len(sent) != len(xs):
        raise XaicoreError(
            f"mapping {match.description} returned {len(sent)} tensors for {layer.where()}, which has {len(xs)} inputs"
        )
    for number, (x, r) in enumerate(zip(xs, sent, strict=True)):
        shape = r.tensor.shape if isinstance(r, Coefficient) else None if r is None else r.shape
        if shape is not None and shape != x.shape:
            raise XaicoreError(
                f"mapping {match.description} returned shape {tuple(shape)} for input {number} of {layer.where()}, "
                f"which has shape {tuple(x.shape)}"
            )
