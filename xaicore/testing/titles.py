"""What the things that plugins bring are called on cards; found without importing any of them."""

from __future__ import annotations

from xaicore.plugins import CommandSpec, Descriptor, MappingSpec, MethodSpec, MetricSpec, RendererSpec

_NOUNS: dict[type[Descriptor], str] = {
    MethodSpec: "method",
    MetricSpec: "metric",
    RendererSpec: "renderer",
    CommandSpec: "command",
}


def title_of(spec: Descriptor) -> str:
    """Return "method mine.power", or of a mapping "mapping xai_mine.mappings:gate (relevance: product)"."""
    if isinstance(spec, MappingSpec):
        layers = ", ".join((*spec.kinds, *spec.ops))
        return f"mapping {spec.target} ({spec.family}: {layers})"
    return f"{_NOUNS[type(spec)]} {spec.name}"


def subject_of(spec: Descriptor) -> str:
    """Under which name a plugin states the failures that it expects: "mine.power", "mapping xai_mine.mappings:gate"."""
    return f"mapping {spec.target}" if isinstance(spec, MappingSpec) else spec.name
