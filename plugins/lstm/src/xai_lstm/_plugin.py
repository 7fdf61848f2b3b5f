"""What xai-lstm brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MappingSpec, MethodSpec, hookimpl

XAICORE_API = "0.1"

ARRAS_2017 = "Arras et al. 2017"
ARRAS_2019 = "Arras et al. 2019"


def _method(name: str, cls: str, summary: str, source: str) -> MethodSpec:
    return MethodSpec(
        name=f"lstm.{name}",
        target=f"xai_lstm.methods:{cls}",
        summary=summary,
        family="relevance",
        inputs=("text", "series"),
        sources=(source, ARRAS_2019) if source != ARRAS_2019 else (ARRAS_2019,),
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        _method(
            "lrp_all", "LrpAll", "Epsilon, and in products all relevance to the signal, none to its gate.", ARRAS_2017
        ),
        _method("lrp_prop", "LrpProp", "Epsilon, and in products shares by the size of gate and signal.", ARRAS_2019),
        _method("lrp_half", "LrpHalf", "Epsilon, and in products half to the gate, half to the signal.", ARRAS_2019),
    ]


@hookimpl
def xaicore_mappings() -> list[MappingSpec]:
    return [
        MappingSpec(
            family="relevance",
            kinds=("recurrent",),
            target="xai_lstm:recurrent",
            summary="epsilon (0.001) in the linear maps and sums of each cell, all relevance of products to the signal",
        )
    ]
