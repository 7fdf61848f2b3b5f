"""The model at the layer whose maps are used, and the way from there to the inputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_gradients.cam.choice import find_maps
from xaicore.analyzers import GraphEvaluation, resolve_target
from xaicore.engine import Engine
from xaicore.errors import ParameterError
from xaicore.graph import trace

INTERPOLATIONS = {
    "nearest": {1: "nearest", 2: "nearest", 3: "nearest"},
    "bilinear": {1: "linear", 2: "bilinear", 3: "trilinear"},
    "bicubic": {2: "bicubic"},
}


class MapsEvaluation(GraphEvaluation):
    """The explained value as a function of the maps.

    Parameters
    ----------
    model, inputs, target, output, engine
        As in `GraphEvaluation`.
    layer : str, optional
        The layer that is explained; None: the inputs, by the maps of a layer.
    at : str, optional
        That layer; None: the last one that has maps.
    interpolation : str
        How maps are brought to the size of the inputs.

    Attributes
    ----------
    maps : Maps
    guided : Tensor or dict of str to Tensor, optional
        Like the inputs; what maps are multiplied with there.
    """

    def __init__(
        self,
        model: nn.Module,
        inputs: Any,
        target: Any,
        *,
        output: str | int | None,
        layer: str | None,
        at: str | None,
        interpolation: str,
        engine: Engine,
    ) -> None:
        prepared = engine.prepare(inputs, model)
        with engine.report.phase("prepare"):
            graph = trace(model, *prepared.args, **prepared.kwargs)
            self._given = dict(
                zip((each.name for each in graph.inputs), graph.flatten(prepared.args, prepared.kwargs), strict=True)
            )
            chosen: Any = resolve_target(target, output)
            explained = graph.outputs[chosen.select(graph.outputs)]
            self.maps = find_maps(graph, explained, list(self._given.values()), layer or at)
        self._modes = INTERPOLATIONS[interpolation]
        if layer is None and len(self.maps.grid.extent) not in self._modes:
            raise ParameterError(
                f"interpolation='{interpolation}' works on images, and the maps are over "
                f"{len(self.maps.grid.extent)} dimensions: choose 'bilinear', which is linear along each, or 'nearest'."
            )
        super().__init__(model, inputs, target, output=output, layer=layer or repr(self.maps.ref), engine=engine)
        self.layer = layer
        self.as_given, self.chosen_output = inputs, output
        self.guided: Tensor | dict[str, Tensor] | None = None
        self.notes = [*self.notes, *self.maps.notes]

    @property
    def name(self) -> str:
        """The name of what is varied."""
        return next(iter(self.varied))

    def as_input(self, relevance: Mapping[str, Tensor]) -> Tensor | dict[str, Tensor]:
        """At a layer as it is; else the rectified sum of the maps, brought to the inputs."""
        found = relevance[self.name]
        if self.layer is not None:
            return found
        rectified = self.maps.grid.maps(found).sum(1).relu()
        multiply = self.guided is not None
        brought = {
            name: self._brought(rectified, self._given[name], dims, share=not multiply)
            for name, dims in self.maps.inputs.items()
        }
        result = self.at_inputs(brought)
        return result if self.guided is None else _product(self.guided, result)

    def _brought(self, rectified: Tensor, given: Tensor, dims: tuple[int, ...], *, share: bool) -> Tensor:
        """The map, (B, ...), at an input: the same in every channel, or shared out to them evenly."""
        mode = self._modes[len(dims)]
        options = {} if mode == "nearest" else {"align_corners": False}
        size = [given.shape[dim] for dim in dims]
        wide = rectified if rectified.dtype.itemsize >= 4 else rectified.float()
        resized = F.interpolate(wide[:, None], size=size, mode=mode, **options)[:, 0]
        # Behind a bicubic curve there may be less than nothing.
        resized = resized.clamp(min=0) if mode == "bicubic" else resized
        if list(dims) != sorted(dims):
            resized = resized.permute(0, *(1 + place for place in torch.tensor(dims).argsort().tolist()))
        shape = [size if dim in (0, *dims) else 1 for dim, size in enumerate(given.shape)]
        channels = given[0].numel() // torch.Size(size).numel()
        return (resized.reshape(shape) / (channels if share else 1)).expand(given.shape).contiguous()


def _product(guided: Tensor | dict[str, Tensor], maps: Tensor | dict[str, Tensor]) -> Tensor | dict[str, Tensor]:
    if isinstance(guided, Tensor) and isinstance(maps, Tensor):
        return guided * maps
    assert isinstance(guided, dict) and isinstance(maps, dict)
    return {name: guided[name] * values for name, values in maps.items()}
