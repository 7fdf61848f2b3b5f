"""Composites: which backward mapping handles which layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from xaicore.errors import ParameterError, nearest
from xaicore.graph import Condition, Graph, Ref
from xaicore.graph.batch_norm import check_form
from xaicore.propagation.matching import Matching, match_layers
from xaicore.propagation.state import State

FAMILIES = ("relevance", "gradient")


class BackwardMapping(Protocol):
    """Turns what arrived at a layer's outputs into what its inputs get.

    Plain torch operations only, none of which writes to ``xs``, ``ys`` or ``rs``.
    """

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> Sequence[Tensor | None]:
        """Return one tensor, shaped like it, or None for each of ``xs``."""
        ...


class Composite:
    """An ordered list of conditions and mappings; for each layer the first whose condition holds.

    Parameters
    ----------
    entries : sequence of (Condition, mapping)
        Layers that no entry takes are left to the mappings that installed plugins registered for the family.
    family : {'relevance', 'gradient'}
        What becomes of layers that nothing takes: an error for ``relevance``, the vector-Jacobian product for
        ``gradient``.
    fallback : {None, 'gradient'}
        ``'gradient'`` lets a relevance walk pass layers without a mapping by the vector-Jacobian product. Relevance is
        not conserved there; the diagnostics of the explanation name these layers.
    name : str
        How reports call it.
    batch_norm : {'folded', 'one', 'two', 'plain'}
        The form of the graph that a relevance walk works on; see `Graph.form`. A gradient is the same in all of them.

    Examples
    --------
    >>> from xaicore.graph import Kind, kind
    >>> def double(xs, ys, rs, state):
    ...     return [None if r is None else 2 * r for r in state.vjp(rs)]
    >>> Composite([(kind(Kind.LINEAR), double)], family="gradient")
    Composite([(kind(linear), double)], family='gradient')
    """

    def __init__(
        self,
        entries: Sequence[tuple[Condition, BackwardMapping]] = (),
        family: str = "relevance",
        *,
        fallback: str | None = None,
        name: str = "",
        batch_norm: str = "folded",
    ) -> None:
        if family not in FAMILIES:
            raise ParameterError(
                f"family={family!r}: choose 'relevance' or 'gradient'.{nearest(str(family), FAMILIES)}"
            )
        if fallback not in (None, "gradient"):
            raise ParameterError(f"fallback={fallback!r}: choose None (unmatched layers are an error) or 'gradient'")
        check_form(batch_norm)
        self.entries = tuple(_checked(number, entry) for number, entry in enumerate(entries))
        self.family = family
        self.fallback = fallback
        self.name = name
        self.batch_norm = batch_norm

    def with_fallback(self, fallback: str | None) -> Composite:
        """The same composite with another fallback; None leaves it as it is."""
        if fallback is None:
            return self
        return Composite(self.entries, self.family, fallback=fallback, name=self.name, batch_norm=self.batch_norm)

    def graph_of(self, graph: Graph) -> Graph:
        """The form of the graph this composite works on: relevance rules see batch norm as linear layers."""
        return graph.form(self.batch_norm) if self.family == "relevance" else graph

    def match(
        self,
        graph: Graph,
        *,
        starts: Sequence[Ref] | None = None,
        ends: Sequence[Ref] | None = None,
        strict: bool = True,
    ) -> Matching:
        """Find the mapping of every layer between ``starts`` (default: the inputs) and ``ends`` (the outputs).

        Raises
        ------
        MatchError
            With ``strict``, where a layer has none; the message names each, with the fix.
        """
        return match_layers(self, self.graph_of(graph), starts, ends, strict)

    def __repr__(self) -> str:
        entries = ", ".join(f"({condition!r}, {describe(mapping)})" for condition, mapping in self.entries)
        extra = f", fallback={self.fallback!r}" if self.fallback else ""
        extra += f", batch_norm={self.batch_norm!r}" if self.batch_norm != "folded" else ""
        return f"Composite([{entries}], family={self.family!r}{extra})"


def describe(mapping: Any) -> str:
    """A mapping in reports: the name of a function, the repr of an object."""
    return getattr(mapping, "__name__", None) or repr(mapping)


def _checked(number: int, entry: Any) -> tuple[Condition, BackwardMapping]:
    fits = isinstance(entry, (tuple, list)) and len(entry) == 2
    if not fits or not isinstance(entry[0], Condition) or not callable(entry[1]) or isinstance(entry[1], type):
        raise ParameterError(
            f"entry {number} of the composite is {entry!r}; it must be a pair (condition, mapping) such as "
            "(kind(Kind.LINEAR), rule), the rule an instance"
        )
    return entry[0], entry[1]
