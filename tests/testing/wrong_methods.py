"""Methods with one thing wrong each, and a few with nothing wrong, for the tests of the kit."""

from __future__ import annotations

import contextlib
import copy
import inspect
import logging
import os
import random
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from xaicore.analyzers import Attribution, Evaluation, ExpansionAnalyzer, PropagationAnalyzer
from xaicore.engine import Block, Engine, generator
from xaicore.errors import InputError
from xaicore.explanation import Diagnostics, Explanation


class Right(ExpansionAnalyzer):
    """What the output loses when an input is zero, shared in proportion to its values.

    It captures no graph, so that a card costs little.

    Parameters
    ----------
    factor : float
        By which all relevance is multiplied.
    """

    family = "perturbation"

    def __init__(self, model: nn.Module, *, factor: float = 1.0) -> None:
        super().__init__(model)
        self.factor = factor

    def attribute(self, evaluation: Evaluation, engine: Engine) -> Attribution:
        found = {}
        for name, x in evaluation.varied.items():
            without = evaluation.varied | {name: torch.zeros_like(x)}
            lost = evaluation.values - evaluation.scores(without, Block(0, evaluation.batch, 0, 1))
            values = x.to(lost.dtype)
            found[name] = self.weight() * torch.einsum("b,b...->b...", lost / values.flatten(1).sum(1), values)
        return Attribution(found)

    def weight(self) -> float:
        return self.factor


class RightOnTheGraph(PropagationAnalyzer):
    """Gradient times input."""

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value


class RightWithSeed(Right):
    """As `Right`, times random factors.

    Parameters
    ----------
    seed : int
        Of the factors.
    """

    def __init__(self, model: nn.Module, *, factor: float = 1.0, seed: int = 0) -> None:
        super().__init__(model, factor=factor)
        self.seed = seed

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        return changed(found, lambda tensor: tensor * self.factors(tensor))

    def factors(self, tensor: Tensor) -> Tensor:
        return 1 + torch.rand(tensor.shape[1:], generator=generator(self.seed)).to(tensor)


class RightWithFit(Right):
    """As `Right`, times the largest value that it has seen."""

    def fit(self, data: Any = None) -> Self:
        tensors = data if isinstance(data, tuple) else (data,)
        self.largest_ = max(float(tensor.max()) for tensor in tensors)
        return self

    def weight(self) -> float:
        return self.largest_ * self.factor


def changed(found: Explanation, change: Callable[[Tensor], Tensor]) -> Explanation:
    """An explanation with other relevance, and diagnostics that are true of it."""
    given = found.relevance
    relevance = (
        {name: change(tensor) for name, tensor in given.items()} if isinstance(given, Mapping) else change(given)
    )
    measured = Diagnostics.measure(relevance, found.diagnostics.explained, conserving=False)
    return replace(found, relevance=relevance, diagnostics=measured)


# Parameters


class ByPosition(Right):
    def __init__(self, model: nn.Module, factor: float = 1.0) -> None:
        super().__init__(model, factor=factor)


class FillsInADefault(Right):
    def __init__(self, model: nn.Module, *, factor: float | None = None) -> None:
        super().__init__(model, factor=1.0 if factor is None else factor)


class KeepsMore(Right):
    def __init__(self, model: nn.Module, *, factor: float = 1.0) -> None:
        super().__init__(model, factor=factor)
        self.steps = 3


class RunsTheModel(Right):
    def __init__(self, model: nn.Module, *, factor: float = 1.0) -> None:
        super().__init__(model, factor=factor)
        with contextlib.suppress(RuntimeError, TypeError):
            self._classes = model(torch.ones(2, 6)).shape[-1]


class TakesAnyName(Right):
    def set_params(self, **params: Any) -> Self:
        for name, value in params.items():
            setattr(self, name, value)
        return self


class ChangesHalf(Right):
    def set_params(self, **params: Any) -> Self:
        for name in params:
            self.model = copy.copy(self.model)
            self.check_parameter_names([name] if name != "model" else [])
            setattr(self, name, params[name])
        return self


class SaysNothing(Right):
    def __init__(self, model: nn.Module, *, factor: float = 1.0, power: float = 1.0) -> None:
        super().__init__(model, factor=factor)
        self.power = power


class TakesAnything(Right):
    def __init__(self, model: nn.Module, *, factor: float = 1.0, **options: Any) -> None:
        super().__init__(model, factor=factor)


# Copies


class ClonesTheModel(Right):
    def __sklearn_clone__(self) -> Self:
        return type(self)(copy.deepcopy(self.model), factor=self.factor)


class ForgetsWhenCloned(Right):
    def __sklearn_clone__(self) -> Self:
        return type(self)(self.model)


class GivesAnotherName(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        return replace(super().analyze(inputs, target, **options), method="saliency")


class TellsNoParameters(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        return replace(super().analyze(inputs, target, **options), parameters={})


# What is refused, and what comes back


class MendsInputs(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        mended = inputs.nan_to_num() if isinstance(inputs, Tensor) and inputs.is_floating_point() else inputs
        return super().analyze(mended, target, **options)


class Stumbles(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        if not len(inputs):
            raise ZeroDivisionError("division by zero")
        return super().analyze(inputs, target, **options)


class IgnoresOptions(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        known = inspect.signature(ExpansionAnalyzer.analyze).parameters
        return super().analyze(inputs, target, **{name: options[name] for name in options if name in known})


class SumsChannels(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        return changed(found, lambda tensor: tensor.sum(1, keepdim=True) if tensor.ndim == 4 else tensor)


class WidensHalves(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        return changed(found, lambda tensor: tensor.float() if tensor.dtype == torch.bfloat16 else tensor)


class CountsTokens(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        whole = isinstance(inputs, Tensor) and not inputs.is_floating_point()
        return changed(found, lambda tensor: tensor.long()) if whole else found


class NumbersInputs(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        if isinstance(found.relevance, Mapping):
            return replace(found, relevance={str(n): each for n, each in enumerate(found.relevance.values())})
        return found


class RefusesTokens(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        if isinstance(inputs, Tensor) and not inputs.is_floating_point():
            raise InputError("this method takes floating-point inputs only")
        return super().analyze(inputs, target, **options)


# What is left behind


class After(Right):
    """Does something to the model and the inputs after each explanation."""

    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        self.leave(inputs)
        return found

    def leave(self, inputs: Any) -> None:
        raise NotImplementedError


class LeavesEvaluationMode(After):
    def leave(self, inputs: Any) -> None:
        self.model.eval()


class LeavesNoGradients(After):
    def leave(self, inputs: Any) -> None:
        self.model.zero_grad()


class LeavesAHook(After):
    def leave(self, inputs: Any) -> None:
        self.model.register_forward_hook(lambda module, arguments, output: None)


class WritesWeights(After):
    def leave(self, inputs: Any) -> None:
        with torch.no_grad():
            for parameter in self.model.parameters():
                parameter.mul_(2).div_(2)


class PutsBackUnlessItFails(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        handle = self.model.register_forward_hook(lambda module, arguments, output: None)
        found = super().analyze(inputs, target, **options)
        handle.remove()
        return found


class WritesInputs(After):
    def leave(self, inputs: Any) -> None:
        with torch.no_grad():
            for tensor in inputs if isinstance(inputs, tuple) else (inputs,):
                if isinstance(tensor, Tensor):
                    tensor.add_(0)


class FreezesInputs(After):
    def leave(self, inputs: Any) -> None:
        if isinstance(inputs, Tensor):
            inputs.requires_grad_(False)


class LeavesInputGradients(After):
    def leave(self, inputs: Any) -> None:
        if isinstance(inputs, Tensor) and inputs.requires_grad:
            inputs.grad = torch.zeros_like(inputs)


def _leaving(name: str, change: Callable[[], Any]) -> type[After]:
    return type(name, (After,), {"leave": lambda self, inputs: change(), "__doc__": Right.__doc__})


LEAVES_THE_PROCESS_CHANGED = [
    _leaving("SeedsTorch", lambda: torch.manual_seed(0)),
    _leaving("SeedsNumPy", lambda: np.random.seed(0)),
    _leaving("DrawsFromPython", random.random),
    _leaving("SetsTheDefaultType", lambda: torch.set_default_dtype(torch.float64)),
    _leaving("TurnsGradientsOff", lambda: torch.set_grad_enabled(False)),
    _leaving("TakesMoreThreads", lambda: torch.set_num_threads(torch.get_num_threads() + 1)),
    _leaving("AsksForDeterminism", lambda: torch.use_deterministic_algorithms(True, warn_only=True)),
    _leaving("SilencesWarnings", lambda: warnings.simplefilter("ignore")),
    _leaving("SetsAVariable", lambda: os.environ.update(SOME_SETTING="1")),
    _leaving("TurnsLoggingUp", lambda: logging.getLogger().setLevel(7)),
]


# Batches, targets, random numbers


class RandomByPosition(RightWithSeed):
    def factors(self, tensor: Tensor) -> Tensor:
        return 1 + torch.rand(tensor.shape, generator=generator(self.seed)).to(tensor)


class DividesByBatchSize(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        size = options.get("batch_size", "auto")
        found = super().analyze(inputs, target, **options)
        return changed(found, lambda tensor: tensor / size) if isinstance(size, int) else found


class TakesTheFirstTarget(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        return super().analyze(inputs, target[0], **options) if isinstance(target, list) else found


class IgnoresTheTarget(Right):
    def analyze(self, inputs: Any, target: Any = None, **options: Any) -> Explanation:
        found = super().analyze(inputs, target, **options)
        other = super().analyze(inputs, None, **options)
        return replace(found, relevance=other.relevance, diagnostics=other.diagnostics)


class IgnoresTheSeed(RightWithSeed):
    def factors(self, tensor: Tensor) -> Tensor:
        return 1 + torch.rand(tensor.shape[1:], generator=generator(0)).to(tensor)


class DrawsFromEverybody(RightWithSeed):
    def factors(self, tensor: Tensor) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            return 1 + self.seed + torch.rand(tensor.shape[1:]).to(tensor)
