"""Rules of layer-wise relevance propagation, each a small frozen dataclass that can stand in a composite.

from xaicore import Composite
Composite([(first_on_path, ZBox(0, 1)), (kind(Kind.CONVOLUTION), Gamma(0.25)), (kind(Kind.LINEAR), Epsilon(0.25))])
"""

from __future__ import annotations

from xai_lrp.rules.alpha_beta import AlphaBeta, ZPlus
from xai_lrp.rules.base import LinearRule, ProportionalRule
from xai_lrp.rules.bias import Portion, check_mode, settle
from xai_lrp.rules.epsilon import Epsilon, Zero
from xai_lrp.rules.excitation import ExcitationBackprop
from xai_lrp.rules.flat import Flat, WSquare
from xai_lrp.rules.gamma import Gamma
from xai_lrp.rules.generalized_gamma import GeneralizedGamma
from xai_lrp.rules.norm import Norm
from xai_lrp.rules.numbers import check_number
from xai_lrp.rules.pass_through import Pass
from xai_lrp.rules.ratio import stabilized_ratio
from xai_lrp.rules.z_box import ZBox

__all__ = [
    "AlphaBeta",
    "Epsilon",
    "ExcitationBackprop",
    "Flat",
    "Gamma",
    "GeneralizedGamma",
    "LinearRule",
    "Norm",
    "Pass",
    "Portion",
    "ProportionalRule",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
    "check_mode",
    "check_number",
    "settle",
    "stabilized_ratio",
]
