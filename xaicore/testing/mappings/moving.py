"""Layers that only move values: there is one way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xaicore.graph import Kind
from xaicore.propagation import State, reads
from xaicore.testing.backward.subject import gap
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.mappings.subject import MappingSubject

_MOVE = (Kind.RESHAPE, Kind.CONCAT, Kind.SELECT, Kind.PAD)


@science
def goes_back_as_it_came(subject: MappingSubject) -> str:
    """Where a layer only moves values (reshape, concat, select, pad), relevance goes back to where they came from."""
    if subject.family != "relevance":
        raise Skip("it is for mappings of the relevance family")
    places = [place for place in subject.places() if place.layer.kind in _MOVE]
    if not places:
        raise Skip("it is for layers that do more than move values")
    for place in places:
        rs = place.relevance()
        found, expected = place.walk(subject.mapping, rs).relevance, place.walk(_back, rs).relevance
        for number, (own, right) in enumerate(zip(found, expected, strict=True)):
            given = next((r for r in (own, right) if r is not None), None)
            if given is None:
                continue
            off = gap(*(torch.zeros_like(given) if r is None else r for r in (own, right)))
            require(
                off <= place.tolerance,
                f"at {place.name} relevance of input {number} goes elsewhere than the values came from (relative "
                f"difference {off:.2g}): state.vjp(rs) goes back their way",
            )
    return f"{len(places)} layers"


@reads()
def _back(xs: Sequence[Tensor], ys: Sequence[Any], rs: Sequence[Any], state: State) -> list[Any]:
    """The derivative of a copy is one, so that its vector-Jacobian product carries whatever arrives."""
    return list(state.vjp(rs))
