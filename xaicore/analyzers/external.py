"""Relevance that is made elsewhere: by a function of another library, or given as it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.analyzers.evaluation import Evaluation
from xaicore.analyzers.expansion import Attribution, ExpansionAnalyzer
from xaicore.analyzers.on_callable import CallableEvaluation
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, ParameterError, TargetError, nearest
from xaicore.explanation import Explanation
from xaicore.graph.capture import evaluation_mode
from xaicore.graph.untouched import untouched


class _External(ExpansionAnalyzer):
    """What relevance made elsewhere has in common: it is that of the inputs, of a model that is only called."""

    def evaluation(
        self, inputs: Any, target: Any, output: str | int | None, layer: str | None, engine: Engine
    ) -> Evaluation:
        if layer is not None:
            raise ParameterError(f"{self.method}: relevance made elsewhere is that of the inputs: leave layer= out")
        return super().evaluation(inputs, target, output, layer, engine)


class ExternalMethod(_External):
    """A method of another library, or a function of one's own, as an analyzer: to be judged, compared and drawn.

    Parameters
    ----------
    model : torch.nn.Module or callable
        Runs in evaluation mode while the function does, and is left as it is: its modes, buffers, gradients and hooks.
        Only weights that the function overwrites it must put back itself.
    function : callable
        ``function(model, inputs, index)`` returns the relevance of a batch, as a tensor or array like the inputs.
        ``inputs`` is what the model takes: a tensor, or a tuple or dict of them (arrays, for a model on arrays).
        ``index`` is the explained class of each sample, (B,); of outputs with more dimensions a list of tuples; None
        of outputs with one value a sample. Of several inputs it returns a tuple, or a dict by name. Relevance
        without channels, (B, H, W) or (B, 1, H, W), is spread evenly over those of the input.
    name : str, optional
        What it is called in results; by default as the function is.

    Examples
    --------
    >>> def gradient(model, x, index):
    ...     x = x.clone().requires_grad_()
    ...     return torch.autograd.grad(model(x)[range(len(x)), index].sum(), x)[0]
    >>> model = nn.Linear(3, 2)
    >>> explanation = ExternalMethod(model, function=gradient).analyze(torch.ones(4, 3), target=1)
    >>> torch.equal(explanation.relevance[0], model.weight[1].detach())
    True
    """

    def __init__(self, model: Any, *, function: Callable[[Any, Any, Any], Any], name: str | None = None) -> None:
        super().__init__(model)
        self.function, self.name = function, name
        if not callable(function):
            raise ParameterError(f"function={function!r} must be a function (model, inputs, index) -> relevance")

    @property
    def method(self) -> str:
        """The name that was given, or that of the function."""
        return self.name or str(getattr(self.function, "__name__", type(self.function).__name__))

    def attribute(self, evaluation: CallableEvaluation, engine: Engine) -> Attribution:
        """Have the function explain the samples."""
        arguments = evaluation.arguments(evaluation.varied, Block(0, evaluation.batch, 0, 1))
        copies = arguments.map(lambda leaf: leaf.clone() if isinstance(leaf, Tensor) else leaf)
        given = evaluation.as_given(copies)
        given = given[0] if isinstance(given, tuple) and len(given) == 1 else given
        index = self._index(evaluation)
        with engine.report.phase("run"), _lent(self.model, evaluation.device):
            found = self.function(self.model, given, index)
        engine.report.count(evaluation.batch)
        return Attribution(like_inputs(found, evaluation.varied, f"{self.method} returned"))

    def _index(self, evaluation: CallableEvaluation) -> Any:
        described = evaluation.target.describe(evaluation.prediction)
        if described["kind"] not in ("class", "index", "output"):
            raise TargetError(
                f"{self.method} is told which class to explain, and cannot be told of a target of kind "
                f"{described['kind']!r}: give a class, or write the target into the function"
            )
        if described["kind"] != "class":
            return None if described["kind"] == "output" else described["index"]
        index = torch.tensor(described["index"], device=evaluation.device)
        return index if isinstance(self.model, nn.Module) else index.numpy()


class GivenRelevance(_External):
    """Relevance that is there already, for exactly these samples and no others.

    What it says of other inputs, of another class or of another model nobody knows: metrics that ask for that refuse
    it, and `ExternalMethod` answers them.

    Parameters
    ----------
    model : torch.nn.Module or callable
        The model that is explained.
    relevance : Tensor or array, or tuple or dict of them
        Like the inputs, (B, ...); without channels, (B, H, W) or (B, 1, H, W), it is spread evenly over them.
    name : str, optional
        What it is called in results.

    Examples
    --------
    >>> given = GivenRelevance(nn.Linear(3, 2), relevance=torch.tensor([[1.0, -2.0, 0.0]]), name="by hand")
    >>> given.analyze(torch.ones(1, 3)).relevance
    tensor([[ 1., -2.,  0.]])
    """

    def __init__(self, model: Any, *, relevance: Any, name: str | None = None) -> None:
        super().__init__(model)
        self.relevance, self.name = relevance, name

    @property
    def method(self) -> str:
        """The name that was given."""
        return self.name or super().method

    def __repr__(self) -> str:
        """Without the relevance itself: messages would be pages long."""
        return f"{type(self).__name__}({type(self.model).__name__}, name={self.name!r})"

    def attribute(self, evaluation: CallableEvaluation, engine: Engine) -> Attribution:
        """Return the relevance of these samples."""
        total, start = evaluation.total or evaluation.batch, evaluation.start

        def rows(given: Any, name: str) -> Tensor:
            tensor = _tensor(given, name, "relevance: given is")
            if tensor.ndim and len(tensor) != total:
                raise InputError(
                    f"the relevance of {len(tensor)} samples was given, and {total} are explained: relevance that is "
                    "given belongs to exactly its samples"
                )
            return tensor[start : start + evaluation.batch] if tensor.ndim else tensor

        named = _named(self.relevance, evaluation.varied, "relevance: given is")
        part = {name: rows(given, name) for name, given in named.items()}
        return Attribution(like_inputs(part, evaluation.varied, "relevance: given is"))


def like_inputs(found: Any, inputs: Mapping[str, Tensor], who: str) -> dict[str, Tensor]:
    """Relevance by the names of the inputs, shaped like them, from what somebody returned.

    Raises
    ------
    InputError
        It is no relevance of these inputs.
    """
    return {name: _fitted(each, name, inputs[name], who) for name, each in _named(found, inputs, who).items()}


def _named(found: Any, inputs: Mapping[str, Tensor], who: str) -> dict[str, Any]:
    known = ", ".join(map(repr, inputs))
    if isinstance(found, Explanation):
        found = found.relevance
    if isinstance(found, Mapping):
        for name in found:
            if name not in inputs:
                raise InputError(f"{who} relevance of {name!r}; the inputs are {known}.{nearest(str(name), inputs)}")
        return dict(found)
    given = found if isinstance(found, tuple) else (found,)
    if len(given) != len(inputs):
        raise InputError(f"{who} {len(given)} tensors; the inputs are {known}: one for each, or a dict by name")
    return dict(zip(inputs, given, strict=True))


def _fitted(found: Any, name: str, x: Tensor, who: str) -> Tensor:
    tensor = _tensor(found, name, who)
    dtype = x.dtype if x.is_floating_point() else torch.float32
    tensor = tensor.to(x.device, dtype)
    shape = tuple(x.shape)
    flat = (shape[0], 1, *shape[2:]), (shape[0], *shape[2:])
    if tuple(tensor.shape) == shape:
        return tensor
    if x.ndim > 2 and tuple(tensor.shape) in flat:
        return (tensor.reshape(flat[0]) / shape[1]).expand(shape)
    alternatives = f", or {flat[0]} summed over channels" if x.ndim > 2 else ""
    raise InputError(f"{who} relevance of shape {tuple(tensor.shape)} for {name!r}; it must be {shape}{alternatives}")


def _tensor(found: Any, name: str, who: str) -> Tensor:
    try:
        # Tensors cannot share the memory of an array that is turned round (negative strides).
        tensor = torch.as_tensor(found.copy() if isinstance(found, np.ndarray) else found).detach()
    except (TypeError, ValueError, RuntimeError) as error:
        kind = type(found).__name__
        raise InputError(f"{who} a {kind} for {name!r}; it must be a tensor or an array of numbers") from error
    if tensor.is_complex():
        raise InputError(f"{who} complex relevance for {name!r}; give its real part or its magnitude")
    return tensor


@contextmanager
def _lent(model: Any, device: torch.device) -> Iterator[None]:
    """The model in evaluation mode and with gradients, for others to use; what they leave behind is taken away."""
    if not isinstance(model, nn.Module):
        yield
        return
    gradients = [(parameter, parameter.grad, parameter.requires_grad) for parameter in model.parameters()]
    devices = [device] if device.type == "cuda" else []
    try:
        for parameter, _, _ in gradients:
            parameter.grad = None
        with torch.enable_grad(), evaluation_mode(model), untouched(model), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for parameter, gradient, required in gradients:
            parameter.requires_grad_(required)
            parameter.grad = cast(Any, gradient)
