"""Layers that are linear in their one input, in a form that rules can change the weights of."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from xaicore.graph import Kind, Layer


class LinearForm(ABC):
    """``y = A(x, weight) + bias``, with A linear in the input and in the weight.

    Attributes
    ----------
    weight : Tensor
    bias : Tensor or None
        Shaped to broadcast against the output.
    """

    def __init__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
        self.x = x
        self.weight = weight
        self.bias = bias

    @property
    def unbatched(self) -> bool:
        """Whether the input is one sample alone, without a dimension for the batch."""
        return False

    @property
    def joins(self) -> bool:
        """Whether `pull` with two weights, stacked along the outputs, is one map and faster than two."""
        return False

    def widened(self, xs: Sequence[Tensor], weight: Callable[[], Tensor]) -> LinearForm | None:
        """The same map, without bias, of several inputs side by side along the channels; None: the layer has no such.

        ``weight`` makes the weights for all of them, side by side as well.
        """
        return None

    def ones(self) -> Tensor:
        """A batch of one sample, or the one sample, that is one everywhere."""
        shape = self.x.shape if self.unbatched else (1, *self.x.shape[1:])
        return self.x.new_ones(()).expand(shape)  # takes no memory

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """``A(x, weight) + bias``; the layer's own weight where none is given, no bias where none is given."""

    @abstractmethod
    def pull(self, r: Tensor, weight: Tensor | None = None) -> Tensor:
        """The transposed map of ``A(., weight)``: from the shape of the output to that of the input."""


class DenseForm(LinearForm):
    """``x W^T + b`` over the last dimension."""

    @property
    def unbatched(self) -> bool:
        """See `LinearForm.unbatched`."""
        return self.x.ndim == 1

    def apply(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """See `LinearForm.apply`."""
        return F.linear(x, self.weight if weight is None else weight, bias)

    def pull(self, r: Tensor, weight: Tensor | None = None) -> Tensor:
        """See `LinearForm.pull`."""
        return torch.matmul(r, self.weight if weight is None else weight)


class ScaleForm(LinearForm):
    """``x * weight + bias`` element by element, the weight shaped to broadcast: batch norm, products with constants."""

    def apply(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """See `LinearForm.apply`."""
        y = x * (self.weight if weight is None else weight)
        return y if bias is None else y + bias

    def pull(self, r: Tensor, weight: Tensor | None = None) -> Tensor:
        """See `LinearForm.pull`."""
        pulled = r * (self.weight if weight is None else weight)
        return pulled if pulled.shape[1:] == self.x.shape[1:] else pulled.sum_to_size(self.x.shape)


class ConvolutionForm(LinearForm):
    """A convolution or transposed convolution of any number of dimensions."""

    def __init__(self, x: Tensor, weight: Tensor, bias: Tensor | None, options: Sequence[Any]) -> None:
        """``options``: stride, padding, dilation, transposed, output_padding, groups."""
        spatial = weight.ndim - 2
        # A bias is one number a channel, or a map of shape (1, channels, *positions).
        shaped = bias.view(1, -1, *[1] * spatial) if bias is not None and bias.ndim == 1 else bias
        super().__init__(x, weight, shaped)
        self._options = tuple(options)
        if self.unbatched and shaped is not None:
            self.bias = shaped.squeeze(0)

    @property
    def unbatched(self) -> bool:
        """See `LinearForm.unbatched`."""
        return self.x.ndim == self.weight.ndim - 1

    @property
    def _plain(self) -> bool:
        """Whether every output reads all channels, which then may be more, and batches stand in front."""
        *_, transposed, _, groups = self._options
        return groups == 1 and not transposed and not self.unbatched

    def widened(self, xs: Sequence[Tensor], weight: Callable[[], Tensor]) -> ConvolutionForm | None:
        """See `LinearForm.widened`."""
        return ConvolutionForm(torch.cat(list(xs), 1), weight(), None, self._options) if self._plain else None

    @property
    def joins(self) -> bool:
        """See `LinearForm.joins`: pointwise convolutions are matrix products, which gain by size."""
        return self._plain and set(self.weight.shape[2:]) == {1}

    def apply(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """See `LinearForm.apply`."""
        weight = self.weight if weight is None else weight
        by_channel = bias is not None and bias.numel() == bias.shape[1 - weight.ndim]
        vector = bias.reshape(-1) if bias is not None and by_channel else None
        batched = x.unsqueeze(0) if self.unbatched else x
        y: Tensor = torch.ops.aten.convolution.default(batched, weight, vector, *self._options)
        y = y if bias is None or by_channel else y + bias
        return y.squeeze(0) if self.unbatched else y

    def pull(self, r: Tensor, weight: Tensor | None = None) -> Tensor:
        """See `LinearForm.pull`."""
        weight = self.weight if weight is None else weight
        x, r = (self.x.unsqueeze(0), r.unsqueeze(0)) if self.unbatched else (self.x, r)
        if x.shape[0] != r.shape[0]:
            x = x[:1].expand(r.shape[0], *x.shape[1:])
        # Only the shape of x matters for the gradient with respect to it.
        pulled: Tensor = torch.ops.aten.convolution_backward.default(
            r, x.detach(), weight, None, *self._options, [True, False, False]
        )[0]
        return pulled.squeeze(0) if self.unbatched else pulled


class ProductForm(LinearForm):
    """Any product of an input and a weight, such as an einsum: its operator is called with other weights."""

    def __init__(
        self, x: Tensor, weight: Tensor, bias: Tensor | None, product: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        """``product(x, weight)`` is linear in each of both."""
        super().__init__(x, weight, bias)
        self._product = product

    @property
    def unbatched(self) -> bool:
        """See `LinearForm.unbatched`: any dimension may hold the samples, so that all of them count as one."""
        return True

    def apply(self, x: Tensor, weight: Tensor | None = None, bias: Tensor | None = None) -> Tensor:
        """See `LinearForm.apply`."""
        y = self._product(x, self.weight if weight is None else weight)
        return y if bias is None else y + bias

    def pull(self, r: Tensor, weight: Tensor | None = None) -> Tensor:
        """See `LinearForm.pull`."""
        weight = self.weight if weight is None else weight
        # The map is linear: at which point it is transposed does not matter.
        transposed: Callable[[Tensor], tuple[Tensor]] = torch.func.vjp(
            lambda x: self._product(x, weight), r.new_zeros(()).expand(self.x.shape)
        )[1]
        return transposed(r)[0]


def linear_form(layer: Layer, x: Tensor, parameter: Callable[[str], Tensor | None]) -> LinearForm | None:
    """The layer as a linear form, or None where it is not linear in one input with constant weights.

    Parameters
    ----------
    layer : Layer
    x : Tensor
        Its input.
    parameter : callable
        Gives a constant argument of the layer by name.
    """
    if len(layer.inputs) != 1:
        return None
    weight, bias = parameter("weight"), parameter("bias")
    match layer.kind:
        case Kind.CONVOLUTION if weight is not None:
            return ConvolutionForm(x, weight, bias, _convolution_options(layer, weight.ndim - 2))
        case Kind.LINEAR if weight is not None:
            return DenseForm(x, weight, bias) if layer.op_name == "linear" else ProductForm(x, weight, bias, layer.op)
        case Kind.BATCH_NORM if weight is not None and layer.op_name == "scale_shift":
            shape = (1, -1) + (1,) * (x.ndim - 2)
            return ScaleForm(x, weight.view(shape), None if bias is None else bias.view(shape))
        case Kind.SCALE:
            return ScaleForm(x, _factor(layer, x, parameter), None)
    return None


def _factor(layer: Layer, x: Tensor, parameter: Callable[[str], Tensor | None]) -> Tensor:
    if layer.op_name == "neg":
        return x.new_tensor(-1.0)
    first, second = list(layer.arguments.items())[:2]
    name, value = second if first[0] not in layer.parameters and first[1] in layer.inputs else first
    tensor = parameter(name)
    factor = (tensor if tensor is not None else torch.as_tensor(value, device=x.device)).to(x.dtype)
    return factor.reciprocal() if layer.op_name == "div" else factor


def _convolution_options(layer: Layer, spatial: int) -> list[Any]:
    """The arguments of ``aten.convolution`` after the bias."""
    arguments = layer.arguments

    def sizes(name: str, default: int) -> list[int]:
        value = arguments.get(name, default)
        values = list(value) if isinstance(value, (list, tuple)) else [value]
        return values * spatial if len(values) == 1 else values

    transposed = layer.op_name.startswith("conv_transpose") or bool(arguments.get("transposed", False))
    return [
        sizes("stride", 1),
        sizes("padding", 0),
        sizes("dilation", 1),
        transposed,
        sizes("output_padding", 0),
        int(arguments.get("groups") or 1),
    ]
