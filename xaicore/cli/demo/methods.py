"""Every installed method on the same digits, each with its defaults."""

from __future__ import annotations

import inspect
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

import xaicore
from xaicore.errors import XaicoreError
from xaicore.plugins import MethodSpec, resolve

_KNOWN = {"low": 0.0, "high": 1.0}
"""What the demo can say about its data to methods that ask: the range of the pixels."""


@dataclass(frozen=True)
class Run:
    """One method on all digits: an explanation, or why there is none."""

    spec: MethodSpec
    explanation: xaicore.Explanation | None
    seconds: float = 0.0
    reason: str = ""


def run_methods(model: nn.Module, images: Tensor, target: list[int]) -> Iterator[Run]:
    """Explain the digits with one method after the other; one that fails does not stop the others."""
    for spec in xaicore.methods():
        started = time.perf_counter()
        try:
            analyzer = xaicore.create_analyzer(spec.name, model, **_parameters(spec))
            found: Any = analyzer.analyze(images, target)
        except (XaicoreError, _Unanswered) as error:
            yield Run(spec, None, reason=str(error))
            continue
        if isinstance(found, xaicore.Explanation):
            yield Run(spec, found, time.perf_counter() - started)
        else:
            yield Run(spec, None, reason=f"gives a {type(found).__name__}, not an explanation of a digit")


class _Unanswered(Exception):
    """A method asks for a parameter that only a user can choose."""


def _parameters(spec: MethodSpec) -> dict[str, float]:
    """Return what a method cannot do without."""
    asked = inspect.signature(resolve(spec.target)).parameters.values()
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [each.name for each in asked if each.default is each.empty and each.kind not in variadic]
    unknown = [name for name in required if name != "model" and name not in _KNOWN]
    if unknown:
        raise _Unanswered(f"needs a choice of yours: {', '.join(unknown)}")
    return {name: _KNOWN[name] for name in required if name != "model"}
