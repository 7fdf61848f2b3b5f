"""What xai-patternnet brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.1"


def _method(name: str, cls: str, summary: str, source: str, *aliases: str) -> MethodSpec:
    return MethodSpec(
        name=f"patternnet.{name}",
        target=f"xai_patternnet.methods:{cls}",
        summary=summary,
        family="gradient",
        aliases=aliases,
        sources=(source,),
    )


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return [
        _method(
            "signal",
            "PatternNet",
            "The part of the input that the score comes from, by learnt patterns (PatternNet).",
            "Kindermans et al. 2018, sec. 4",
            "pattern.net",
            "pattern_net",
            "patternnet",
            "PatternNet",
        ),
        _method(
            "attribution",
            "PatternAttribution",
            "What each part of the signal contributes to the score (PatternAttribution).",
            "Kindermans et al. 2018, sec. 4",
            "pattern.attribution",
            "pattern_attribution",
            "patternattribution",
            "PatternAttribution",
        ),
    ]
