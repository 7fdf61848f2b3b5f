"""Passes that bring equivalent operations to one form, so that mappings need to know only that form."""

from __future__ import annotations

from itertools import chain
from typing import Any

import torch
from torch import Tensor

from xaicore.graph.decompose import parts_of
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.matrix_products import as_linear
from xaicore.graph.sizes import Size, SizeExpression
from xaicore.graph.whole_sequences import with_torchs_own

_INFERENCE_NO_OPS = "dropout feature_dropout alpha_dropout feature_alpha_dropout".split()
_COPIES = "clone contiguous lift_fresh_copy alias positive".split()
_CASTS = "to _to_copy type_as float double half".split()
# A view asks for a certain memory layout, which need not hold once copies are gone; a reshape asks for none.
_VIEWS = {"view": torch.ops.aten.reshape.default, "_unsafe_view": torch.ops.aten.reshape.default}
_SHAPED_LIKE = {
    "expand_as": (torch.ops.aten.expand.default, "expand", "size"),
    "view_as": (torch.ops.aten.reshape.default, "reshape", "shape"),
    "reshape_as": (torch.ops.aten.reshape.default, "reshape", "shape"),
}
_PICKS_ONE = "maximum minimum fmax fmin".split()
# Operators that are a ReLU if these arguments have these values.
_RELU_IF: dict[str, list[tuple[str, float | None]]] = {
    "clamp": [("min", 0), ("max", None)],
    "clamp_min": [("min", 0)],
    "threshold": [("threshold", 0), ("value", 0)],
    "leaky_relu": [("negative_slope", 0)],
}


def without_no_ops(graph: Graph) -> Graph:
    """Drop what does nothing at inference: dropout, copies, casts to the type a tensor has."""
    changes: dict[Ref, Ref] = {}
    for layer in graph.layers:
        if layer.op_name in _VIEWS and _overload(layer.op) == "default":
            layer.op, layer.op_name = _VIEWS[layer.op_name], "reshape"
            layer.positional = len(layer.arguments)
        elif layer.op_name in _SHAPED_LIKE:
            _without_pattern(layer)
        if layer.kind is Kind.RECURRENT:
            with_torchs_own(layer)
            if not layer.arguments.get("train", True):
                _differentiable(layer)
        if layer.op_name == "copy":
            layer.op, layer.positional = _copied, len(layer.arguments)
        first = next(iter(layer.arguments.values()), None)
        if isinstance(first, Ref) and _does_nothing(layer, first):
            changes[layer.ref] = first
    return graph.replaced(changes)


def _without_pattern(layer: Layer) -> None:
    """``x.expand_as(y)`` is ``x.expand(sizes)``: nothing but the shape of ``y`` is read, nothing flows back to it."""
    x = layer.arguments["self"]
    layer.op, layer.op_name, sizes = _SHAPED_LIKE[layer.op_name]
    layer.arguments = {"self": x, sizes: list(layer.outputs[0].shape)}
    layer.positional = 2
    if x.layer.constant:
        layer.constant, layer.kind = True, Kind.CONSTANT


def _differentiable(layer: Layer) -> None:
    """Without dropout training is the same for a recurrent layer, but that cuDNN then keeps what a derivative needs."""
    layer.arguments = layer.arguments | {"train": True, "dropout": 0.0}


def _copied(target: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """What ``target.copy_(source)`` leaves in the target; aten's own functional copy has no derivative."""
    return source.to(target.device, target.dtype).expand_as(target)


def _does_nothing(layer: Layer, first: Ref) -> bool:
    if layer.op_name in _INFERENCE_NO_OPS:
        return not layer.arguments.get("train", False)
    if layer.op_name in _CASTS:
        device = layer.arguments.get("device")
        return layer.outputs[0].dtype == first.info.dtype and (device is None or not layer.constant)
    return layer.op_name in _COPIES


def _overload(op: Any) -> str:
    return str(getattr(op, "_overloadname", ""))


def with_normal_forms(graph: Graph) -> Graph:
    """One form, and one kind, for operations that do the same in other words.

    A product with constants becomes a `SCALE`; a matrix product with one constant operand becomes a `LINEAR` layer
    with weight and bias, and a dense layer or convolution with a computed weight becomes a `MATMUL`;
    ``padding="same"`` becomes numbers, with a layer of its own where it is uneven; what clamps at zero from below
    alone is called ``relu``; a batch norm by the batch at hand is a `NORM`.
    """
    layers: list[Layer] = []
    notes: list[str] = []
    for layer in chain.from_iterable(map(parts_of, graph.layers)):
        if not layer.constant:
            _classify(layer)
            if layer.kind is Kind.MATMUL:
                layers.extend(as_linear(layer))
            elif layer.kind is Kind.CONVOLUTION and isinstance(layer.arguments.get("padding"), str):
                layers.extend(_with_explicit_padding(layer))
            elif layer.kind is Kind.NORM and layer.arguments.get("training"):
                notes.append(
                    f"{layer.where()} normalises by the statistics of the batch at hand: an explanation depends on "
                    "which samples share its batch"
                )
        layers.append(layer)
    graph.layers = tuple(layers)
    return graph.replaced({}, notes)


def _classify(layer: Layer) -> None:
    """The kind where it depends on more than the operator."""
    arguments = layer.arguments
    if layer.kind is Kind.PRODUCT:
        _classify_product(layer)
    elif layer.kind is Kind.ACTIVATION:
        _classify_activation(layer)
    elif layer.op_name == "neg":
        layer.kind = Kind.SCALE
    elif layer.kind in (Kind.LINEAR, Kind.CONVOLUTION) and _is_computed(layer, "weight", "bias"):
        layer.kind = Kind.MATMUL
    elif layer.kind is Kind.BATCH_NORM and (arguments.get("training") or len(layer.inputs) > 1):
        layer.kind = Kind.NORM
    elif layer.op_name == "instance_norm" and not arguments.get("use_input_stats") and len(layer.inputs) == 1:
        layer.kind = Kind.BATCH_NORM  # by statistics that it has learnt
    elif layer.op_name == "index_put" and arguments.get("accumulate"):
        layer.kind = Kind.ADD  # it adds to what is there
    if layer.op_name in _RELU_IF and all(_is(arguments.get(name), value) for name, value in _RELU_IF[layer.op_name]):
        layer.op_name = "relu"  # the operator stays: at zero, the derivative of clamp is one


def _is_computed(layer: Layer, *names: str) -> bool:
    """Whether one of these arguments depends on an input of the model."""
    values = [layer.arguments.get(name) for name in names]
    return any(isinstance(value, Ref) and not value.layer.constant for value in values)


def _is(value: Any, expected: float | None) -> bool:
    return value is None if expected is None else isinstance(value, (int, float)) and value == expected


def _classify_product(layer: Layer) -> None:
    operands = [value for value in layer.arguments.values() if isinstance(value, Ref)]
    divides_by_input = layer.op_name == "div" and operands[0].layer.constant
    if layer.arguments.get("rounding_mode"):
        layer.kind = Kind.OTHER
    elif len(layer.inputs) == 1 and not divides_by_input:
        layer.kind = Kind.SCALE


def _classify_activation(layer: Layer) -> None:
    """An activation is a function of one tensor, number by number."""
    if len(layer.inputs) == 1 and layer.inputs[0].info.shape == layer.outputs[0].shape:
        return
    layer.kind = Kind.SELECT if layer.op_name in _PICKS_ONE else Kind.OTHER


def _with_explicit_padding(layer: Layer) -> list[Layer]:
    """Rewrite the padding in place; returns the padding layer where both sides differ."""
    arguments = layer.arguments
    kernel = [int(size) for size in arguments["weight"].info.shape[2:]]
    dilation = _per_dimension(arguments.get("dilation", 1), len(kernel))
    same = arguments["padding"] == "same"
    totals = [d * (k - 1) if same else 0 for d, k in zip(dilation, kernel, strict=True)]
    arguments["padding"] = [total // 2 for total in totals]
    layer.op = getattr(layer.op.overloadpacket, "default")  # type: ignore[attr-defined]  # noqa: B009
    if not any(total % 2 for total in totals):
        return []
    x: Ref = arguments["input"]
    # torch.nn.functional.pad lists the last dimension first; the odd element goes to the far side.
    extra = [side for total in reversed(totals) for side in (0, total % 2)]
    spatial = zip(x.info.shape[-len(totals) :], totals, strict=True)
    shape = (*x.info.shape[: -len(totals)], *(_grown(size, total % 2) for size, total in spatial))
    padded = Layer(
        name=f"{layer.name}.padding",
        kind=Kind.PAD,
        op=torch.ops.aten.constant_pad_nd.default,
        op_name="constant_pad_nd",
        arguments={"self": x, "pad": extra, "value": 0},
        outputs=(TensorInfo(shape, x.info.dtype),),
        module_path=layer.module_path,
        module_type=layer.module_type,
        calls=layer.calls,
        source=layer.source,
    )
    arguments["input"] = padded.ref
    layer.refresh()
    return [padded]


def _grown(size: Size, extra: int) -> Size:
    return size + extra if isinstance(size, int) else SizeExpression(size.expression + extra)


def _per_dimension(value: Any, dimensions: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * dimensions if len(values) == 1 else values


def without_softmax_head(graph: Graph) -> Graph:
    """Explain a model that ends in softmax over its classes at its logits."""
    changes: dict[str, Ref] = {}
    notes = []
    for name, ref in graph.outputs.items():
        alone = not graph.consumers.get(ref) and list(graph.outputs.values()).count(ref) == 1
        if ref.layer.kind is Kind.SOFTMAX and alone and _is_over_classes(ref.layer):
            changes[name] = ref.layer.inputs[0]
            notes.append(
                f"the model ends in {ref.layer.op_name} ({ref.layer.where()}); "
                "what is explained is what enters it, the logits"
            )
    graph.outputs.update(changes)
    return graph.replaced({}, notes)


def _is_over_classes(softmax: Layer) -> bool:
    """Classes are the second or the last dimension; the first one is the batch."""
    dimensions = len(softmax.outputs[0].shape)
    return dimensions > 1 and softmax.arguments["dim"] % dimensions in (1, dimensions - 1)
