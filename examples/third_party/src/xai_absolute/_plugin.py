"""What xai-absolute brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.2"


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        MethodSpec(
            name="absolute.shares",
            target="xai_absolute.methods:AbsoluteShares",
            summary="Shares relevance by the size of contributions.",
            family="relevance",
            sources=("Bach et al. 2015, eq. 58, with the sizes of contributions in their place",),
        ),
        MethodSpec(
            name="absolute.epsilon_absolute",
            target="xai_absolute.methods:EpsilonAbsolute",
            summary="Shares by size in convolutions, epsilon in dense layers.",
            family="relevance",
            sources=("Montavon et al. 2019, sec. 10.3, with shares by size in convolutions",),
        ),
    ]


@hookimpl
def xaicore_mappings() -> list[MappingSpec]:
    return [
        MappingSpec(
            family="relevance",
            kinds=("other",),  # what the core knows no kind for
            ops=("shrinkage::soft_threshold",),
            target="xai_absolute.mappings:soft_threshold",
            summary="relevance unchanged to what is shrunk, none to the threshold, which is a gate",
            example="xai_absolute.networks:small",
        ),
    ]
