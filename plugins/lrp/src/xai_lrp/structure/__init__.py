"""How relevance passes the layers that have no weights: pooling, addition, reshapes, activations.

These mappings serve every method of the relevance family; a method's own composite comes first.
"""

from __future__ import annotations

from xai_lrp.rules.epsilon import Epsilon
from xai_lrp.rules.pass_through import Pass
from xai_lrp.structure.moving import route
from xai_lrp.structure.sums import proportional
from xai_lrp.structure.variants import TREATMENTS, Treatments, check_structure, structure_entries

#: Activations hand relevance on unchanged (Bach et al. 2015, section 2.3): each has one input, which gets it all.
pass_through = Pass()

#: A batch norm that stands alone is a linear layer with one input a unit: its bias takes a share, the input the rest.
batch_norm = Epsilon()

__all__ = [
    "TREATMENTS",
    "Treatments",
    "batch_norm",
    "check_structure",
    "pass_through",
    "proportional",
    "route",
    "structure_entries",
]
