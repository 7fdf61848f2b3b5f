"""Backward walks: tape, mappings, composites, matching, ledger."""

from xaicore.propagation.composite import BackwardMapping, Composite
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.linear_form import LinearForm
from xaicore.propagation.matching import Match, Matching, reads
from xaicore.propagation.state import State
from xaicore.propagation.tape import Tape
from xaicore.propagation.walk import walk

__all__ = [
    "BackwardMapping",
    "Composite",
    "Ledger",
    "LinearForm",
    "Match",
    "Matching",
    "State",
    "Tape",
    "reads",
    "walk",
]
