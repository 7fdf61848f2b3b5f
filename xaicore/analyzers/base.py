"""What every analyzer is: a configured method bound to a model, with scikit-learn's conventions."""

from __future__ import annotations

import inspect
from abc import ABC
from collections.abc import Callable, Collection
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from xaicore.analyzers.targets import resolve_target
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError, nearest
from xaicore.explanation import Explanation
from xaicore.graph import trace
from xaicore.graph.trace import one_at_a_time
from xaicore.plugins import plugin_registry, resolve


class Analyzer(ABC):
    """A method of explanation, configured, for one model.

    A subclass takes the model first and its parameters by keyword, stores each under its own name, and computes
    nothing in ``__init__``. State learnt in `fit` ends in an underscore.

    Parameters
    ----------
    model : torch.nn.Module
        Stays as it is.
    """

    family: ClassVar[str] = ""

    def __init__(self, model: Any) -> None:
        self.model = model

    # Each family has options of its own, so that only the two first arguments are common to all.
    analyze: Callable[..., Explanation]
    """``analyze(inputs, target=None, **options)`` explains the model's output for these inputs.

    A target may also be a `Target`, which analyzers that wrap this one pass on; `resolve_target` leaves it as it is.
    """

    def predict(self, inputs: Any, *, output: str | int | None = None) -> Tensor:
        """The output that `analyze` explains, (B, ...), without an explanation; of a softmax model, the logits."""
        prepared = Engine().prepare(inputs, check_is_module(self.model))
        with torch.inference_mode(False), torch.no_grad(), one_at_a_time:
            graph = trace(self.model, *prepared.args, **prepared.kwargs)
            outputs = graph.run(graph.flatten(prepared.args, prepared.kwargs))
        return outputs[resolve_target(None, output).select(outputs)]

    def fit(self, data: Any = None) -> Self:
        """Learn what the method needs from data; most methods need nothing."""
        return self

    @property
    def method(self) -> str:
        """The canonical name (``lrp.epsilon``); of a class that no plugin registered, the name of the class."""
        package = type(self).__module__.partition(".")[0]
        own = (spec for spec in plugin_registry().methods() if spec.target.partition(".")[0] == package)
        # Only what is called like this class is imported.
        alike = (spec for spec in own if spec.target.partition(":")[2] == type(self).__qualname__)
        names = (spec.name for spec in alike if resolve(spec.target) is type(self))
        return next(names, type(self).__qualname__)

    @classmethod
    def parameter_names(cls) -> list[str]:
        """The names of the keyword parameters."""
        parameters = inspect.signature(cls.__init__).parameters.values()
        return [p.name for p in parameters if p.name not in ("self", "model") and p.kind is not p.VAR_KEYWORD]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The model and the parameters by name."""
        return {"model": self.model} | {name: getattr(self, name) for name in self.parameter_names()}

    def set_params(self, **params: Any) -> Self:
        """Change parameters; refuses names that the method does not have, and values that it would refuse."""
        self.check_parameter_names([name for name in params if name != "model"])
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
            raise ParameterError(
                f"{cls.__name__} needs {', '.join(missing)}, which has no default: "
                f"create_analyzer(method, model, {', '.join(f'{name}=...' for name in missing)}). "
                "`xaicore info METHOD` says what a parameter is; one that is no number or text can be given from "
                "Python only."
            )

    def __sklearn_clone__(self) -> Self:
        """A new analyzer with the same parameters on the same model; scikit-learn would copy the model."""
        return type(self)(**self.get_params())

    def __repr__(self) -> str:
        params = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.parameter_names())
        return f"{type(self).__name__}({type(self.model).__name__}{', ' + params if params else ''})"


def check_is_module(model: Any) -> nn.Module:
    """Refuse what is no PyTorch model."""
    if not isinstance(model, nn.Module):
        raise InputError(
            f"the model is a {type(model).__name__}; this method needs a torch.nn.Module. Methods of the "
            "perturbation family work on any callable."
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise InputError(
            f"the model is TorchScript ({type(model).__name__}), whose graph cannot be captured: give the Python "
            "module that it was made from, or its torch.export program"
        )
    return model
