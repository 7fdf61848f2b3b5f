"""Forward passes of inputs that differ from one sample in a small window: only what the window reaches is computed.

Behind a convolution a window reaches itself and a border. So the early layers are run on crops around it, and what lies
outside is taken from the forward of the sample as it is. Where the crops have become most of the picture, or a layer
mixes all positions, the whole is put together and the rest of the network run as always. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from xai_perturbation.occlusion.reach import Reach, hull, reached
from xaicore.graph import Graph, Kind, Layer, Ref

_WORTH_A_CROP = 0.6
"""Up to this share of the positions, a crop is cheaper than the whole."""


@dataclass(frozen=True)
class _Local:
    """A layer that is run on crops: where its own output lies, and what of its inputs that takes."""

    layer: Layer
    reach: Reach
    takes: Reach
    fill: float
    run: Callable[[list[Tensor], Callable[[Ref], Tensor]], Tensor]


class LocalForward:
    """A network, and windows of its one image input.

    Parameters
    ----------
    graph : Graph
        With one input (B, C, H, W); see `xaicore.trace`.
    reach : Reach
        Where the windows lie.
    """

    def __init__(self, graph: Graph, reach: Reach) -> None:
        self.graph, self.reach = graph, reach
        (source,) = graph.inputs
        self.source = source.ref
        self.reaches: dict[Ref, Reach] = {self.source: reach}
        self.steps: list[_Local] = []
        for layer in graph.layers:
            step = None if layer.constant or layer.kind is Kind.INPUT else self._local(layer)
            if step is not None:
                self.steps.append(step)
                self.reaches[layer.ref] = step.reach
        local = {step.layer for step in self.steps} | {source}
        ends = set(graph.outputs.values())
        self.frontier = [
            ref
            for ref in self.reaches
            if ref in ends or any(reader not in local for reader in graph.consumers.get(ref, ()))
        ]
        self.rest = graph.opened(self.frontier)

    @property
    def share(self) -> float:
        """The positions that are computed on crops, as a share of those of the same layers in full."""
        found = [step.reach.share for step in self.steps]
        return sum(found) / len(found) if found else 1.0

    def background(self, x: Tensor) -> dict[Ref, Tensor]:
        """The values of the samples as they are, (B, C, H, W), that crops are completed with."""
        with torch.no_grad():
            return self.graph.values([x], list(self.reaches))

    def outputs(
        self, background: Mapping[Ref, Tensor], patches: Tensor, samples: Sequence[int], windows: Sequence[int]
    ) -> dict[str, Tensor]:
        """The outputs of the network for samples with a window replaced.

        Parameters
        ----------
        background : mapping
            Of the samples, see `background`.
        patches : Tensor (rows, C, h, w)
            What stands in the window of each row.
        samples, windows : sequence of int
            Of each row: which sample of the background, and which window.
        """
        found: dict[Ref, Tensor] = {self.source: patches}
        sizes = self.graph.sizes([background[self.source]])

        def constant(ref: Ref) -> Tensor:
            return self.graph.constants.value(ref, sizes)

        with torch.no_grad():
            for step in self.steps:
                given = [
                    self._crop(ref, found[ref], background[ref], step.takes, step.fill, samples, windows)
                    for ref in step.layer.inputs
                ]
                found[step.layer.ref] = step.run(given, constant)
            whole = [self._whole(ref, found[ref], background[ref], samples, windows) for ref in self.frontier]
            return self.rest.run(whole)

    def _local(self, layer: Layer) -> _Local | None:
        """How a layer is run on crops; None: it is not."""
        if not layer.inputs or any(ref not in self.reaches for ref in layer.inputs) or len(layer.outputs) != 1:
            return None
        shape = layer.outputs[0].shape
        if len(shape) != 4 or not all(isinstance(size, int) for size in shape[2:]):
            return None
        found = _sliding(layer, self.reaches) or _pointwise(layer, self.reaches)
        return found if found is not None and found.reach.share <= _WORTH_A_CROP else None

    def _crop(
        self,
        ref: Ref,
        patches: Tensor,
        background: Tensor,
        wanted: Reach,
        fill: float,
        samples: Sequence[int],
        windows: Sequence[int],
    ) -> Tensor:
        """Crops of a tensor: the background with the patches on it, and a border of ``fill`` beyond it."""
        have = self.reaches[ref]
        if have is wanted:
            return patches
        height, width = wanted.size
        crops = background.new_full((len(samples), background.shape[1], height, width), fill)
        for row, (sample, window) in enumerate(zip(samples, windows, strict=True)):
            top, left = wanted.starts[window]
            inside = _overlap((top, left), wanted.size, (0, 0), (background.shape[2], background.shape[3]))
            crops[(row, slice(None), *inside[0])] = background[(sample, slice(None), *inside[1])]
            patch = _overlap((top, left), wanted.size, have.starts[window], have.size)
            crops[(row, slice(None), *patch[0])] = patches[(row, slice(None), *patch[1])]
        return crops

    def _whole(
        self, ref: Ref, patches: Tensor, background: Tensor, samples: Sequence[int], windows: Sequence[int]
    ) -> Tensor:
        whole = background[torch.as_tensor(samples, device=background.device)]
        have = self.reaches[ref]
        for row, window in enumerate(windows):
            (top, left), (height, width) = have.starts[window], have.size
            whole[row, :, top : top + height, left : left + width] = patches[row]
        return whole


def _overlap(
    start: tuple[int, int], size: tuple[int, int], other: tuple[int, int], other_size: tuple[int, int]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """What two rectangles share, as positions in the one and in the other."""
    ours, theirs = [], []
    for a, n, b, m in zip(start, size, other, other_size, strict=True):
        low, high = max(a, b), max(min(a + n, b + m), max(a, b))
        ours.append(slice(low - a, high - a))
        theirs.append(slice(low - b, high - b))
    return (ours[0], ours[1]), (theirs[0], theirs[1])


def _sliding(layer: Layer, reaches: Mapping[Ref, Reach]) -> _Local | None:
    """Convolutions and pooling: each output position looks at a window of the input."""
    options, name = layer.options, layer.op_name
    if len(layer.inputs) != 1 or name not in ("conv2d", "max_pool2d", "avg_pool2d"):
        return None
    (ref,) = layer.inputs
    padding = options.get("padding", 0)
    if isinstance(padding, str) or options.get("ceil_mode"):
        return None
    if name == "conv2d":
        kernel = _pair(layer.parameters["weight"].info.shape[2:]) if "weight" in layer.parameters else None
    else:
        kernel = _pair(options["kernel_size"])
    if kernel is None:  # its weights depend on the input
        return None
    stride = _pair(options.get("stride") or (1 if name == "conv2d" else kernel))
    dilation = _pair(options.get("dilation") or 1)
    padding = _pair(padding)
    if name == "avg_pool2d" and (any(padding) and not options.get("count_include_pad", True)):
        return None
    sizes = (layer.outputs[0].shape[2], layer.outputs[0].shape[3])
    out, takes = reached(reaches[ref], kernel, stride, padding, dilation, sizes)  # type: ignore[arg-type]

    def run(given: list[Tensor], constant: Callable[[Ref], Tensor]) -> Tensor:
        (x,) = given
        if name == "max_pool2d":
            return F.max_pool2d(x, kernel, stride, 0, dilation)
        if name == "avg_pool2d":
            return F.avg_pool2d(x, kernel, stride, 0, divisor_override=options.get("divisor_override"))
        parameters = {key: constant(value) for key, value in layer.parameters.items()}
        return F.conv2d(
            x, parameters["weight"], parameters.get("bias"), stride, 0, dilation, options.get("groups") or 1
        )

    return _Local(layer, out, takes, float("-inf") if name == "max_pool2d" else 0.0, run)


def _pointwise(layer: Layer, reaches: Mapping[Ref, Reach]) -> _Local | None:
    """Layers that work on each position by itself: activations, batch norm, sums, products, concatenation."""
    same_shape = all(ref.info.shape[2:] == layer.outputs[0].shape[2:] for ref in layer.inputs)
    constants = [ref.info.shape for ref in layer.parameters.values()]
    broadcast = all((len(shape) < 3 and layer.kind is Kind.BATCH_NORM) or _is_flat(shape) for shape in constants)
    known = layer.kind in (Kind.ACTIVATION, Kind.BATCH_NORM, Kind.ADD, Kind.SCALE, Kind.PRODUCT)
    joins = layer.kind is Kind.CONCAT and layer.options.get("dim") == 1
    if layer.op_name in ("glu",) or not (known or joins) or not same_shape or not broadcast:
        return None
    if known and len({ref.info.shape for ref in layer.inputs} | {layer.outputs[0].shape}) != 1:
        return None
    takes = hull([reaches[ref] for ref in layer.inputs])

    def run(given: list[Tensor], constant: Callable[[Ref], Tensor]) -> Tensor:
        remaining = iter(given)
        (y,) = layer.call(lambda ref: constant(ref) if ref.layer.constant else next(remaining), {})
        result: Tensor = y
        return result

    return _Local(layer, takes, takes, 0.0, run)


def _is_flat(shape: Sequence[Any]) -> bool:
    """Whether a constant of this shape is the same at every position of (B, C, H, W)."""
    return len(shape) == 0 or (len(shape) >= 2 and all(size == 1 for size in shape[-2:]))


def _pair(value: Any) -> tuple[int, int]:
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    return (int(numbers[0]), int(numbers[-1]))
