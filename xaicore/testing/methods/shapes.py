"""Whether relevance looks like the input that it explains: shape, type and device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xaicore.testing.checks import Failure, Skip, interface, require
from xaicore.testing.examples import TWO_INPUTS, Example
from xaicore.testing.methods.comparing import found_in, require_same
from xaicore.testing.methods.subject import LEARNT_FROM, MethodSubject

DTYPES = (torch.float32, torch.bfloat16)
"""Beside float64, in which all is tried."""


@interface
def looks_like_the_input(subject: MethodSubject) -> str:
    """Relevance is finite and has shape, type and device of the input; of tokens, one floating-point value each."""
    for example in subject.examples:
        _check(subject, example, 3, torch.float64)
    example = subject.example
    _check(subject, example, 1, torch.float64)
    for dtype in DTYPES:
        _check(subject, example, 3, dtype)
    names = ", ".join(each.name for each in subject.examples)
    if not torch.cuda.is_available():
        return f"{names}; on the CPU alone, since there is no GPU here"
    model = example.fresh_model().cuda()
    analyzer = subject.create(model, example.inputs(LEARNT_FROM))
    for device in ("cpu", "cuda"):
        x = _moved(example.inputs(), device)
        _check_result(analyzer.analyze(x), x, f"{example.name} on a GPU, inputs on {device}")
    return f"{names}; on CPU and GPU"


@interface
def several_inputs_are_told_apart(subject: MethodSubject) -> None:
    """Of a model with several inputs, relevance is a dict by their names, given as a tuple or by name."""
    if TWO_INPUTS.kind not in subject.made_for:
        raise Skip(f"the kit's {TWO_INPUTS.name} is for methods made for {TWO_INPUTS.kind!r}")
    if TWO_INPUTS in subject.refusals:
        raise Skip(f"it refuses several inputs: {subject.refusals[TWO_INPUTS]}")
    left, right = TWO_INPUTS.inputs()
    analyzer = subject.analyzer(TWO_INPUTS)
    by_position = analyzer.analyze((left, right))
    relevance = getattr(by_position, "relevance", None)
    require(
        isinstance(relevance, Mapping) and list(relevance) == ["left", "right"],
        f"relevance of the inputs 'left' and 'right' must be a dict with these names; it is "
        f"{sorted(relevance) if isinstance(relevance, Mapping) else type(relevance).__name__}",
    )
    _check_result(by_position, (left, right), TWO_INPUTS.name)
    by_name = analyzer.analyze({"left": left, "right": right})
    require_same(found_in(by_name), found_in(by_position), "inputs by name are explained otherwise than by position")


def _check(subject: MethodSubject, example: Example, count: int, dtype: torch.dtype) -> None:
    where = f"{example.name}, batch of {count}, {str(dtype).removeprefix('torch.')}"
    x = example.inputs(count, dtype)
    try:
        result = subject.analyzer(example, dtype).analyze(x)
    except Exception as error:
        raise Failure(f"{where}: {type(error).__name__}: {error}") from error
    _check_result(result, x, where)


def _check_result(result: Any, inputs: Any, where: str) -> None:
    given = inputs if isinstance(inputs, tuple) else (inputs,)
    found = list(found_in(result).values())
    require(len(found) == len(given), f"{where}: relevance of {len(found)} inputs; there are {len(given)}")
    for relevance, x in zip(found, given, strict=True):
        _check_tensor(relevance, x, where)


def _check_tensor(relevance: Tensor, x: Tensor, where: str) -> None:
    require(
        relevance.shape == x.shape,
        f"{where}: relevance has shape {tuple(relevance.shape)}; the input has {tuple(x.shape)}",
    )
    if x.is_floating_point():
        require(relevance.dtype == x.dtype, f"{where}: relevance is {relevance.dtype}; the input is {x.dtype}")
    else:
        require(relevance.is_floating_point(), f"{where}: relevance of tokens is {relevance.dtype}, not floating-point")
    require(relevance.device == x.device, f"{where}: relevance is on {relevance.device}; the input is on {x.device}")
    require(not relevance.requires_grad, f"{where}: relevance hangs on an autograd graph: detach it")
    count = int((~torch.isfinite(relevance)).sum())
    require(count == 0, f"{where}: {count} values of the relevance are NaN or infinite")


def _moved(inputs: Any, device: str) -> Any:
    return tuple(each.to(device) for each in inputs) if isinstance(inputs, tuple) else inputs.to(device)
