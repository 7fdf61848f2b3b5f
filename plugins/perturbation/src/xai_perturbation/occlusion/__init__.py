"""Occlusion: what the output loses when a part of the input is covered."""

from xai_perturbation.occlusion.occlusion import Occlusion

__all__ = ["Occlusion"]
