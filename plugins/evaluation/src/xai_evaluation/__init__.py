"""Metrics that judge explanations: faithfulness, robustness, axioms, randomisation, localisation, complexity.

Importing this package imports no torch; names are resolved on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import Any

_METRICS = {
    "faithfulness.pixel_flipping": ("PixelFlipping", "RegionPerturbation", "Selectivity"),
    "faithfulness.insertion_deletion": ("Deletion", "Insertion"),
    "faithfulness.sensitivity_n": ("SensitivityN",),
    "faithfulness.infidelity": ("Infidelity",),
    "faithfulness.faithfulness_correlation": ("FaithfulnessCorrelation",),
    "faithfulness.sufficiency": ("Sufficiency",),
    "robustness.continuity": ("Continuity",),
    "robustness.sensitivity": ("AverageSensitivity", "MaxSensitivity"),
    "robustness.local_lipschitz": ("LocalLipschitz",),
    "axioms.completeness": ("Completeness",),
    "axioms.non_sensitivity": ("NonSensitivity",),
    "axioms.input_invariance": ("InputInvariance",),
    "randomization.parameters": ("ParameterRandomization",),
    "randomization.random_logit": ("RandomLogit",),
    "localization.mass": ("InsideOutsideRatio", "RelevanceMass"),
    "localization.ranks": ("LocalizationAUC", "PointingGame", "RankAccuracy", "TopKIntersection"),
    "complexity.sparseness": ("Gini",),
    "complexity.entropy": ("Entropy",),
}
_MODULE_OF = {name: module for module, names in _METRICS.items() for name in names}

__all__ = list(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(importlib.import_module(f"xai_evaluation.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'xai_evaluation' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
