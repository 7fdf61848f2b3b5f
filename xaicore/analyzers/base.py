"""What every analyzer is: a configured method bound to a model, with scikit-learn's conventions."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from xaicore.analyzers.configured import Configured, registered_name
from xaicore.analyzers.targets import resolve_target
from xaicore.engine import Engine
from xaicore.errors import InputError
from xaicore.explanation import Explanation
from xaicore.graph import trace
from xaicore.graph.trace import one_at_a_time
from xaicore.plugins import plugin_registry


class Analyzer(Configured, ABC):
    """A method of explanation, configured, for one model.

    A subclass takes the model first and its parameters by keyword, stores each under its own name, and computes
    nothing in ``__init__``. State learnt in `fit` ends in an underscore.

    Parameters
    ----------
    model : torch.nn.Module
        Stays as it is.
    """

    family: ClassVar[str] = ""
    given_first = ("model",)
    made_by = "create_analyzer(method, model, {missing})"

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
        return registered_name(type(self), plugin_registry().methods())

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
