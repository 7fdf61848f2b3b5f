"""Judging explanations: what a metric is given, what it says, and how sure that is. The metrics come from plugins."""

from __future__ import annotations

from xaicore.scoring.case import QUANTITIES, Case
from xaicore.scoring.intervals import Interval, bootstrap_interval, resamples
from xaicore.scoring.judging import create_metric, evaluate, judge, resolve_metrics
from xaicore.scoring.metric import Metric
from xaicore.scoring.scores import Curve, Scores

__all__ = [
    "QUANTITIES",
    "Case",
    "Curve",
    "Interval",
    "Metric",
    "Scores",
    "bootstrap_interval",
    "create_metric",
    "evaluate",
    "judge",
    "resamples",
    "resolve_metrics",
]
