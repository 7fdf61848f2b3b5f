"""From what a user types to one method, metric or renderer, or to an error that says what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from xaicore.errors import PluginError, UnknownMethodError, UnknownMetricError, UnknownRendererError, nearest
from xaicore.plugins.descriptors import MethodSpec, MetricSpec, RendererSpec
from xaicore.plugins.discovery import normalized
from xaicore.plugins.info import PluginInfo, Status
from xaicore.plugins.known import KNOWN_PACKAGES, NAMESPACE_ALIASES

SpecT = TypeVar("SpecT", MethodSpec, MetricSpec, RendererSpec)


@dataclass(frozen=True)
class Sort:
    """What is looked up: what it is called in messages, an example, how to list all, and the error."""

    noun: str
    example: str
    listing: str
    error: type[PluginError]


METHOD = Sort("method", "lrp.epsilon", "xaicore list", UnknownMethodError)
METRIC = Sort("metric", "evaluation.pixel_flipping", "xaicore list --metrics", UnknownMetricError)
RENDERER = Sort("renderer", "core.heatmap", "xaicore list --renderers", UnknownRendererError)


def look_up(name: str, specs: Sequence[SpecT], plugins: Sequence[PluginInfo], sort: Sort = METHOD) -> SpecT:
    """Return what `name` means; canonical names win over aliases and bare names.

    Raises
    ------
    UnknownMethodError, UnknownMetricError, UnknownRendererError
        If none or several answer to the name.
    """
    if not isinstance(name, str):
        raise sort.error(f"A {sort.noun} is named by a string, such as {sort.example!r}, not {name!r}.")
    wanted = name.lower()
    found = [spec for spec in specs if spec.name == wanted]
    found = found or [spec for spec in specs if wanted in _other_names(spec)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(repr(spec.name) for spec in found)
        raise sort.error(f"Several {sort.noun}s are called {name!r}: {listed}. Give one of these full names.")
    raise sort.error(_explain_unknown(name, specs, plugins, sort))


def _other_names(spec: MethodSpec | MetricSpec | RendererSpec) -> set[str]:
    """The names beside the canonical one, in lower case: the bare name, and aliases with and without namespace."""
    aliases = {alias.lower() for alias in spec.aliases}
    return {spec.bare_name} | aliases | {f"{spec.namespace}.{alias}" for alias in aliases}


def _explain_unknown(
    name: str, specs: Sequence[MethodSpec | MetricSpec | RendererSpec], plugins: Sequence[PluginInfo], sort: Sort
) -> str:
    message = f"There is no {sort.noun} {name!r} among those installed."
    namespace = NAMESPACE_ALIASES.get(name.lower().partition(".")[0], name.lower().partition(".")[0])
    claimants = [plugin for plugin in plugins if plugin.namespace == namespace]
    if claimants and not any(plugin.status is Status.OK for plugin in claimants):
        plugin = claimants[0]
        return (
            f"{message} Its plugin {namespace!r} ({plugin.label}) is {plugin.status.in_words}: {plugin.cause_and_fix}"
        )
    package = KNOWN_PACKAGES.get(namespace)
    if package and package not in {normalized(plugin.distribution) for plugin in plugins}:
        named = f"{sort.noun.capitalize()}s of {namespace!r}"
        return f"{message} {named} come with the package {package}: pip install {package}"
    candidates = {known for spec in specs for known in (spec.name, spec.bare_name, *spec.aliases)}
    not_loaded = [plugin.namespace for plugin in plugins if plugin.status is not Status.OK]
    hint = f" Not loaded: {', '.join(not_loaded)}; `xaicore plugins` says why." if not_loaded else ""
    return f"{message}{nearest(name, sorted(candidates))} `{sort.listing}` shows them all.{hint}"
