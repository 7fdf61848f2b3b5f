"""Matrix products with one constant operand become linear layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xaicore.graph.kinds import Kind
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.sizes import Size, SizeExpression

_MATMULS = {"matmul": ("self", "other"), "mm": ("self", "mat2"), "bmm": ("self", "mat2"), "mv": ("self", "vec"),
            "dot": ("self", "tensor"), "addmm": ("mat1", "mat2"), "baddbmm": ("batch1", "batch2"),
            "addmv": ("mat", "vec")}  # fmt: skip


@dataclass(frozen=True)
class ProductWithConstant:
    """An operator that is linear in each of two operands, called like a dense layer."""

    product: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        y = self.product(input, weight)
        return y if bias is None else y + bias


def as_linear(layer: Layer) -> list[Layer]:
    """Rewrite a product with one constant operand in place as ``A(input, weight) + bias``; returns new constant layers.

    ``x @ W`` becomes a dense layer, its weight transposed. Other products (a constant on the left, batches of matrices,
    einsum, bilinear) keep their operator's name and get a `ProductWithConstant`. A layer is left as it is where
    what is added depends on the input, or where the constant has the size of the batch.
    """
    if len(layer.inputs) != 1 or not layer.factors:
        return []
    if layer.op_name in _MATMULS:
        return _matmul(layer)
    if layer.op_name == "einsum":
        return _einsum(layer)
    if layer.op_name == "tensordot":
        return _tensordot(layer)
    if layer.op_name == "bilinear":
        return _bilinear(layer)
    return []


def _matmul(layer: Layer) -> list[Layer]:
    arguments = layer.arguments
    first, second = (arguments[name] for name in _MATMULS[layer.op_name])
    adds = layer.op_name.startswith(("add", "badd"))
    alpha, beta = (arguments.get(name, 1) if adds else 1 for name in ("alpha", "beta"))
    bias = arguments["self"] if adds and beta != 0 else None
    x, weight = (second, first) if first.layer.constant else (first, second)
    if len(x.info.shape) > 1:
        weight = _before_expansion(weight, _from_the_right(x, weight), kept=2)
    if _follows_batch(weight):
        return []
    plain = alpha == 1 and beta == 1 and (bias is None or len(bias.info.shape) == 1)
    if plain and x is first and len(weight.info.shape) == 2:
        return _dense(layer, x, weight, bias)
    new, bias = _times(layer, bias, beta)
    _become(layer, ProductWithConstant(partial(_scaled_matmul, on_left=x is second, alpha=alpha)), x, weight, bias)
    return new


def _scaled_matmul(x: Tensor, weight: Tensor, *, on_left: bool, alpha: float) -> Tensor:
    y = torch.matmul(weight, x) if on_left else torch.matmul(x, weight)
    return y if alpha == 1 else alpha * y


def _dense(layer: Layer, x: Ref, weight: Ref, bias: Ref | None) -> list[Layer]:
    shape = weight.info.shape
    transposed = _constant(
        f"{layer.name}.weight",
        torch.ops.aten.t.default,
        TensorInfo((shape[1], shape[0]), weight.info.dtype),
        self=weight,
    )
    _become(layer, torch.ops.aten.linear.default, x, transposed.ref, bias)
    layer.op_name = "linear"
    return [transposed]


def _einsum(layer: Layer) -> list[Layer]:
    operands = layer.arguments["tensors"]
    if len(operands) != 2:
        return []
    number = 1 if operands[0].layer.constant else 0
    x, weight = operands[number], operands[1 - number]
    labels = layer.arguments["equation"].replace(" ", "").partition("->")[0].split(",")
    if "." not in layer.arguments["equation"]:
        sizes = dict(zip(labels[number], x.info.shape, strict=True))
        weight = _before_expansion(weight, [sizes.get(label) for label in labels[1 - number]], kept=0, same_rank=True)
    if _follows_batch(weight):
        return []
    product = partial(_einsum_of, equation=layer.arguments["equation"], input_first=number == 0)
    _become(layer, ProductWithConstant(product), x, weight, None)
    return []


def _einsum_of(x: Tensor, weight: Tensor, *, equation: str, input_first: bool) -> Tensor:
    y: Tensor = torch.einsum(equation, x, weight) if input_first else torch.einsum(equation, weight, x)
    return y


def _tensordot(layer: Layer) -> list[Layer]:
    first, second = layer.arguments["self"], layer.arguments["other"]
    dims = [list(layer.arguments[name]) for name in ("dims_self", "dims_other")]
    x, weight = (second, first) if first.layer.constant else (first, second)
    if _follows_batch(weight):
        return []
    _become(layer, ProductWithConstant(partial(_tensordot_of, dims=dims, input_first=x is first)), x, weight, None)
    return []


def _tensordot_of(x: Tensor, weight: Tensor, *, dims: list[list[int]], input_first: bool) -> Tensor:
    y: Tensor = torch.tensordot(x, weight, dims) if input_first else torch.tensordot(weight, x, dims)
    return y


def _bilinear(layer: Layer) -> list[Layer]:
    """With one input constant, the weight is that input times the weight of the bilinear layer."""
    first, second, tensor = (layer.arguments[name] for name in ("input1", "input2", "weight"))
    if not tensor.layer.constant:
        return []
    x, other, equation = (
        (second, first, "...j,kji->...ki") if first.layer.constant else (first, second, "...j,kij->...ki")
    )
    other = _before_expansion(other, _from_the_right(x, other), kept=1)
    if _follows_batch(other):
        return []
    outputs, *sizes = tensor.info.shape
    info = TensorInfo((*other.info.shape[:-1], outputs, sizes[0] if x is first else sizes[1]), tensor.info.dtype)
    contract = partial(_contract, equation=equation)
    weight = _constant(f"{layer.name}.weight", contract, info, other=other, weight=tensor)
    _become(layer, ProductWithConstant(_rows), x, weight.ref, layer.arguments.get("bias"))
    return [weight]


def _contract(other: Tensor, weight: Tensor, *, equation: str) -> Tensor:
    y: Tensor = torch.einsum(equation, other, weight)
    return y


def _rows(x: Tensor, weight: Tensor) -> Tensor:
    return torch.matmul(weight, x.unsqueeze(-1)).squeeze(-1)


def _before_expansion(ref: Ref, counterpart: Sequence[Size | None], kept: int, same_rank: bool = False) -> Ref:
    """What was expanded to this tensor: products broadcast by themselves, and then no constant grows with the batch.

    ``counterpart`` has the sizes that the other operand brings for each dimension of ``ref``; the last ``kept``
    dimensions have to stay as they are.
    """
    layer = ref.layer
    if layer.op_name not in ("expand", "broadcast_to"):
        return ref
    source: Ref = layer.arguments["self"]
    shape = ref.info.shape
    before = (*[None] * (len(shape) - len(source.info.shape)), *source.info.shape)
    changed = [number for number, size in enumerate(shape) if before[number] != size]
    fits = all(number < len(shape) - kept and counterpart[number] == shape[number] for number in changed)
    return source if fits and len(source.info.shape) >= (len(shape) if same_rank else kept) else ref


def _from_the_right(ref: Ref, other: Ref) -> list[Size | None]:
    """The sizes of ``ref`` beside each dimension of ``other``, the last beside the last."""
    rank, sizes = len(other.info.shape), list(ref.info.shape)
    return [*[None] * (rank - len(sizes)), *sizes[max(0, len(sizes) - rank) :]]


def _follows_batch(ref: Ref) -> bool:
    return any(isinstance(size, SizeExpression) for size in ref.info.shape)


def _times(layer: Layer, bias: Ref | None, beta: float) -> tuple[list[Layer], Ref | None]:
    if bias is None or beta == 1:
        return [], bias
    scaled = _constant(f"{layer.name}.bias", torch.ops.aten.mul.Tensor, bias.info, self=bias, other=beta)
    return [scaled], scaled.ref


def _constant(name: str, op: Callable[..., Any], info: TensorInfo, **arguments: Any) -> Layer:
    op_name = getattr(getattr(op, "overloadpacket", None), "__name__", "constant")
    return Layer(name, Kind.CONSTANT, op, op_name, arguments, (info,), constant=True)


def _become(layer: Layer, op: Callable[..., Tensor], x: Ref, weight: Ref, bias: Ref | None) -> None:
    layer.kind, layer.op = Kind.LINEAR, op
    layer.arguments = {"input": x, "weight": weight, "bias": bias}
    layer.positional = 3
    layer.refresh()
