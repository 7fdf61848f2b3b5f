"""Prediction difference analysis: what the output loses when a patch is replaced by what could have been there."""

from xai_perturbation.prediction_difference.analyzer import PredictionDifference

__all__ = ["PredictionDifference"]
