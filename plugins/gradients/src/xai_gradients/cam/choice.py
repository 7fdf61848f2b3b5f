"""Finding the layer whose maps are used, by data flow."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from xai_gradients.cam.flow import Flow
from xai_gradients.cam.grids import Grid, grid_of
from xai_gradients.cam.positions import MOVES, POOLS, Follower, Positions
from xaicore.errors import InputError, LayerError
from xaicore.graph import Graph, Kind, Layer, Ref

_POINTWISE = MOVES | {
    Kind.ACTIVATION, Kind.SOFTMAX, Kind.CAST, Kind.SCALE, Kind.ADD, Kind.BATCH_NORM, Kind.INTERPOLATE,
}  # fmt: skip
_REARRANGES = frozenset({Kind.RESHAPE, Kind.SELECT, Kind.CAST})
_OF_A_BLOCK = frozenset({Kind.NORM, Kind.BATCH_NORM, Kind.ADD, Kind.ACTIVATION})
_FIX = "Name the layer whose maps to use: at='features.3' (print(xaicore.trace(model, x)) lists all layers)."

_known: WeakKeyDictionary[Graph, dict[tuple[Ref, str | None], Maps]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Maps:
    """The feature maps in a tensor of the graph.

    Attributes
    ----------
    ref : Ref
    grid : Grid
    inputs : dict of str to tuple of int
        The inputs that the maps show, by name, and which dimension of each belongs to each dimension of the grid.
    notes : tuple of str
        What the user should know of the choice.
    """

    ref: Ref
    grid: Grid
    inputs: dict[str, tuple[int, ...]]
    notes: tuple[str, ...] = field(default=())


def find_maps(graph: Graph, output: Ref, tensors: Sequence[Tensor], at: str | None = None) -> Maps:
    """The maps on which the explained output depends last, or those of a layer.

    The last convolution with extent in space is followed through what keeps its grid (batch norm, activation, residual
    sum, concatenation, gates; per position linear layers and attention) up to just before pooling, flattening or the
    reduction to a class token.

    Parameters
    ----------
    graph : Graph
    output : Ref
        The explained output.
    tensors : sequence of Tensor
        One for each input of the graph.
    at : str, optional
        A layer or module to use.

    Raises
    ------
    InputError
        There is no convolution with extent in space on the way to the output.
    LayerError
        The named layer does not exist, or holds no maps.
    """
    known = _known.setdefault(graph, {})
    if (output, at) not in known:
        with torch.no_grad():
            known[output, at] = _find(graph, output, tensors, at)
    return known[output, at]


def _find(graph: Graph, output: Ref, tensors: Sequence[Tensor], at: str | None) -> Maps:
    needed = graph.before([output]) & graph.path
    path = [layer for layer in graph.layers if layer in needed]
    convolutions = [layer for layer in path if layer.kind is Kind.CONVOLUTION]
    dims = max((len(layer.outputs[0].shape) - 2 for layer in convolutions), default=tensors[0].ndim - 2)
    if dims < 1:
        raise _no_maps()
    sizes, batch = _small_batch(graph, tensors)
    follower = Follower(graph, sizes, dims, tensors[0].device)
    pictures = [layer.ref for layer in graph.inputs if layer.outputs[0].dtype.is_floating_point]
    starts = {ref: laid for ref in pictures if (laid := follower.fresh(ref)) is not None}
    positions = follower.follow(starts)
    if at is not None:
        ref = graph.find_ref(at)
        grid = _named(ref, at, positions, batch, follower.shape(ref), dims)
        notes = [f"the maps are those of {_words(ref, grid)}"]
    else:
        ref, grid, notes = _last(path, output, positions, batch)
    return Maps(ref, grid, _shown(graph, ref, follower, convolutions), tuple(notes))


def _small_batch(graph: Graph, tensors: Sequence[Tensor]) -> tuple[dict[Any, int], int]:
    """The sizes of a batch of two where the graph takes any: positions are the same for every sample."""
    small = []
    for layer, tensor in zip(graph.inputs, tensors, strict=True):
        any_batch = tensor.ndim and not isinstance(layer.outputs[0].shape[0], int)
        small.append(tensor[:1].expand(2, *tensor.shape[1:]) if any_batch else tensor)
    return graph.sizes(small), len(small[0])


def _named(ref: Ref, name: str, positions: dict[Ref, Positions], batch: int, shape: tuple[int, ...], dims: int) -> Grid:
    found = grid_of(positions[ref], batch) if ref in positions else None
    if found is None and len(shape) == dims + 2 and shape[0] == batch and torch.Size(shape[2:]).numel() > 1:
        return Grid.channels_first(shape)
    if found is None:
        raise LayerError(
            f"'{name}' has shape {ref.info.describe()}, in which no maps over {dims} dimensions are found. Choose a "
            "layer whose output is (B, channels, ...), or tokens of patches."
        )
    return found


def _last(
    path: Sequence[Layer], output: Ref, positions: dict[Ref, Positions], batch: int
) -> tuple[Ref, Grid, list[str]]:
    convolutions = [layer.ref for layer in path if layer.kind is Kind.CONVOLUTION and layer.ref in positions]
    if not convolutions:
        raise _no_maps()
    kept = _followed(path, convolutions, positions)
    head = _head(path, output)
    flow = Flow(path, output, positions)

    @functools.cache
    def grid(ref: Ref) -> Grid | None:
        return grid_of(positions[ref], batch)

    def with_grid(refs: Sequence[Ref]) -> Iterator[Ref]:
        return (ref for ref in reversed(refs) if grid(ref) is not None)

    followed = [ref for layer in path for ref in _outputs(layer) if ref in kept]
    candidates = [ref for ref in followed if ref in flow.alive]
    candidates = [ref for ref in candidates if ref not in head] or candidates
    if any(ref not in flow.alive for ref in followed):
        # Class tokens are all that is read behind the last attention: what goes into it is the output of a block,
        # not one of the queries, keys and values made of that.
        candidates = [ref for ref in candidates if ref.layer.kind in _OF_A_BLOCK] or candidates
    whole = (ref for ref in with_grid(candidates) if flow.all_through(ref, _before(ref, path, convolutions)))
    found = next(whole, None) or next(with_grid(candidates), None)
    if found is None:
        raise _no_maps()
    ref = _before_rearranging(found, kept, grid)
    laid = grid(ref)
    assert laid is not None
    notes = [f"the maps are those of {_words(ref, laid)}, the last ones on the way to the output"]
    reached = flow.reached([ref])
    if any(each not in reached and each not in _before(ref, path, convolutions) for each in convolutions):
        notes.append("the output also depends on other maps, which are computed beside these: choose them with at=")
    return ref, laid, notes


def _followed(path: Sequence[Layer], starts: Iterable[Ref], positions: dict[Ref, Positions]) -> set[Ref]:
    """The tensors that keep the grid of a convolution, without a pooling in between."""
    found = set(starts)
    for layer in path:
        if layer.kind not in POOLS and any(ref in found for ref in layer.inputs):
            found.update(ref for ref in _outputs(layer) if ref in positions)
    return found


def _before(ref: Ref, path: Sequence[Layer], convolutions: Sequence[Ref]) -> list[Ref]:
    """The convolutions that a tensor is computed from."""
    needed = {ref.layer}
    for layer in reversed(path):
        if layer in needed:
            needed.update(source.layer for source in layer.inputs)
    return [each for each in convolutions if each.layer in needed]


def _head(path: Sequence[Layer], output: Ref) -> set[Ref]:
    """The explained output itself in other forms, such as the scores of all positions in a segmentation network."""
    found = {output}
    for layer in reversed(path):
        if layer.kind in _POINTWISE and any(ref in found for ref in _outputs(layer)):
            found.update(layer.inputs)
    return found


def _before_rearranging(ref: Ref, kept: set[Ref], grid: Callable[[Ref], Grid | None]) -> Ref:
    """The computed tensor behind one that is only permuted or reshaped."""
    while ref.layer.kind in _REARRANGES:
        source, here = ref.layer.inputs[0], grid(ref)
        there = grid(source) if source in kept else None
        if here is None or there is None or there.extent != here.extent:
            break
        ref = source
    return ref


def _shown(graph: Graph, ref: Ref, follower: Follower, convolutions: Sequence[Layer]) -> dict[str, tuple[int, ...]]:
    """The inputs that a tensor shows, and their spatial dimensions; see `Maps`.

    An input's own dimensions are followed to the convolutions that read it, so that it may have any layout. One that
    has too few dimensions (a number beside the image) is not shown.
    """
    before = graph.before([ref])
    found = {}
    for layer in graph.inputs:
        shape = follower.shape(layer.ref)
        if layer not in before or layer.name not in graph.sources or len(shape) <= follower.dims:
            continue
        axes = tuple(follower.along(shape, dim) for dim in range(1, len(shape)))
        moved = follower.follow({layer.ref: Positions(axes)}, renew=False)
        readers = [each for each in convolutions if each in before and each.inputs[0] in moved]
        spatial = [_carried(moved[each.inputs[0]], follower.dims) for each in readers]
        usual = tuple(range(len(shape) - follower.dims, len(shape)))
        found[layer.name] = next((dims for dims in spatial if dims is not None), usual)
    return found


def _carried(positions: Positions, dims: int) -> tuple[int, ...] | None:
    """For each spatial dimension of a tensor (B, C, ...), the dimension of the input that runs along it."""
    if len(positions.shape) != dims + 2:
        return None
    found = []
    for dim in range(2, dims + 2):
        along = [
            number
            for number, axis in enumerate(positions.axes, start=1)
            if axis.shape[dim] > 1 and bool((axis.narrow(dim, 0, 1) != axis.narrow(dim, 1, 1)).any())
        ]
        if len(along) != 1:
            return None
        found.append(along[0])
    return tuple(found)


def _outputs(layer: Layer) -> list[Ref]:
    return [Ref(layer, index) for index in range(len(layer.outputs))]


def _words(ref: Ref, grid: Grid) -> str:
    module = f" (module '{ref.layer.module_path}')" if ref.layer.module_path else ""
    return f"'{ref!r}'{module}, a grid of {grid.describe()}"


def _no_maps() -> InputError:
    return InputError(
        "no convolution with an extent in space lies between the inputs and the explained output, so that there are no "
        f"maps to find. {_FIX} For a model without maps, choose another method, such as 'gradients.integrated'."
    )
