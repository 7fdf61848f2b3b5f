"""What a plugin states about itself: the failures that it expects, and why."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module

from xaicore.errors import PluginError
from xaicore.plugins import Descriptor, Status, plugin_registry

ATTRIBUTE = "XAICORE_EXPECTED_FAILURES"
"""In the module of the entry point: {"mine.power": {"completeness": "why it cannot hold"}}."""


def stated_failures(spec: Descriptor | None, subject: str) -> Mapping[str, str]:
    """The failures that the plugin which brings `spec` expects of a subject, by the name of the check."""
    if spec is None:
        return {}
    registry = plugin_registry()
    providers = [info for own, info in registry.brought() if own == spec]
    return failures_in(providers[0].module).get(subject, {}) if providers else {}


def failures_of_package(package: str, subject: str) -> Mapping[str, str]:
    """The failures that the plugin in a package ("xai_lrp") expects of a subject; none where no plugin lives there."""
    for plugin in plugin_registry().plugins():
        if plugin.module.partition(".")[0] == package and plugin.status is Status.OK:
            return failures_in(plugin.module).get(subject, {})
    return {}


def failures_in(module: str) -> Mapping[str, Mapping[str, str]]:
    """All that a plugin's module states.

    Raises
    ------
    PluginError
        If it states them in another form.
    """
    stated = getattr(import_module(module), ATTRIBUTE, {})
    well_formed = isinstance(stated, Mapping) and all(
        isinstance(subject, str)
        and isinstance(checks, Mapping)
        and all(isinstance(check, str) and isinstance(why, str) and why.strip() for check, why in checks.items())
        for subject, checks in stated.items()
    )
    if not well_formed:
        raise PluginError(
            f"{module}.{ATTRIBUTE} must say, for each subject, why which check fails: "
            f'{{"mine.power": {{"completeness": "the power changes the sum"}}}}; it is {stated!r:.200}.'
        )
    return stated
