"""Weights change while a model is trained: what a rule keeps of them must follow."""

from __future__ import annotations

import torch

from xaicore.testing.backward.subject import gap
from xaicore.testing.checks import interface, require
from xaicore.testing.rules.layers import places_of, with_other_weights
from xaicore.testing.rules.subject import RuleSubject


@interface
def sees_weight_updates(subject: RuleSubject) -> None:
    """After the weights change in place, the next call gives what a new model with these weights gives."""
    for place in subject.places():
        rs = place.relevance()
        place.walk(subject.mapping, rs)  # what it keeps, it keeps now
        with with_other_weights(place):
            updated = place.walk(subject.mapping, rs).total
        new = next(other for other in places_of(torch.float64, updated=True) if other.name == place.name)
        off = gap(updated, new.walk(subject.mapping, rs).total)
        require(
            off <= place.tolerance,
            f"at {place.name}, it still goes by the old weights (relative difference {off:.2g}): keep what is derived "
            "from weights with state.cached, which follows them",
        )
