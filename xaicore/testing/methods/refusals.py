"""Whether input that cannot be explained is refused by an error that a user can act on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from xaicore.errors import XaicoreError
from xaicore.testing.checks import Failure, interface
from xaicore.testing.examples import Example
from xaicore.testing.methods.subject import MethodSubject

SHORTEST_MESSAGE = 20
"""Characters below which an error says nothing."""


@interface
def bad_input_is_refused(subject: MethodSubject) -> str:
    """Inputs, targets and options that cannot be are refused by an XaicoreError that says what is wrong."""
    example = subject.smallest
    analyzer = subject.analyzer(example)
    found, tried = [], []
    for what, inputs, target, options in _cases(example):
        tried.append(what)
        try:
            result = analyzer.analyze(inputs, target, **options)
        except XaicoreError as error:
            if len(str(error)) < SHORTEST_MESSAGE:
                found.append(f"{what}: the message of {type(error).__name__} says too little: {str(error)!r}")
        except Exception as error:
            if isinstance(error, TypeError) and any(name in str(error) for name in options):
                continue  # Python itself refuses, by name, what is not in the signature
            said = " ".join(str(error).split())
            found.append(f"{what}: {type(error).__name__} ({said:.120}) instead of an XaicoreError")
        else:
            found.append(f"{what}: no error, but {type(result).__name__}")
    if found:
        raise Failure(
            f"{example.name}: {'; '.join(found)}. Refuse what cannot be before work starts, by an InputError, a "
            "TargetError or a ParameterError that says what is wrong and what to do"
        )
    return f"refused: {', '.join(tried)}"


def _cases(example: Example) -> Iterator[tuple[str, Any, Any, dict[str, Any]]]:
    """What is wrong, the inputs, the target, and the options."""
    good = example.inputs()
    first = good[0] if isinstance(good, tuple) else good
    for what, bad in _bad_inputs(example, first):
        yield what, (bad, *good[1:]) if isinstance(good, tuple) else bad, None, {}
    yield "one input more than the model takes", (*_as_tuple(good), first), None, {}
    yield "a file name", "inputs.npy", None, {}
    yield "nothing", None, None, {}
    yield "a class that there is not", good, 99, {}
    yield "a class by name", good, "cat", {}
    yield "more targets than samples", good, [0] * (len(first) + 1), {}
    yield "an option that there is not", good, 0, {"no_such_option": 1}


def _bad_inputs(example: Example, good: Tensor) -> Iterator[tuple[str, Tensor]]:
    yield "no samples", good[:0]
    if example.tokens:
        yield "a token that there is not", torch.full_like(good, 10 * example.tokens)
        return
    holed = good.clone()
    holed.flatten()[0] = float("nan")
    yield "NaN", holed
    yield "infinity", good / 0
    yield "another number of features", torch.cat([good, good[:, :1]], 1)
    yield "integers where the model needs floating-point numbers", (10 * good).long()


def _as_tuple(inputs: Any) -> tuple[Any, ...]:
    return inputs if isinstance(inputs, tuple) else (inputs,)
