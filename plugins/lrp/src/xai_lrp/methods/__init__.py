"""The methods of this package: analyzers that build a composite of rules from their parameters."""

from __future__ import annotations

from xai_lrp.methods.composites import EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus, UserComposite, ZBox
from xai_lrp.methods.single import (
    Alpha1Beta0,
    Alpha2Beta1,
    AlphaBeta,
    Epsilon,
    Flat,
    Gamma,
    WSquare,
    Zero,
    ZPlus,
)

__all__ = [
    "Alpha1Beta0",
    "Alpha2Beta1",
    "AlphaBeta",
    "Epsilon",
    "EpsilonAlpha2Beta1",
    "EpsilonGammaBox",
    "EpsilonPlus",
    "Flat",
    "Gamma",
    "UserComposite",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
]
