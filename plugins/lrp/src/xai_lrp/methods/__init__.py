"""The methods of this package: analyzers that build a composite of rules from their parameters."""

from __future__ import annotations

from xai_lrp.methods.base import RelevanceMethod
from xai_lrp.methods.composites import Cmp, EpsilonAlpha2Beta1, EpsilonGammaBox, EpsilonPlus, UserComposite, ZBox
from xai_lrp.methods.presets import (
    EpsilonAlpha2Beta1Flat,
    EpsilonPlusFlat,
    PresetA,
    PresetAFlat,
    PresetB,
    PresetBFlat,
)
from xai_lrp.methods.single import (
    Alpha1Beta0,
    Alpha2Beta1,
    AlphaBeta,
    Epsilon,
    ExcitationBackprop,
    Flat,
    Gamma,
    GeneralizedGamma,
    WSquare,
    Zero,
    ZPlus,
)

__all__ = [
    "Alpha1Beta0",
    "Alpha2Beta1",
    "AlphaBeta",
    "Cmp",
    "Epsilon",
    "EpsilonAlpha2Beta1",
    "EpsilonAlpha2Beta1Flat",
    "EpsilonGammaBox",
    "EpsilonPlus",
    "EpsilonPlusFlat",
    "ExcitationBackprop",
    "Flat",
    "Gamma",
    "GeneralizedGamma",
    "PresetA",
    "PresetAFlat",
    "PresetB",
    "PresetBFlat",
    "RelevanceMethod",
    "UserComposite",
    "WSquare",
    "ZBox",
    "ZPlus",
    "Zero",
]
