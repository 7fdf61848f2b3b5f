"""Learnt patterns: the result of `fit`, which can be saved and loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from torch import Tensor, nn

from xai_patternnet.estimators import LINEAR
from xai_patternnet.layers import learning_layers
from xai_patternnet.weights import checksum_of
from xaicore.errors import NotFittedError, ParameterError
from xaicore.graph import Graph, Layer


@dataclass(frozen=True, eq=False)
class LayerPatterns:
    """The patterns of one layer.

    Attributes
    ----------
    module : str
        The path of the module that it belongs to.
    units : int
        How many units (output channels) it has.
    by_estimator : dict of str to Tensor
        ``"linear"``, and where the layer stands in front of a ReLU ``"positive"`` and ``"negative"``; shaped like its
        weight, that of an addition (2, channels).
    dead : dict of str to int
        By estimator: how many units have no pattern, which is zero then. They never vary, or never in that regime.
    growth : dict of str to float
        By estimator: about how many times larger a signal becomes by being passed back through the layer, since each
        input gets a part of it from many units.
    """

    module: str
    units: int
    by_estimator: Mapping[str, Tensor]
    dead: Mapping[str, int]
    growth: Mapping[str, float]

    def used(self, estimator: str) -> str:
        """The estimator that counts here when this one is chosen: its own in front of a ReLU, else the linear one."""
        return estimator if estimator in self.by_estimator else LINEAR

    def chosen(self, estimator: str) -> Tensor:
        """The pattern when this estimator is chosen; see `used`."""
        return self.by_estimator[self.used(estimator)]


@dataclass(frozen=True, eq=False)
class Patterns:
    """The patterns of a model's layers.

    Attributes
    ----------
    layers : dict of str to LayerPatterns
        By the name of the layer in the graph with batch norm folded. A module that is called twice is two layers, each
        with the patterns of its own inputs.
    samples : int
        From how many samples they were learnt.
    weights : str
        A checksum of the weights that the model had.
    """

    layers: Mapping[str, LayerPatterns]
    samples: int
    weights: str

    def check_weights(self, model: nn.Module) -> None:
        """Refuse a model with other weights than those that the patterns were learnt with."""
        if checksum_of(model) != self.weights:
            raise NotFittedError(
                f"The patterns were learnt with other weights than this {type(model).__name__} has now: patterns "
                "belong to weights. Call fit(data) again, or load the patterns of these weights. To take them all the "
                "same, for example after a conversion to half precision, give check_weights=False."
            )

    def check_layers(self, graph: Graph) -> None:
        """Refuse a model with other layers, or layers of other shapes."""
        expected = learning_layers(graph)
        advice = "They belong to another model: call fit(data) for this one."
        for layer, shape in expected.items():
            if layer.name not in self.layers:
                raise ParameterError(f"The patterns have none for the layer {layer.where()}. {advice}")
            known = self.layers[layer.name]
            found = tuple(known.by_estimator[LINEAR].shape)
            if found != shape or known.module != layer.module_path:
                raise ParameterError(
                    f"The patterns for '{layer.name}' are those of module '{known.module}' and have shape {found}; the "
                    f"layer {layer.where()} has weights of shape {shape}. {advice}"
                )
        names = {layer.name for layer in expected}
        for name, known in self.layers.items():
            if name not in names:
                raise ParameterError(
                    f"There are patterns for a layer '{name}' (module '{known.module}'), which this model does not "
                    f"have. {advice}"
                )

    def of(self, layer: Layer, estimator: str) -> Tensor:
        """The pattern of a layer when this estimator is chosen."""
        return self.layers[layer.name].chosen(estimator)

    def growth(self, layer: Layer, estimator: str) -> float:
        """The `LayerPatterns.growth` of a layer when this estimator is chosen."""
        known = self.layers[layer.name]
        return known.growth[known.used(estimator)]

    def dead_units(self, estimator: str) -> str:
        """How many units have no pattern, in words; empty where all have one."""
        dead = {name: each.dead[each.used(estimator)] for name, each in self.layers.items()}
        total, units = sum(dead.values()), sum(each.units for each in self.layers.values())
        if not total:
            return ""
        most = max(dead, key=lambda name: dead[name])
        words = (
            f"{total} of {units} units have no pattern by the {estimator} estimator, since they never varied or never "
            f"fired in the {self.samples} samples of fit: nothing passes them (most in '{most}': {dead[most]})"
        )
        without = [name for name, each in self.layers.items() if dead[name] == each.units]
        if not without and total <= units / 2:
            return words
        closed = f", among them all of '{without[0]}'" if without else ""
        return (
            f"do not trust this explanation: {words}{closed}. The data of fit were too few, or all nearly the same: "
            "call fit again with many different samples, such as the training data, prepared as the model was trained"
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write the patterns to one file, in the safetensors format, all or nothing."""
        from xai_patternnet.files import save_patterns

        return save_patterns(self, path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Patterns:
        """Read patterns that `save` wrote; nothing in a file is ever executed.

        Raises
        ------
        FileError
            There is no such file, or it is something else.
        """
        from xai_patternnet.files import load_patterns

        return load_patterns(path)

    def __repr__(self) -> str:
        return f"Patterns({len(self.layers)} layers, {self.samples} samples)"
