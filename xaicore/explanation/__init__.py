"""The result of an analysis: relevance, what was explained, and how far it can be trusted."""

from __future__ import annotations

from xaicore.explanation.diagnostics import Diagnostics
from xaicore.explanation.files import load_explanation
from xaicore.explanation.result import Explanation

__all__ = ["Diagnostics", "Explanation", "load_explanation"]
