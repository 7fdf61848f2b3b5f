"""Which layers of a graph have patterns, and what is known of them before any data."""

from __future__ import annotations

from xaicore.graph import Graph, Kind, Layer, Ref

_KEEP_SIGNS = (Kind.RESHAPE, Kind.MAX_POOL, Kind.CONCAT, Kind.CAST)  # a ReLU may as well stand before them
_LOWER_BOUND = {"hardtanh": "min_val", "clamp": "min", "clamp_min": "min"}

_CHANNELS_FIRST = (Kind.CONVOLUTION, Kind.BATCH_NORM, Kind.MAX_POOL, Kind.AVERAGE_POOL, Kind.INTERPOLATE)
_ELEMENTWISE = (Kind.ACTIVATION, Kind.ADD, Kind.SCALE, Kind.PRODUCT, Kind.CAST, Kind.SOFTMAX)


def learns(layer: Layer) -> bool:
    """Whether patterns of this layer are learnt: its outputs are sums of several weighted inputs."""
    if layer.kind in (Kind.CONVOLUTION, Kind.LINEAR):
        return len(layer.inputs) == 1 and "weight" in layer.parameters
    return adds_tensors(layer)


def adds_tensors(layer: Layer) -> bool:
    """Whether it is a sum or difference of two tensors of the same shape, as where a skip connection ends.

    Where what seem to be the channels grows with the batch, they are none, and the sum has no patterns.
    """
    if layer.kind is not Kind.ADD or layer.op_name not in ("add", "sub") or len(layer.inputs) != 2:
        return False
    first, second = (ref.info for ref in layer.inputs)
    alike = first.shape == second.shape and len(first.shape) > 1 and not layer.parameters
    return alike and isinstance(first.shape[channel_dimension(layer)], int)


def signs(layer: Layer) -> tuple[float, float]:
    """The weights with which an addition takes its two inputs."""
    alpha = float(layer.options.get("alpha", 1))
    return (1.0, -alpha if layer.op_name == "sub" else alpha)


def learning_layers(graph: Graph) -> dict[Layer, tuple[int, ...]]:
    """The layers between inputs and outputs whose patterns are learnt, in order, and the shape of their patterns.

    A pattern is shaped like the weight; that of an addition is (2, channels).
    """
    found: dict[Layer, tuple[int, ...]] = {}
    for layer in graph.layers:
        if layer in graph.path and learns(layer):
            shape = (
                (2, layer.outputs[0].shape[channel_dimension(layer)])
                if adds_tensors(layer)
                else layer.parameters["weight"].info.shape
            )
            found[layer] = tuple(int(str(size)) for size in shape)
    return found


def rectified(graph: Graph, ref: Ref) -> bool:
    """Whether a ReLU, and nothing else, reads this tensor, also through pooling, reshaping and concatenation."""
    readers = graph.consumers.get(ref, [])
    if not readers or ref in graph.outputs.values():
        return False
    return all(is_rectifier(each) or (each.kind in _KEEP_SIGNS and rectified(graph, each.ref)) for each in readers)


def is_rectifier(layer: Layer) -> bool:
    """ReLU and its capped forms, such as ReLU6; not leaky and smooth ones, which let negative values pass."""
    low = _LOWER_BOUND.get(layer.op_name)
    return layer.op_name in ("relu", "relu6") or (low is not None and layer.options.get(low) == 0)


def channel_dimension(layer: Layer) -> int:
    """The dimension of the channels in the output of an addition, by the layers that its inputs come from."""
    rank = len(layer.outputs[0].shape)
    found = [_channels_by_origin(ref, rank, set()) for ref in layer.inputs]
    known = next((each for each in found if each is not None), None)
    if known is not None:
        return known
    return rank - 1 if rank in (2, 3) else 1


def _channels_by_origin(ref: Ref, rank: int, seen: set[Layer]) -> int | None:
    """Follows layers that leave each value in its place to one that tells; None where there is none."""
    layer = ref.layer
    if layer in seen or len(ref.info.shape) != rank:
        return None
    seen.add(layer)
    if layer.kind in _CHANNELS_FIRST or layer.op_name in ("group_norm", "instance_norm", "local_response_norm"):
        return 1
    if layer.kind in (Kind.EMBEDDING, Kind.NORM) or (layer.kind is Kind.LINEAR and layer.op_name == "linear"):
        return rank - 1
    if layer.kind in _ELEMENTWISE:
        origins = (_channels_by_origin(each, rank, seen) for each in layer.inputs)
        return next((each for each in origins if each is not None), None)
    return None
