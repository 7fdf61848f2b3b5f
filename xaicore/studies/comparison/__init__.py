"""Comparing explanations of the same inputs: methods, classes, models."""

from __future__ import annotations

from xaicore.studies.comparison.comparing import compare
from xaicore.studies.comparison.result import Comparison

__all__ = ["Comparison", "compare"]
