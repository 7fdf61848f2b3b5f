"""Explaining several views of one input (shifted copies, windows) and bringing the relevance back to it.

A view is a linear map from the input to what the model is given. Its relevance returns by the transposed map, which
keeps the sum. Views are run a few at a time and added up as they come, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from xaicore.analyzers.base import Analyzer
from xaicore.analyzers.targets import Target
from xaicore.engine import Block, Engine
from xaicore.errors import InputError, ParameterError
from xaicore.explanation import Diagnostics, Explanation

_OF_LAYERS = ("layer", "record")


class View(Protocol):
    """A linear map from inputs (B, C, ...) to what the model is given."""

    def take(self, x: Tensor) -> Tensor:
        """What the model is given."""
        ...

    def give_back(self, relevance: Tensor, total: Tensor) -> None:
        """Add the relevance of what the model was given to that of the input, by the transposed map, in place."""
        ...


@dataclass(frozen=True)
class Subject:
    """The one input whose views are explained, and how to hand it to the wrapped analyzer."""

    tensor: Tensor
    packed: Callable[[Tensor], Any]

    @classmethod
    def of(cls, inputs: Any, what: str) -> Subject:
        """Take the only input from what a user passes; it needs a batch, channels, and dimensions behind them."""
        several = inputs if isinstance(inputs, (tuple, Mapping)) else (inputs,)
        if len(several) != 1:
            raise InputError(f"{what} takes models with one input; {len(several)} were given")
        if isinstance(inputs, Mapping):
            ((name, value),) = inputs.items()
            return cls(_as_tensor(value, what), lambda tensor: {name: tensor})
        return cls(_as_tensor(several[0], what), lambda tensor: (tensor,) if isinstance(inputs, tuple) else tensor)


@dataclass(frozen=True)
class Seen:
    """What was found in all views, brought back to the input and added up.

    Attributes
    ----------
    relevance : Tensor
        Shaped like the input.
    prediction : Tensor (B, ...)
        The sum of the model's outputs.
    explained : Tensor (B,)
        The sum of the explained values.
    first : Explanation
        What the first views were explained as: the labels of the target, the parameters of the method.
    diagnostics : Diagnostics
        Of all views together, one entry a view and sample.
    """

    relevance: Tensor
    prediction: Tensor
    explained: Tensor
    first: Explanation
    diagnostics: Diagnostics

    def explanation(self, analyzer: Any, inputs: Tensor, weight: float, **target: Any) -> Explanation:
        """The explanation of ``weight`` times the sum over the views; ``target`` replaces entries of the target."""
        explained = self.explained * weight
        relevance = (self.relevance * weight).to(inputs.device, inputs.dtype)
        parts = self.diagnostics
        ledger = parts.ledger and [
            {key: value * weight if isinstance(value, float) else value for key, value in row.items()}
            for row in parts.ledger
        ]
        own = {name: value for name, value in analyzer.get_params(deep=False).items() if name != "analyzer"}
        wrapped = {f"analyzer__{name}": value for name, value in self.first.parameters.items()}
        return Explanation(
            relevance=relevance,
            prediction=self.prediction * weight,
            target=self.first.target | {"values": explained} | target,
            diagnostics=Diagnostics.measure(
                relevance,
                explained,
                conserving=parts.conservation_gap is not None,
                fallbacks=parts.fallbacks,
                notes=parts.notes,
                ledger=ledger,
            ),
            method=analyzer.method,
            parameters={"analyzer": self.first.method} | own | wrapped,
            inputs=inputs.detach().clone(),
        )


def check_options(options: Mapping[str, Any], what: str) -> None:
    """Refuse what has no place in the whole input: the relevance of inner layers differs from view to view."""
    for name in _OF_LAYERS:
        if options.get(name):
            raise ParameterError(f"{what} explains at the input: {name}= is not possible here")


def explain_views(
    analyzer: Analyzer, subject: Subject, views: Sequence[View], target: Target, engine: Engine, **options: Any
) -> Seen:
    """Explain all views of the subject, in batches that the engine chooses (by default one view of each sample)."""
    x = subject.tensor
    total = torch.zeros_like(x, dtype=_wide(x.dtype), requires_grad=False)
    first: list[Explanation] = []
    checks: list[Diagnostics] = []
    prediction: Any = 0.0
    explained: Any = 0.0
    inner = engine.within(batch_size=None)

    def explain(block: Block) -> Explanation:
        rows = target.take(block.numbers().tolist(), len(x))
        return analyzer.analyze(subject.packed(_rows(views, x, block)), rows, engine=inner, **options)

    sweep = engine.sweep(len(x), len(views), explain, device=x.device, unit="view", outer=True)
    for block, found in sweep:
        assert isinstance(found.relevance, Tensor)  # of one input
        relevance = block.grid(found.relevance.to(total.device, total.dtype))
        for number, step in enumerate(block.steps):
            views[step].give_back(relevance[:, number], total[block.start : block.stop])
        if block.first == 0:
            first.append(replace(found[:: len(block.steps)], recorded={}))
        prediction = _added(prediction, found.prediction, block, len(x))
        explained = _added(explained, found.diagnostics.explained, block, len(x))
        checks.append(found.diagnostics)
    if sweep.finished < len(x):
        raise KeyboardInterrupt
    return Seen(total, prediction, explained, Explanation.concat(first), Diagnostics.concat(checks))


def predict_views(
    analyzer: Analyzer, subject: Subject, views: Sequence[View], output: str | int | None, engine: Engine
) -> Tensor:
    """The sum over the views of the outputs that would be explained, (B, ...)."""
    x = subject.tensor
    total: Any = 0.0

    def predict(block: Block) -> Tensor:
        return analyzer.predict(subject.packed(_rows(views, x, block)), output=output)

    sweep = engine.sweep(len(x), len(views), predict, device=x.device, unit="view")
    for block, found in sweep:
        total = _added(total, found, block, len(x))
    if sweep.finished < len(x):
        raise KeyboardInterrupt
    result: Tensor = total
    return result


def _rows(views: Sequence[View], x: Tensor, block: Block) -> Tensor:
    """These views of these samples, sample by sample."""
    return torch.stack([views[step].take(block.of(x)) for step in block.steps], 1).flatten(0, 1)


def _added(total: Any, values: Tensor, block: Block, samples: int) -> Tensor:
    """Add the values of these rows to the sum of each sample."""
    values = values.detach().to(_wide(values.dtype))
    if not isinstance(total, Tensor):
        total = values.new_zeros((samples, *values.shape[1:]))
    total[block.start : block.stop] += block.grid(values).sum(1)
    added: Tensor = total
    return added


def _wide(dtype: torch.dtype) -> torch.dtype:
    """Half precision sums lose small relevance: add in single precision."""
    return torch.float32 if dtype in (torch.float16, torch.bfloat16) else dtype


def _as_tensor(value: Any, what: str) -> Tensor:
    tensor = value if isinstance(value, Tensor) else torch.as_tensor(np.asarray(value))
    if not tensor.is_floating_point() or tensor.ndim < 3 or not tensor.numel():
        raise InputError(
            f"{what} takes floating-point inputs of shape (B, C, ...) with at least one dimension behind the channels; "
            f"this one has shape {tuple(tensor.shape)} and type {str(tensor.dtype).removeprefix('torch.')}"
        )
    return tensor
