"""The methods of this package."""

from __future__ import annotations

from os import PathLike, fspath
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from xai_patternnet.estimators import ESTIMATORS
from xai_patternnet.layers import adds_tensors, learns, rectified
from xai_patternnet.learning import learn_patterns
from xai_patternnet.levels import Levelled, Levels
from xai_patternnet.mappings import AdditionMapping, LinearMapping, ScaleMapping, as_the_gradient, size_of_inverse
from xai_patternnet.patterns import Patterns
from xaicore.analyzers import PropagationAnalyzer, check_is_module
from xaicore.engine import device_and_dtype, prepare
from xaicore.errors import NotFittedError, ParameterError, nearest
from xaicore.graph import Condition, Graph, Kind, Layer, anything, kind, op, trace
from xaicore.propagation import BackwardMapping, Composite, Matching

_sum = Condition(lambda layer, graph: adds_tensors(layer), "sum of two tensors")
_before_relu = Condition(lambda layer, graph: rectified(graph, layer.ref), "in front of a ReLU")
_one_input = (kind(Kind.BATCH_NORM) & op("scale_shift")) | kind(Kind.SCALE)


class _PatternMethod(PropagationAnalyzer):
    """What both methods share: patterns, and a walk like the gradient's from the score itself.

    The walk works on the graph with batch norm folded, so that a batch norm is part of the layer beside it.

    Parameters
    ----------
    estimator : {'positive', 'linear', 'negative'}
        How patterns are estimated. ``'linear'``: from all samples. ``'positive'``: in front of a ReLU from the samples
        that it lets through, elsewhere as the linear one; ``'negative'``: from the others. One ``fit`` serves all.
    patterns : path, Patterns or None
        Patterns that were saved, instead of ``fit``.
    check_weights : bool
        Refuse patterns that were learnt with other weights than the model has.

    Attributes
    ----------
    patterns_ : Patterns
        After ``fit``: the patterns of each layer, with ``save(path)``.
    """

    family = "gradient"
    _attribution: ClassVar[bool]

    def __init__(
        self,
        model: nn.Module,
        *,
        estimator: str = "positive",
        patterns: str | PathLike[str] | Patterns | None = None,
        check_weights: bool = True,
    ) -> None:
        super().__init__(model)
        self.estimator = estimator
        self.patterns = patterns
        self.check_weights = check_weights
        if estimator not in ESTIMATORS:
            raise ParameterError(
                f"estimator={estimator!r} is not known: choose {', '.join(map(repr, ESTIMATORS))}."
                f"{nearest(str(estimator), ESTIMATORS)}"
            )
        if patterns is not None and not isinstance(patterns, str | PathLike | Patterns):
            raise ParameterError(
                f"patterns={patterns!r} must be the path of a file that Patterns.save wrote, or Patterns themselves"
            )
        if not isinstance(check_weights, bool):
            raise ParameterError(f"check_weights={check_weights!r} must be True or False")

    def fit(self, data: Any = None) -> Self:
        """Learn the patterns of all layers, for all estimators, in one pass.

        Parameters
        ----------
        data : Tensor, array, tuple or dict of them, or iterable of batches
            Inputs as ``analyze`` takes them, such as the training data: thousands of samples where there are so many.
            Pairs (inputs, labels) will do where the model has one input and labels are integers; else say which entry
            of a DataLoader's items is the input: ``xaicore.batches(loader, inputs=0)``.

        Raises
        ------
        InputError
            There are no data, they are not finite, or values inside the model are not.
        """
        self.patterns_ = learn_patterns(check_is_module(self.model), data)
        return self

    def load_patterns(self, path: str | PathLike[str]) -> Self:
        """Take patterns from a file that ``analyzer.patterns_.save(path)`` wrote, instead of learning them."""
        self.patterns_ = Patterns.load(path)
        return self

    def set_params(self, **params: Any) -> Self:
        """Change parameters; patterns stay as they were learnt, unless others are given."""
        super().set_params(**params)
        if "patterns" in params and hasattr(self, "patterns_"):
            del self.patterns_
        return self

    def graph(self, inputs: Any) -> Graph:
        """The graph this method works on, with batch norm folded, for inputs like these."""
        prepared = prepare(inputs, check_is_module(self.model))
        return self._composite(None).graph_of(trace(self.model, *prepared.args, **prepared.kwargs))

    def match(self, inputs: Any, *, strict: bool = True, fallback: str | None = None) -> Matching:
        """Which mapping handles which layer of the model, for inputs like these; needs no patterns."""
        return self._composite(None).with_fallback(fallback).match(self.graph(inputs), strict=strict)

    def build_composite(self) -> Composite:
        """Patterns in layers that learn them, the gradient elsewhere.

        Raises
        ------
        NotFittedError
            There are no patterns, or they were learnt with other weights.
        """
        return self._composite(self._learnt())

    def seed(self, output: Tensor, gradient: Tensor) -> Tensor:
        """The walk starts from the explained score."""
        return output * gradient

    def _learnt(self) -> Patterns:
        if not hasattr(self, "patterns_"):
            if self.patterns is None:
                raise NotFittedError(
                    f"{self.method} explains by patterns that it has not learnt yet: call fit(data) with inputs such "
                    "as the training data, or give the file of patterns that were saved: patterns=path."
                )
            given = self.patterns
            self.patterns_ = given if isinstance(given, Patterns) else Patterns.load(fspath(given))
        if self.check_weights:
            self.patterns_.check_weights(check_is_module(self.model))
        return self.patterns_

    def _composite(self, patterns: Patterns | None) -> Composite:
        def weighs(layer: Layer, graph: Graph) -> bool:
            return learns(layer) and not adds_tensors(layer)

        levels = self._levels(patterns)

        def check(graph: Graph) -> None:
            if patterns is not None:
                patterns.check_layers(graph)
            if levels is not None:
                levels.prepare(graph)

        weighted = Condition(weighs, "convolution or linear", check)  # checked before anything runs
        how = (patterns, self.estimator, self._attribution)
        entries: list[tuple[Condition, BackwardMapping]] = [
            (weighted & _before_relu, LinearMapping(*how, rectified=True)),
            (weighted, LinearMapping(*how, rectified=False)),
            (_sum & _before_relu, AdditionMapping(*how, rectified=True)),
            (_sum, AdditionMapping(*how, rectified=False)),
            (_one_input, ScaleMapping(self._attribution)),
            (anything, as_the_gradient),
        ]
        if levels is not None:
            entries = [(condition, Levelled(mapping, levels)) for condition, mapping in entries]
        return Composite(entries, family="relevance", name=self.method)

    def _levels(self, patterns: Patterns | None) -> Levels | None:
        """What keeps signals within the numbers of the model, where they grow without end."""
        return None


class PatternNet(_PatternMethod):
    """The part of the input that the score comes from: its signal (PatternNet; Kindermans et al. 2018, section 4).

    What comes in is signal plus distractor, and weights point where the distractor cancels, not where the signal is.
    A pattern is the direction that varies with the output of a unit in data. The score is propagated back as a gradient
    would be, with patterns in place of weights; what arrives is in the units of the input. In deep networks it can be
    larger than any number: powers of two are taken out then, and a note in the diagnostics says how many. Call ``fit``
    first.
    """

    _attribution = False

    def _levels(self, patterns: Patterns | None) -> Levels | None:
        if patterns is None:
            return None
        known = patterns

        def growth(layer: Layer, graph: Graph) -> float:
            if learns(layer):
                return known.growth(layer, self.estimator)
            return size_of_inverse(layer, graph) if _one_input(layer, graph) else 1.0

        device = device_and_dtype(check_is_module(self.model))[0].type
        return Levels(growth, torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None)


class PatternAttribution(_PatternMethod):
    """What each part of the signal contributes to the score (PatternAttribution; Kindermans et al. 2018, section 4).

    As PatternNet, with weight times pattern in place of the weight: a unit's output is shared among its inputs by how
    much of it their signal makes. These shares sum to one for each unit. Call ``fit`` first.
    """

    _attribution = True
