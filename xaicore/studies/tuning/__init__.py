"""Choosing a method and its parameters by a metric."""

from __future__ import annotations

from xaicore.studies.tuning.ranking import Candidate, Ranking
from xaicore.studies.tuning.tuner import tune

__all__ = ["Candidate", "Ranking", "tune"]
