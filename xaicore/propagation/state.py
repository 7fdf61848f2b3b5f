"""What a backward mapping is told beside the tensors."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import cached_property

from torch import Tensor

from xaicore.graph import Layer
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.linear_form import LinearForm, linear_form
from xaicore.propagation.record import Record
from xaicore.propagation.tape import Tape


class State:
    """One layer during one walk.

    Attributes
    ----------
    layer : Layer
    nonnegative : tuple of bool
        For each of the layer's inputs: known never to be negative.
    ledger_open : bool
        Whether anyone asks where relevance is absorbed; if not, a mapping need not work it out.
    """

    def __init__(
        self, tape: Tape, layer: Layer, record: Record, ledger: Ledger | None, notes: list[str] | None = None
    ) -> None:
        self.layer = layer
        self.nonnegative = tuple(ref.info.nonnegative for ref in layer.inputs)
        self.ledger_open = ledger is not None
        self._tape = tape
        self._record = record
        self._ledger = ledger
        self._notes = notes

    def parameter(self, name: str) -> Tensor | None:
        """The constant tensor that the layer takes as the argument of this name; None where there is none."""
        ref = self.layer.parameters.get(name)
        return None if ref is None else self._tape.value(ref)

    @cached_property
    def linear(self) -> LinearForm | None:
        """The layer as ``A(x, weight) + bias``, where it is that: convolution, dense, batch norm, scaling."""
        return linear_form(self.layer, self._record.xs[0], self.parameter) if self._record.xs else None

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
        return self._record.vjp(rs, create_graph=self._tape.create_graph)

    def cached(self, key: Hashable, make: Callable[[], Tensor]) -> Tensor:
        """A tensor derived from the layer's parameters: made once, and again when one of them changes.

        ``key`` is the mapping's own name for it, with everything it depends on beside the parameters.
        """
        sources = [ref.layer for ref in self.layer.parameters.values()]
        value: Tensor = self._tape.constants.derived((self.layer, key), sources, make)
        return value

    def note(self, text: str) -> None:
        """Tell the user something about this layer; it stands among the notes of the explanation."""
        if self._notes is not None and text not in self._notes:
            self._notes.append(text)

    def absorb(self, *, bias: Tensor | None = None, stabilizer: Tensor | None = None) -> None:
        """Report relevance that does not reach the layer's inputs: what a bias or a stabilizer kept."""
        if self._ledger is not None:
            self._ledger.absorb(self.layer, bias, stabilizer)
