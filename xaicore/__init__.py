"""xaicore: interpret and explain PyTorch models.

    import xaicore

    xaicore.methods()                                               # what is installed
    explanation = xaicore.explain(model, x, method="lrp.epsilon")   # relevance of x for the predicted class
    explanation.plot()

The methods themselves come from plugins (`pip install xai-lrp xai-gradients`). Importing xaicore
imports neither torch nor numpy: each public name is fetched from its home on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from xaicore.errors import XaicoreError, nearest

__version__ = "0.2.0"

API_VERSION = "0.2"
"""Version of the interface between core and plugins: major and minor of the core's own version.

`xaicore.plugins.compatibility` says what it means."""

if TYPE_CHECKING:
    from xaicore.analyzers import (
        Analyzer,
        Contrast,
        ExternalMethod,
        GivenRelevance,
        NoiseAverage,
        SlidingWindow,
        TranslationAverage,
        baselines,
        create_analyzer,
        explain,
    )
    from xaicore.engine import Batch, Engine, batches
    from xaicore.explanation import Diagnostics, Explanation, load_explanation
    from xaicore.graph import (
        Graph,
        Kind,
        Layer,
        channels,
        depth,
        first_on_path,
        heads,
        kind,
        last,
        named,
        neurons,
        region,
        trace,
        under,
        up_to,
    )
    from xaicore.plugins import find_method, find_metric, find_renderer, methods, metrics, renderers
    from xaicore.propagation import Composite
    from xaicore.scoring import Scores, create_metric, evaluate
    from xaicore.studies import Audit, Comparison, Ranking, audit, compare, tune

_HOMES = {
    "xaicore.analyzers": (
        "Analyzer", "Contrast", "ExternalMethod", "GivenRelevance", "NoiseAverage", "SlidingWindow",
        "TranslationAverage", "baselines", "create_analyzer", "explain",
    ),
    "xaicore.engine": ("Batch", "Engine", "batches"),
    "xaicore.explanation": ("Diagnostics", "Explanation", "load_explanation"),
    "xaicore.graph": (
        "Graph", "Kind", "Layer", "channels", "depth", "first_on_path", "heads", "kind", "last", "named", "neurons",
        "region", "trace", "under", "up_to",
    ),
    "xaicore.plugins": ("find_method", "find_metric", "find_renderer", "methods", "metrics", "renderers"),
    "xaicore.propagation": ("Composite",),
    "xaicore.scoring": ("Scores", "create_metric", "evaluate"),
    "xaicore.studies": ("Audit", "Comparison", "Ranking", "audit", "compare", "tune"),
}  # fmt: skip
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_ROOMS = (
    "analyzers", "engine", "errors", "explanation", "graph", "plugins", "propagation", "reports", "scoring", "studies",
    "visualization",
)  # fmt: skip

__all__ = [
    "API_VERSION",
    "Analyzer",
    "Audit",
    "Batch",
    "Comparison",
    "Composite",
    "Contrast",
    "Diagnostics",
    "Engine",
    "Explanation",
    "ExternalMethod",
    "GivenRelevance",
    "Graph",
    "Kind",
    "Layer",
    "NoiseAverage",
    "Ranking",
    "Scores",
    "SlidingWindow",
    "TranslationAverage",
    "XaicoreError",
    "audit",
    "baselines",
    "batches",
    "channels",
    "compare",
    "create_analyzer",
    "create_metric",
    "depth",
    "evaluate",
    "explain",
    "find_method",
    "find_metric",
    "find_renderer",
    "first_on_path",
    "heads",
    "kind",
    "last",
    "load_explanation",
    "methods",
    "metrics",
    "named",
    "neurons",
    "region",
    "renderers",
    "trace",
    "tune",
    "under",
    "up_to",
]


def __getattr__(name: str) -> Any:
    if name in _ROOMS:
        return import_module(f"xaicore.{name}")
    if name not in _HOME_OF:
        raise AttributeError(f"module 'xaicore' has no attribute {name!r}.{nearest(name, __all__)}")
    value = getattr(import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
