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

_RANGE = {"low": 0.0, "high": 1.0}
"""What the demo can say about its data to methods that ask: the range of the pixels."""
_COMPARED_WITH = 50


@dataclass(frozen=True)
class Run:
    """One method on all digits: an explanation, or why there is none."""

    spec: MethodSpec
    explanation: xaicore.Explanation | None
    seconds: float = 0.0
    reason: str = ""


def run_methods(model: nn.Module, images: Tensor, target: list[int], data: Tensor) -> Iterator[Run]:
    """Explain the digits with one method after the other; one that fails does not stop the others.

    ``data`` are other digits: what methods learn from that learn, and compare with that need something to compare with.
    """
    known = _RANGE | {"baseline": xaicore.baselines.Data(data[:_COMPARED_WITH])}
    for spec in xaicore.methods():
        if spec.family == "prototype":
            yield Run(spec, None, reason="shows what a class looks like, not why a digit is in it: xaicore prototype")
            continue
        if "image" not in spec.inputs:
            yield Run(spec, None, reason=f"made for {' and '.join(spec.inputs)}, not for images")
            continue
        try:
            asked = _asked(spec)
            unknown = [name for name, required in asked.items() if required and name not in known]
            if unknown:
                yield Run(spec, None, reason=f"needs a choice of yours: {', '.join(unknown)}")
                continue
            given = {name: known[name] for name in asked if name in known}
            analyzer = xaicore.create_analyzer(spec.name, model, **given).fit(data)
            started = time.perf_counter()
            found: Any = analyzer.analyze(images, target)
        except XaicoreError as error:
            yield Run(spec, None, reason=str(error))
            continue
        seconds = time.perf_counter() - started
        if isinstance(found, xaicore.Explanation):
            yield Run(spec, found, seconds)
        else:
            yield Run(spec, None, reason=f"gives a {type(found).__name__}, not an explanation of a digit")


def _asked(spec: MethodSpec) -> dict[str, bool]:
    """Return the parameters that the method leaves to the user, and for each whether it must be given."""
    parameters = dict(inspect.signature(resolve(spec.target)).parameters)
    parameters.pop("model", None)
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    open_ones = [
        each for each in parameters.values() if each.default in (each.empty, None) and each.kind not in variadic
    ]
    return {each.name: each.default is each.empty for each in open_ones}
