"""Studies: comparing methods, classes and models; tuning a method; auditing what a model looks at."""

from __future__ import annotations

from xaicore.studies.auditing import Audit, audit
from xaicore.studies.comparison import Comparison, compare
from xaicore.studies.tuning import Candidate, Ranking, tune

__all__ = ["Audit", "Candidate", "Comparison", "Ranking", "audit", "compare", "tune"]
