"""scikit-learn's conventions for parameters: stored under their own names, read, changed and refused by name."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from typing import Any, ClassVar, Self

from xaicore.errors import ParameterError, nearest
from xaicore.plugins import MethodSpec, MetricSpec, resolve


class Configured:
    """What has keyword parameters, each stored under its own name, and computes nothing in ``__init__``."""

    given_first: ClassVar[tuple[str, ...]] = ()
    """Arguments of the constructor that are no parameters: the model."""
    made_by: ClassVar[str] = "{cls}({missing})"
    """How one is made, for messages."""

    @classmethod
    def parameter_names(cls) -> list[str]:
        """The names of the keyword parameters."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        others = ("self", *cls.given_first)
        variadic = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
        return [p.name for p in parameters if p.name not in others and p.kind not in variadic]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters by name."""
        return {name: getattr(self, name) for name in (*self.given_first, *self.parameter_names())}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; refuses names that there are not, and values that the constructor would refuse."""
        self.check_parameter_names([name for name in params if name not in self.given_first])
        # Made anew first: what the constructor refuses must not be half set.
        renewed = type(self)(**(self.get_params() | params))
        for name in params:
            setattr(self, name, getattr(renewed, name))
        return self

    @classmethod
    def check_parameter_names(cls, names: list[str]) -> None:
        """Refuse unknown parameters by name."""
        known = cls.parameter_names()
        for name in names:
            if name not in known:
                listed = ", ".join(known) if known else "none"
                raise ParameterError(
                    f"{cls.__name__} has no parameter '{name}' (it has: {listed}).{nearest(name, known)}"
                )

    @classmethod
    def check_none_missing(cls, names: Collection[str]) -> None:
        """Refuse to do without parameters that have no default."""
        parameters = inspect.signature(cls.__init__).parameters
        required = [name for name in cls.parameter_names() if parameters[name].default is inspect.Parameter.empty]
        missing = [name for name in required if name not in names]
        if missing:
            made = cls.made_by.format(cls=cls.__name__, missing=", ".join(f"{name}=..." for name in missing))
            raise ParameterError(
                f"{cls.__name__} needs {', '.join(missing)}, which has no default: {made}. "
                "`xaicore info NAME` says what a parameter is; one that is no number or text can be given from "
                "Python only."
            )

    def __sklearn_clone__(self) -> Self:
        """A new one with the same parameters; scikit-learn would copy them, and a model with them."""
        return type(self)(**self.get_params())


def registered_name(cls: type, specs: Iterable[MethodSpec] | Iterable[MetricSpec]) -> str:
    """The canonical name under which a plugin registered a class; that of the class itself where none did."""
    package = cls.__module__.partition(".")[0]
    own = (spec for spec in specs if spec.target.partition(":")[0].partition(".")[0] == package)
    # Only what is called like this class is imported.
    alike = (spec for spec in own if spec.target.partition(":")[2] == cls.__qualname__)
    names = (spec.name for spec in alike if resolve(spec.target) is cls)
    return next(names, cls.__qualname__.rpartition("<locals>.")[2])  # of a class made in a function its own name
