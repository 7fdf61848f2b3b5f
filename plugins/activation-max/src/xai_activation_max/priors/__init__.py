"""Priors: what a prototype is to look like, whatever it is a prototype of."""

from xai_activation_max.priors.base import Prior
from xai_activation_max.priors.density import Density
from xai_activation_max.priors.distances import L2, Locality, Lp, ToMean
from xai_activation_max.priors.variation import TotalVariation

__all__ = ["L2", "Density", "Locality", "Lp", "Prior", "ToMean", "TotalVariation"]
