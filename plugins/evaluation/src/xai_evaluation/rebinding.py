"""The same method for another model: what metrics compare that change the model."""

from __future__ import annotations

from typing import Any

from torch import nn

from xaicore.analyzers import Analyzer
from xaicore.errors import ParameterError


def has_learnt(analyzer: Analyzer) -> bool:
    """Whether the analyzer was fitted: scikit-learn's convention, attributes that end in an underscore."""
    return any(name.endswith("_") and not name.startswith("_") for name in vars(analyzer))


def rebound(analyzer: Analyzer, model: nn.Module, data: Any = None) -> Analyzer:
    """A clone of an analyzer for another model, with the same parameters; the analyzer stays as it is.

    Parameters
    ----------
    analyzer : Analyzer
        Also one that wraps others: each of them gets the model.
    model : torch.nn.Module
    data : optional
        What to `fit` the clone on, where the analyzer was fitted: what was learnt belongs to the model it was learnt
        from.

    Raises
    ------
    ParameterError
        Where the analyzer was fitted and there are no data.
    """
    check_data(analyzer, data)
    clone: Analyzer = analyzer.__sklearn_clone__()
    bound = [name for name in clone.get_params() if name == "model" or name.endswith("__model")]
    clone.set_params(**dict.fromkeys(bound, model))
    return clone.fit(data) if has_learnt(analyzer) else clone


def check_data(analyzer: Analyzer, data: Any) -> None:
    """Refuse to compare a method that has learnt with one that has not."""
    if has_learnt(analyzer) and data is None:
        raise ParameterError(
            f"{analyzer.method} has learnt from data, and what it learnt belongs to its model alone; this metric "
            "changes the model. Give data=, on which the method is fitted anew"
        )
