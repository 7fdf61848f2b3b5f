"""What a backward mapping is told beside the tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

import torch
from torch import Tensor

from xaicore.graph import Layer
from xaicore.graph.rewrite import is_of_others
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.linear_form import LinearForm, linear_form
from xaicore.propagation.notes import Notes
from xaicore.propagation.precision import cast, saturated
from xaicore.propagation.record import Record
from xaicore.propagation.tape import Tape
from xaicore.propagation.without_derivative import registered_vjp


class State:
    """One layer during one walk.

    Attributes
    ----------
    layer : Layer
    nonnegative : tuple of bool
        For each of the layer's inputs: known never to be negative.
    ledger_open : bool
        Whether anyone asks where relevance is absorbed; if not, a mapping need not work it out.
    factored : bool
        Whether a mapping that hands on coefficients may return `Coefficient` instead of relevance.
    """

    def __init__(
        self,
        tape: Tape,
        layer: Layer,
        record: Record,
        ledger: Ledger | None,
        notes: Notes | None = None,
        dtype: torch.dtype | None = None,
        factored: bool = False,
    ) -> None:
        self.layer = layer
        self.nonnegative = tuple(ref.info.nonnegative for ref in layer.inputs)
        self.ledger_open = ledger is not None
        self.factored = factored
        self._tape = tape
        self._record = record
        self._ledger = ledger
        self._notes = notes
        self._dtype = dtype

    def parameter(self, name: str) -> Tensor | None:
        """The constant tensor that the layer takes as the argument of this name; None where there is none."""
        ref = self.layer.parameters.get(name)
        value = None if ref is None else self._tape.value(ref)
        if value is None or self._dtype in (None, value.dtype) or not value.is_floating_point():
            return value
        return self.cached(("parameter", name), lambda: value.to(self._dtype))

    @cached_property
    def linear(self) -> LinearForm | None:
        """The layer as ``A(x, weight) + bias``, where it is that: convolution, dense, batch norm, scaling."""
        if not self._record.xs:
            return None
        return linear_form(self.layer, cast(self._record.xs[0], self._dtype), self.parameter)

    def vjp(self, rs: Sequence[Tensor | None]) -> list[Tensor | None]:
        """The vector-Jacobian product of the layer, from the forward's own record: nothing is computed twice.

        Parameters
        ----------
        rs : sequence of Tensor or None
            One for each output, shaped like it.

        Returns
        -------
        list of Tensor or None
            One for each input; None where nothing flows.
        """
        rs = [r if r is None else cast(r, getattr(y, "dtype", None)) for r, y in zip(rs, self._record.ys, strict=True)]
        if is_of_others(self.layer.op_name):
            found = registered_vjp(self.layer, self._record, rs, create_graph=self._tape.create_graph)
        else:
            found = self._record.vjp(rs, create_graph=self._tape.create_graph)
        return [r if r is None else saturated(r) for r in found]

    def cached(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """A tensor derived from the layer's parameters: made once, and again when one of them changes.

        ``key`` is the mapping's own name for it, with everything it depends on beside the parameters.
        """
        sources = [ref.layer for ref in self.layer.parameters.values()]
        value: Tensor = self._tape.constants.derived((self.layer, self._dtype, key), sources, make)
        return value

    def note(
        self, text: str | Callable[..., str], *, when: Tensor | None = None, values: Sequence[Tensor] = ()
    ) -> None:
        """Tell the user something about this layer; it stands among the notes of the explanation.

        Parameters
        ----------
        text : str or callable
            A callable is given ``values`` as numbers and returns the text; it should hold no tensors itself.
        when : Tensor, optional
            One truth value: the note is dropped where it is false. A note that depends on values is told so, and not
            by an ``if``, which a compiled walk could not take.
        values : sequence of Tensor
            One number each.
        """
        if self._notes is not None:
            self._notes.add(text, when, values)

    def absorb(self, *, bias: Tensor | None = None, stabilizer: Tensor | None = None) -> None:
        """Report relevance that does not reach the layer's inputs: what a bias or a stabilizer kept."""
        if self._ledger is not None:
            self._ledger.absorb(self.layer, bias, stabilizer)
