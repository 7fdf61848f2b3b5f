"""How relevance passes the layers that have no weights: pooling, addition, reshapes, activations.

These mappings serve every method of the relevance family; a method's own composite comes first.
"""

from __future__ import annotations

from xai_lrp.rules.epsilon import Epsilon
from xai_lrp.rules.pass_through import Pass
from xai_lrp.structure.attention import attention, matmul
from xai_lrp.structure.moving import route, soft_winner
from xai_lrp.structure.norm import NormRule, identity
from xai_lrp.structure.pooling import by_power
from xai_lrp.structure.products import product
from xai_lrp.structure.scale_shift import scale_then_shift
from xai_lrp.structure.sums import moments, proportional
from xai_lrp.structure.variants import TREATMENTS, Treatments, check_structure, structure_entries

#: Activations hand relevance on unchanged (Bach et al. 2015, section 2.3): each has one input, which gets it all.
pass_through = Pass()

#: A batch norm that stands alone is a linear layer with one input a unit: its bias takes a share, the input the rest.
batch_norm = Epsilon()

#: Layer, group, instance and RMS norm are linear once their statistics count as constants.
norm = NormRule()

__all__ = [
    "TREATMENTS",
    "Treatments",
    "attention",
    "batch_norm",
    "by_power",
    "check_structure",
    "identity",
    "matmul",
    "moments",
    "norm",
    "pass_through",
    "product",
    "proportional",
    "route",
    "scale_then_shift",
    "soft_winner",
    "structure_entries",
]
