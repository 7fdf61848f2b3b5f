"""Features: which entries of the inputs are covered, removed or exchanged together."""

from xai_perturbation.features.groups import Features
from xai_perturbation.features.resolving import check_features, resolve_features

__all__ = ["Features", "check_features", "resolve_features"]
