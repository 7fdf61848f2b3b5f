"""Which rule handles which layer."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from xai_gradients.deeplift.choices import Choice, is_choice, is_picked, picked
from xai_gradients.deeplift.extremes import Extreme
from xai_gradients.deeplift.integrated import Integrated
from xai_gradients.deeplift.products import MeanOfOther, Quotient
from xai_gradients.deeplift.reference import Reference
from xai_gradients.deeplift.rescale import Rescale, RescaleRelu
from xai_gradients.deeplift.reveal_cancel import RevealCancel, handed_on, is_elementwise, nonlinearity_after
from xaicore.graph import Condition, Graph, Kind, Layer, anything, kind
from xaicore.propagation import BackwardMapping, Composite, State, reads

_LINEAR = (
    Kind.CONVOLUTION, Kind.LINEAR, Kind.BATCH_NORM, Kind.AVERAGE_POOL, Kind.ADD, Kind.SCALE, Kind.CONCAT, Kind.RESHAPE,
    Kind.SELECT, Kind.PAD, Kind.INTERPOLATE, Kind.CAST,
)  # fmt: skip
_ORDERING = "max min amin aminmax median nanmedian kthvalue topk sort msort cummax cummin".split()
_SUMS = "mean sum nansum nanmean cumsum trace col2im".split()
_HIGHEST = "maximum fmax max cummax".split()
_LOWEST = "minimum fmin min amin cummin".split()


@reads()
def linear(
    xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
) -> Sequence[Tensor | None]:
    """A linear layer: the vector-Jacobian product (Shrikumar et al. 2017, section 3.5.1)."""
    return state.vjp(rs)


def composite_of(rule: str, reference: Reference) -> Composite:
    """The mappings of a walk beside this reference.

    Parameters
    ----------
    rule : {'rescale', 'reveal_cancel'}
    reference : Reference
    """
    rescale = Rescale(reference)
    entries: list[tuple[Condition, BackwardMapping]] = [
        (Condition(_is_maximum, "maximum"), Extreme(reference)),
        (Condition(_is_minimum, "minimum"), Extreme(reference, lowest=True)),
        (Condition(is_choice, "choice"), Choice(reference)),
        (Condition(_is_picked, "selection"), picked),
        (Condition(_is_linear, "linear"), linear),
        (Condition(_is_relu, "relu"), RescaleRelu(reference)),
        (Condition(_is_rescaled, "elementwise"), rescale),
        (Condition(_is_multiplied, "product"), MeanOfOther(reference)),
        (Condition(_is_divided, "quotient"), Quotient(reference)),
        (Condition(_is_bilinear, "bilinear"), Integrated(reference, nodes=1)),
        (kind(Kind.MATMUL), Integrated(reference, nodes=2)),
        (anything, Integrated(reference)),
    ]
    if rule == "reveal_cancel":
        before = Condition(lambda layer, graph: nonlinearity_after(layer, graph) is not None, "before a nonlinearity")
        behind = Condition(_is_behind_its_parts, "nonlinearity")
        entries = [(before, RevealCancel(reference)), (behind, handed_on), *entries]
    return Composite(entries, family="gradient", name=f"gradients.deeplift ({rule})")


def _is_linear(layer: Layer, graph: Graph) -> bool:
    if layer.kind is Kind.REDUCTION:
        return layer.op_name in _SUMS
    if layer.kind is Kind.SELECT:
        return layer.op_name not in _ORDERING
    if layer.kind is Kind.BATCH_NORM:
        return not layer.options.get("training", False)
    return layer.kind in _LINEAR and not _is_bilinear(layer, graph)


def _is_picked(layer: Layer, graph: Graph) -> bool:
    return is_picked(layer, graph) and layer.op_name not in _ORDERING


def _is_bilinear(layer: Layer, graph: Graph) -> bool:
    """Whether the layer is a product of two tensors that depend on the input, plus what is linear in a third."""
    if layer.kind in (Kind.CONVOLUTION, Kind.LINEAR) or layer.op_name == "lerp":
        return "weight" in layer.input_names
    return layer.kind is Kind.MATMUL and len(layer.factors) <= 2


def _is_relu(layer: Layer, graph: Graph) -> bool:
    return layer.op_name == "relu"


def _is_rescaled(layer: Layer, graph: Graph) -> bool:
    reciprocal = layer.kind is Kind.PRODUCT and len(layer.inputs) == 1
    return is_elementwise(layer) or (reciprocal and layer.inputs[0].info.shape == layer.outputs[0].shape)


def _is_multiplied(layer: Layer, graph: Graph) -> bool:
    return layer.kind is Kind.PRODUCT and layer.op_name == "mul" and len(layer.inputs) == 2


def _is_divided(layer: Layer, graph: Graph) -> bool:
    plain = layer.options.get("rounding_mode") is None
    return layer.kind is Kind.PRODUCT and layer.op_name == "div" and len(layer.inputs) == 2 and plain


def _is_maximum(layer: Layer, graph: Graph) -> bool:
    return layer.kind is Kind.MAX_POOL or layer.op_name in _HIGHEST


def _is_minimum(layer: Layer, graph: Graph) -> bool:
    return layer.op_name in _LOWEST


def _is_behind_its_parts(layer: Layer, graph: Graph) -> bool:
    return is_elementwise(layer) and nonlinearity_after(layer.inputs[0].layer, graph) is layer
