"""Backward walks: tape, mappings, composites, matching, ledger."""

from xaicore.propagation.coefficient import ALWAYS, IF_GIVEN, Coefficient, hands_on_coefficients
from xaicore.propagation.composite import BackwardMapping, Composite
from xaicore.propagation.ledger import Ledger
from xaicore.propagation.linear_form import DenseForm, LinearForm
from xaicore.propagation.matching import Match, Matching, reads
from xaicore.propagation.notes import Notes
from xaicore.propagation.state import State
from xaicore.propagation.tape import Tape
from xaicore.propagation.walk import walk

__all__ = [
    "ALWAYS",
    "IF_GIVEN",
    "BackwardMapping",
    "Coefficient",
    "Composite",
    "DenseForm",
    "Ledger",
    "LinearForm",
    "Match",
    "Matching",
    "Notes",
    "State",
    "Tape",
    "hands_on_coefficients",
    "reads",
    "walk",
]
