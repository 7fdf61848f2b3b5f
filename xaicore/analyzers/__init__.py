"""Analyzers: configured methods bound to a model, and the targets they explain."""

from xaicore.analyzers import baselines
from xaicore.analyzers.advice import Advice
from xaicore.analyzers.api import create_analyzer, create_analyzers, explain, explain_each
from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.cells import cell_labels, cell_sizes, default_cells
from xaicore.analyzers.evaluation import Evaluation
from xaicore.analyzers.expansion import Attribution, ExpansionAnalyzer
from xaicore.analyzers.external import ExternalMethod, GivenRelevance
from xaicore.analyzers.noise import NoiseAverage
from xaicore.analyzers.on_callable import CallableEvaluation
from xaicore.analyzers.on_graph import GraphEvaluation
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.analyzers.sliding_window import SlidingWindow
from xaicore.analyzers.targets import Contrast, Target, resolve_target
from xaicore.analyzers.translation import Translation, TranslationAverage
from xaicore.analyzers.varying import varied_inputs

__all__ = [
    "Advice",
    "Analyzer",
    "Attribution",
    "CallableEvaluation",
    "Contrast",
    "Evaluation",
    "ExpansionAnalyzer",
    "ExternalMethod",
    "GivenRelevance",
    "GraphEvaluation",
    "NoiseAverage",
    "PropagationAnalyzer",
    "SlidingWindow",
    "Target",
    "Translation",
    "TranslationAverage",
    "baselines",
    "cell_labels",
    "cell_sizes",
    "check_is_module",
    "create_analyzer",
    "create_analyzers",
    "default_cells",
    "explain",
    "explain_each",
    "resolve_target",
    "varied_inputs",
]
