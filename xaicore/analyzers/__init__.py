"""Analyzers: configured methods bound to a model, and the targets they explain."""

from xaicore.analyzers.api import compare, create_analyzer, explain
from xaicore.analyzers.base import Analyzer
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.analyzers.targets import Contrast, Target, resolve_target

__all__ = [
    "Analyzer",
    "Contrast",
    "PropagationAnalyzer",
    "Target",
    "compare",
    "create_analyzer",
    "explain",
    "resolve_target",
]
