"""Parametrizations: where a search moves."""

from xai_activation_max.parametrizations.base import Parametrization
from xai_activation_max.parametrizations.fourier import Fourier, colour_of
from xai_activation_max.parametrizations.pixels import Pixels

__all__ = ["Fourier", "Parametrization", "Pixels", "colour_of"]
