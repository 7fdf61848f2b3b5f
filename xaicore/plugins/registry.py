"""What all installed plugins bring together."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Iterable, Iterator
from typing import TypeVar

from xaicore.plugins.descriptors import CommandSpec, Descriptor, MappingSpec, MethodSpec, MetricSpec, RendererSpec
from xaicore.plugins.discovery import Switches, find_candidates, normalized
from xaicore.plugins.info import PluginInfo, Status
from xaicore.plugins.loading import LoadedPlugin, load_all
from xaicore.plugins.lookup import METRIC, RENDERER, look_up

CORE_COMMANDS = (
    "audit",
    "check",
    "check-plugin",
    "compare",
    "demo",
    "explain",
    "info",
    "list",
    "new-plugin",
    "plugins",
    "tune",
)
"""Names of subcommands that no plugin may take."""

SpecT = TypeVar("SpecT", bound=Descriptor)
NamedT = TypeVar("NamedT", MethodSpec, MetricSpec, RendererSpec, CommandSpec)


class PluginRegistry:
    """The plugins of one process and their descriptors, in a fixed order.

    `plugin_registry()` returns the one that everybody shares; tests make their own.
    """

    def __init__(self, plugins: Iterable[LoadedPlugin]) -> None:
        self._plugins = tuple(plugins)

    @classmethod
    def discover(cls, switches: Switches | None = None) -> PluginRegistry:
        """Find and load what is installed; `switches` default to those of the environment.

        Raises
        ------
        PluginLoadError
            Only if the switches are strict: the first plugin that is broken, incompatible or in conflict.
        """
        return cls(load_all(find_candidates(), switches or Switches.from_environment(), CORE_COMMANDS))

    def plugins(self) -> tuple[PluginInfo, ...]:
        """Every installed plugin with its status, by namespace, in the order of loading."""
        return tuple(plugin.info for plugin in self._plugins)

    def methods(self) -> tuple[MethodSpec, ...]:
        """Every method that can be used, by name."""
        return _by_name(self._brought("xaicore_methods", MethodSpec))

    def mappings(self, family: str | None = None) -> list[tuple[MappingSpec, PluginInfo]]:
        """Mappings, all or of a family, and who brings them: by namespace, then as the plugin lists them."""
        brought = self._brought("xaicore_mappings", MappingSpec)
        return [(spec, info) for spec, info in brought if family in (None, spec.family)]

    def metrics(self) -> tuple[MetricSpec, ...]:
        """Every metric, by name."""
        return _by_name(self._brought("xaicore_metrics", MetricSpec))

    def renderers(self) -> tuple[RendererSpec, ...]:
        """Every renderer, by name."""
        return _by_name(self._brought("xaicore_renderers", RendererSpec))

    def commands(self) -> tuple[CommandSpec, ...]:
        """Every subcommand that plugins add, by name."""
        return _by_name(self._brought("xaicore_commands", CommandSpec))

    def find_method(self, name: str) -> MethodSpec:
        """Return the method with this canonical name, alias, or bare name if only one method has it.

        Letter case is ignored.

        Raises
        ------
        UnknownMethodError
            If no method answers to the name, saying what to install or what is wrong with the plugin
            that would bring it; if several do, listing them.
        """
        return look_up(name, self.methods(), self.plugins())

    def find_metric(self, name: str) -> MetricSpec:
        """Return the metric with this canonical name, alias, or unique bare name; as `find_method`."""
        return look_up(name, self.metrics(), self.plugins(), METRIC)

    def find_renderer(self, name: str) -> RendererSpec:
        """Return the renderer with this canonical name, alias, or unique bare name; as `find_method`.

        A bare name that the core has means the core's, so that no figure changes because something was installed.
        """
        own = [spec for spec in self.renderers() if isinstance(name, str) and spec.name == f"core.{name.lower()}"]
        return own[0] if own else look_up(name, self.renderers(), self.plugins(), RENDERER)

    def how_to_get(self, package: str) -> str:
        """Return what to do to have what a distribution brings: install it, or mend what keeps it from loading."""
        for info in self.plugins():
            if normalized(info.distribution) == package and info.status is not Status.OK:
                return f"the plugin of {info.label} is {info.status.in_words}: {info.cause_and_fix}"
        return f"pip install {package}"

    def brought(self) -> Iterator[tuple[Descriptor, PluginInfo]]:
        """Every descriptor with the plugin that brings it."""
        for plugin in self._plugins:
            for specs in plugin.descriptors.values():
                yield from ((spec, plugin.info) for spec in specs)

    def provider(self, spec: Descriptor) -> PluginInfo:
        """Return the plugin that brings a descriptor of this registry."""
        for own, info in self.brought():
            if own is spec:
                return info
        raise LookupError(f"{spec!r} was not brought by a plugin of this registry")

    def _brought(self, hook: str, kind: type[SpecT]) -> list[tuple[SpecT, PluginInfo]]:
        return [
            (spec, plugin.info)
            for plugin in self._plugins
            for spec in plugin.descriptors.get(hook, ())
            if isinstance(spec, kind)
        ]


def _by_name(brought: list[tuple[NamedT, PluginInfo]]) -> tuple[NamedT, ...]:
    return tuple(sorted((spec for spec, _ in brought), key=lambda spec: spec.name))


@functools.cache
def plugin_registry() -> PluginRegistry:
    """Return the registry of this process; plugins are discovered on the first call."""
    return PluginRegistry.discover()


def reset_registry() -> None:
    """Forget what was discovered; the next use looks at the environment and the installed packages anew."""
    importlib.invalidate_caches()
    plugin_registry.cache_clear()


def methods() -> tuple[MethodSpec, ...]:
    """Return every installed method, by name, without importing torch."""
    return plugin_registry().methods()


def metrics() -> tuple[MetricSpec, ...]:
    """Return every installed metric, by name, without importing torch."""
    return plugin_registry().metrics()


def renderers() -> tuple[RendererSpec, ...]:
    """Return every installed renderer, by name, without importing matplotlib."""
    return plugin_registry().renderers()


def find_metric(name: str) -> MetricSpec:
    """Return the installed metric with this canonical name, alias or unique bare name."""
    return plugin_registry().find_metric(name)


def find_renderer(name: str) -> RendererSpec:
    """Return the installed renderer with this canonical name, alias or unique bare name."""
    return plugin_registry().find_renderer(name)


def find_method(name: str) -> MethodSpec:
    """Return the installed method with this canonical name, alias or unique bare name; see `PluginRegistry`."""
    return plugin_registry().find_method(name)
