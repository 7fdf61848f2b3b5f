"""Discovery of plugins and the registry of what they bring.

A plugin is one installed distribution with one entry point:

    [project.entry-points."xaicore.plugins"]
    lrp = "xai_lrp._plugin"

The name of the entry point is the namespace of the plugin's methods. The module holds functions
named after the hooks (`xaicore.plugins.hooks`); each returns a list of descriptors
(`xaicore.plugins.descriptors`) whose targets are import strings, resolved on first use. This room
imports neither torch nor numpy, and the plugin's module should not either.
"""

from __future__ import annotations

from xaicore.plugins.compatibility import check_api
from xaicore.plugins.descriptors import CommandSpec, Descriptor, MappingSpec, MethodSpec, MetricSpec, RendererSpec
from xaicore.plugins.hooks import hookimpl
from xaicore.plugins.importing import resolve
from xaicore.plugins.info import PluginInfo, Status
from xaicore.plugins.known import KNOWN_PACKAGES, suggest_provider
from xaicore.plugins.registry import (
    PluginRegistry,
    find_method,
    find_metric,
    find_renderer,
    methods,
    metrics,
    plugin_registry,
    renderers,
    reset_registry,
)

__all__ = [
    "KNOWN_PACKAGES",
    "CommandSpec",
    "Descriptor",
    "MappingSpec",
    "MethodSpec",
    "MetricSpec",
    "PluginInfo",
    "PluginRegistry",
    "RendererSpec",
    "Status",
    "check_api",
    "find_method",
    "find_metric",
    "find_renderer",
    "hookimpl",
    "methods",
    "metrics",
    "plugin_registry",
    "renderers",
    "reset_registry",
    "resolve",
    "suggest_provider",
]
