"""What analyzers have in common that wrap another one: scikit-learn's conventions for meta-estimators."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from xaicore.analyzers.base import Analyzer
from xaicore.errors import ParameterError


class MetaAnalyzer(Analyzer):
    """An analyzer that asks another one several times and puts the answers together.

    The wrapped analyzer is the parameter ``analyzer``; its own parameters are reached as ``analyzer__epsilon``. `fit`
    fits a clone of it, kept as ``analyzer_``, and leaves the one that was given as it is.
    """

    name: ClassVar[str]
    """What is done with the wrapped method, as in ``sliding_window(lrp.epsilon)``."""

    def __init__(self, analyzer: Analyzer) -> None:
        if not isinstance(analyzer, Analyzer):
            raise ParameterError(
                f"{type(self).__name__} wraps an analyzer, not {analyzer!r}; make one with xaicore.create_analyzer"
            )
        self.analyzer = analyzer

    @property
    def model(self) -> Any:
        """The model of the wrapped analyzer."""
        return self.analyzer.model

    @property
    def method(self) -> str:
        return f"{self.name}({self.analyzer.method})"

    @property
    def wrapped(self) -> Analyzer:
        """The analyzer that is asked: the fitted one, where `fit` was called."""
        return getattr(self, "analyzer_", self.analyzer)

    def fit(self, data: Any = None) -> Self:
        self.analyzer_ = self.analyzer.__sklearn_clone__().fit(data)
        return self

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name; with ``deep``, those of the wrapped analyzer as well, as ``analyzer__NAME``."""
        own = {name: getattr(self, name) for name in self.parameter_names()}
        inner = self.analyzer.get_params() if deep else {}
        return own | {f"analyzer__{name}": value for name, value in inner.items()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters, those of the wrapped analyzer as ``analyzer__NAME``; what was fitted is forgotten."""
        inner = {name: value for name, value in params.items() if name.startswith("analyzer__")}
        own = {name: value for name, value in params.items() if name not in inner}
        self.check_parameter_names(list(own))
        renewed = type(self)(**(self.get_params(deep=False) | own))
        renewed.analyzer.set_params(**{name.removeprefix("analyzer__"): value for name, value in inner.items()})
        vars(self).pop("analyzer_", None)
        for name in own:
            setattr(self, name, getattr(renewed, name))
        return self

    def __sklearn_clone__(self) -> Self:
        own = self.get_params(deep=False)
        return type(self)(**(own | {"analyzer": self.analyzer.__sklearn_clone__()}))

    def __repr__(self) -> str:
        own = self.get_params(deep=False)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in own.items())})"
