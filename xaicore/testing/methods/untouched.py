"""Whether a method leaves everything as it was: the model, the inputs, and the process."""

from __future__ import annotations

import functools
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.analyzers import Analyzer
from xaicore.errors import XaicoreError
from xaicore.testing.checks import interface, require
from xaicore.testing.examples import Example
from xaicore.testing.methods.comparing import found_in
from xaicore.testing.methods.subject import LEARNT_FROM, MethodSubject
from xaicore.testing.watching import changes, process_put_back, state_of, state_of_process


@interface
def model_is_untouched(subject: MethodSubject) -> None:
    """The model is the same object with the same contents after an explanation, also in the middle of training."""
    example = subject.smallest
    _require_untouched(example, "an explanation", lambda model: _explain(subject, model, example))


@interface
def model_is_untouched_after_failure(subject: MethodSubject) -> None:
    """The model is as it was after a target that does not exist, and after its own forward has raised an error."""
    example = subject.smallest
    _require_untouched(
        example, "a target that does not exist", lambda model: _fail(lambda: _explain(subject, model, example, 99))
    )
    analyzer = subject.analyzer(example)
    broken = Breaks(example.fresh_model(), calls=1)
    before = state_of(broken)
    _fail(lambda: _on_another_model(analyzer, broken).analyze(example.inputs()))
    _require_same_state(before, state_of(broken), "an error in the second call of the model's own forward")


@interface
def inputs_are_untouched(subject: MethodSubject) -> None:
    """Inputs keep their values and gradients, and relevance does not live in their memory."""
    with_tokens = [each for each in subject.examples[1:] if each.tokens]
    for example in [*subject.examples[:1], *with_tokens[:1]]:
        data = example.inputs(LEARNT_FROM)
        analyzer = subject.create(example.model(), data)
        _require_same_inputs(data, example.inputs(LEARNT_FROM), f"{example.name}: `fit`")
        given = example.inputs()
        tensors = given if isinstance(given, tuple) else (given,)
        if not example.tokens:
            for tensor in tensors:
                tensor.requires_grad_()
        versions = [tensor._version for tensor in tensors]
        found = found_in(analyzer.analyze(given))
        _require_same_inputs(given, example.inputs(), f"{example.name}: `analyze`")
        require([tensor._version for tensor in tensors] == versions, f"{example.name}: `analyze` writes to the inputs")
        collected = any(tensor.grad is not None for tensor in tensors)
        require(not collected, f"{example.name}: `analyze` leaves a gradient in .grad of the inputs")
        kept = all(tensor.requires_grad is not bool(example.tokens) for tensor in tensors)
        require(kept, f"{example.name}: `analyze` changes requires_grad of the inputs")
        shared = {_memory(tensor) for tensor in tensors} & {_memory(tensor) for tensor in found.values()}
        require(not shared, f"{example.name}: the relevance is the input itself, so that a write to one changes both")


@interface
def process_is_untouched(subject: MethodSubject) -> None:
    """Random states, modes, settings, warning filters, environment and logging are as before, also after an error."""
    example = subject.example
    x = example.inputs()
    with process_put_back():
        analyzer = subject.analyzer(example)
        analyzer.analyze(x)  # what it imports on first use may set things up
    calls: dict[str, Callable[[], Any]] = {
        "an explanation": lambda: analyzer.analyze(x),
        "an error": lambda: _fail(lambda: analyzer.analyze(x, 99)),
    }
    for what, call in calls.items():
        torch.manual_seed(11)
        np.random.seed(12)
        random.seed(13)
        before = state_of_process()
        call()
        found = changes(before, state_of_process())
        require(not found, f"{what} changes {', '.join(found)}; put back what must be changed, in a `finally`")


class Breaks(nn.Module):
    """A model that runs a number of times, and raises an error from then on."""

    def __init__(self, inner: nn.Module, calls: int) -> None:
        super().__init__()
        self.inner = inner
        left = [calls]  # beside the module, whose attributes nobody may change

        def count() -> None:
            left[0] -= 1
            if left[0] < 0:
                raise RuntimeError("the model's own forward has failed")

        self.count = count

    def forward(self, *inputs: Tensor) -> Any:
        self.count()
        return self.inner(*inputs)


@functools.cache
def _in_training(example: Example) -> nn.Module:
    """A model as its owner has it in the middle of training: modes mixed, a frozen weight, hooks, gradients.

    It is shared by all methods, so that it is captured once.
    """
    model = example.fresh_model()
    model.train()
    leaves = [module for module in model.modules() if not list(module.children())]
    leaves[0].eval()
    first, *others = model.parameters()
    first.requires_grad_(False)
    for parameter in others:
        parameter.grad = torch.full_like(parameter, 0.5)
    leaves[-1].register_forward_hook(lambda module, arguments, output: None)
    leaves[-1].register_full_backward_hook(lambda module, grad_input, grad_output: None)
    return model


def _require_untouched(example: Example, what: str, call: Callable[[nn.Module], Any]) -> None:
    model = _in_training(example)
    before = state_of(model)
    call(model)
    try:
        _require_same_state(before, state_of(model), what)
    except AssertionError:
        _in_training.cache_clear()  # the next method gets one that nobody has touched
        raise


def _require_same_state(before: dict[str, Any], after: dict[str, Any], what: str) -> None:
    found = changes(before, after)
    require(
        not found,
        f"{what} leaves the model changed ({'; '.join(found[:3])}): work on the graph or on copies, and put back in a "
        "`finally` what must be changed",
    )


def _explain(subject: MethodSubject, model: nn.Module, example: Example, target: Any = None) -> Any:
    return _on_another_model(subject.analyzer(example), model).analyze(example.inputs(), target)


def _on_another_model(analyzer: Analyzer, model: nn.Module) -> Analyzer:
    """The analyzer, with what it has learnt, on another model of the same shape."""
    other = type(analyzer)(**(analyzer.get_params() | {"model": model}))
    learnt = {name: value for name, value in vars(analyzer).items() if name.endswith("_")}
    vars(other).update(learnt)
    return other


def _fail(call: Callable[[], Any]) -> None:
    """Call what must raise an error; which one is the affair of another check."""
    try:
        call()
    except (XaicoreError, RuntimeError, ValueError, IndexError, LookupError):
        return


def _require_same_inputs(found: Any, expected: Any, what: str) -> None:
    pairs = zip(found, expected, strict=True) if isinstance(found, tuple) else [(found, expected)]
    same = all(torch.equal(one.detach(), other) for one, other in pairs)
    require(same, f"{what} writes to its inputs; work on a copy")


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
