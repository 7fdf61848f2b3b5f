"""What xai-deeptaylor brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.2"


def _method(name: str, cls: str, summary: str, *aliases: str, example: str = "") -> MethodSpec:
    return MethodSpec(
        name=f"deeptaylor.{name}",
        target=f"xai_deeptaylor.methods:{cls}",
        summary=summary,
        family="relevance",
        aliases=aliases,
        sources=("Montavon et al. 2017",),
        example=f"xai_deeptaylor.examples:{example}" if example else "",
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        _method(
            "unbounded",
            "UnboundedInput",
            "Deep Taylor decomposition for inputs that are any real numbers.",
            "deep_taylor",
            "deep_taylor.unbounded",
        ),
        _method(
            "bounded",
            "BoundedInput",
            "Deep Taylor decomposition for inputs between two bounds, such as pixels.",
            "deep_taylor.bounded",
            example="bounds",
        ),
        _method(
            "nonnegative",
            "NonNegativeInput",
            "Deep Taylor decomposition for inputs that are never negative.",
            "deep_taylor.nonnegative",
        ),
    ]
