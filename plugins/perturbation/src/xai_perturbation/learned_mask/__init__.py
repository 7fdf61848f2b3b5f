"""Masks that are learnt by gradient descent: meaningful and extremal perturbations."""

from xai_perturbation.learned_mask.learned_mask import LearnedMask

__all__ = ["LearnedMask"]
