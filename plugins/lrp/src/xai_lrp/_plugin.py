"""What xai-lrp brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xai_lrp._methods import COMPOSITES, SINGLE_RULES
from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.2"


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [*SINGLE_RULES, *COMPOSITES]


@hookimpl
def xaicore_mappings() -> list[MappingSpec]:
    """How every relevance method passes through layers that have no weights to choose a rule for."""
    return [
        MappingSpec(
            family="relevance",
            kinds=("activation",),
            target="xai_lrp.structure:pass_through",
            summary="element-wise: relevance passes unchanged",
        ),
        MappingSpec(
            family="relevance",
            kinds=("max_pool", "concat", "reshape", "select", "pad", "cast"),
            target="xai_lrp.structure:route",
            summary="relevance follows each value to where it came from",
        ),
        MappingSpec(
            family="relevance",
            kinds=("reduction",),
            ops=("logsumexp",),
            target="xai_lrp.structure:soft_winner",
            summary="a soft maximum: relevance in proportion to the softmax",
        ),
        MappingSpec(
            family="relevance",
            kinds=("reduction",),
            ops=("var", "var_mean", "std_mean"),
            target="xai_lrp.structure:moments",
            summary="relevance is shared in proportion to contributions",
        ),
        MappingSpec(
            family="relevance",
            kinds=("softmax",),
            target="xai_lrp.structure:pass_through",
            summary="relevance passes unchanged, as through an activation",
        ),
        MappingSpec(
            family="relevance",
            kinds=("product",),
            target="xai_lrp.structure:product",
            summary="relevance goes to the signal, none to its gate; half to each operand where neither is a gate",
        ),
        MappingSpec(
            family="relevance",
            kinds=("matmul",),
            target="xai_lrp.structure:matmul",
            summary="LRP-0 for the signal, its gate a constant; half to each operand where neither is a gate",
        ),
        MappingSpec(
            family="relevance",
            kinds=("attention",),
            target="xai_lrp.structure:attention",
            summary="LRP-0 for the values, the attention weights constant",
        ),
        MappingSpec(
            family="relevance",
            kinds=("lp_pool",),
            target="xai_lrp.structure:by_power",
            summary="relevance is shared in proportion to the powers |x|^p",
        ),
        MappingSpec(
            family="relevance",
            kinds=("norm",),
            ops=("local_response_norm",),
            target="xai_lrp.structure:identity",
            summary="relevance passes unchanged",
        ),
        MappingSpec(
            family="relevance",
            kinds=("norm",),
            target="xai_lrp.structure:norm",
            summary="a linear layer: mean and variance are constants, the constant part keeps a share",
        ),
        MappingSpec(
            family="relevance",
            kinds=("scale", "add"),
            ops=("scale", "shift"),
            target="xai_lrp.structure:scale_then_shift",
            summary="a batch norm in two steps: unchanged through the scale, then shared by size with the shift",
        ),
        MappingSpec(
            family="relevance",
            kinds=("add", "average_pool", "reduction", "interpolate", "scale"),
            target="xai_lrp.structure:proportional",
            summary="relevance is shared in proportion to contributions",
        ),
        MappingSpec(
            family="relevance",
            kinds=("batch_norm",),
            target="xai_lrp.structure:batch_norm",
            summary="a batch norm that stands alone: epsilon, its shift keeps a share",
        ),
    ]
