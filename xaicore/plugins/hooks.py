"""The hooks a plugin may implement. Each takes nothing and returns a list of descriptors.

A function of the plugin's module whose name starts with `xaicore_` is taken for a hook; the
`hookimpl` marker says so to readers and is where pluggy's options go. A name that is no hook is an
error, so that a misspelt one is not silently ignored.
"""

from __future__ import annotations

from collections.abc import Sequence

import pluggy

from xaicore.errors import PluginError, nearest
from xaicore.plugins.descriptors import (
    CommandSpec,
    Descriptor,
    MappingSpec,
    MethodSpec,
    MetricSpec,
    RendererSpec,
)

PREFIX = "xaicore_"

hookspec = pluggy.HookspecMarker("xaicore")
hookimpl = pluggy.HookimplMarker("xaicore")


class HookSpecifications:
    """The hooks, for pluggy to check implementations against."""

    @hookspec
    def xaicore_methods(self) -> Sequence[MethodSpec]:  # type: ignore[empty-body]
        """Methods of explanation, all in the plugin's own namespace."""

    @hookspec
    def xaicore_mappings(self) -> Sequence[MappingSpec]:  # type: ignore[empty-body]
        """Backward mappings that methods of a family, from any plugin, may use."""

    @hookspec
    def xaicore_metrics(self) -> Sequence[MetricSpec]:  # type: ignore[empty-body]
        """Metrics that judge explanations, all in the plugin's own namespace."""

    @hookspec
    def xaicore_renderers(self) -> Sequence[RendererSpec]:  # type: ignore[empty-body]
        """Ways to show explanations, all in the plugin's own namespace."""

    @hookspec
    def xaicore_commands(self) -> Sequence[CommandSpec]:  # type: ignore[empty-body]
        """Subcommands of `xaicore`."""


DESCRIPTOR_OF_HOOK: dict[str, type[Descriptor]] = {
    "xaicore_methods": MethodSpec,
    "xaicore_mappings": MappingSpec,
    "xaicore_metrics": MetricSpec,
    "xaicore_renderers": RendererSpec,
    "xaicore_commands": CommandSpec,
}


class _Manager(pluggy.PluginManager):
    """A pluggy manager for one plugin, which knows hooks by their name."""

    def parse_hookspec_opts(self, module_or_class: object, name: str) -> pluggy.HookspecOpts | None:
        # Asked for everything that a class has: only what may be a hook is worth a look, for each plugin anew.
        return super().parse_hookspec_opts(module_or_class, name) if name.startswith(PREFIX) else None  # type: ignore[arg-type]

    def parse_hookimpl_opts(self, plugin: object, name: str) -> pluggy.HookimplOpts | None:
        options = super().parse_hookimpl_opts(plugin, name)
        if options is None and name.startswith(PREFIX) and callable(getattr(plugin, name)):
            return pluggy.HookimplOpts(
                wrapper=False, hookwrapper=False, optionalhook=False, tryfirst=False, trylast=False, specname=None
            )
        return options


def call_hooks(module: object) -> dict[str, tuple[Descriptor, ...]]:
    """Call every hook that `module` implements and return what each brought.

    Every plugin gets a manager of its own: whatever goes wrong in one cannot touch another.

    Raises
    ------
    PluginError
        For an unknown hook, and for an answer that is not a list of the hook's descriptors.
    Exception
        Whatever the plugin raises.
    """
    manager = _Manager("xaicore")
    manager.add_hookspecs(HookSpecifications)
    manager.register(module)
    _refuse_unknown_hooks(manager)
    return {hook: _call(manager, hook) for hook in DESCRIPTOR_OF_HOOK}


def _refuse_unknown_hooks(manager: _Manager) -> None:
    for hook, caller in vars(manager.hook).items():
        if hook not in DESCRIPTOR_OF_HOOK and isinstance(caller, pluggy.HookCaller):
            raise PluginError(
                f"it implements {hook!r}, which is no hook of this xaicore.{nearest(hook, DESCRIPTOR_OF_HOOK)} "
                f"Hooks are {', '.join(DESCRIPTOR_OF_HOOK)}."
            )


def _call(manager: _Manager, hook: str) -> tuple[Descriptor, ...]:
    expected = DESCRIPTOR_OF_HOOK[hook]
    found: list[Descriptor] = []
    for answer in getattr(manager.hook, hook)():
        if not isinstance(answer, list | tuple) or not all(isinstance(item, expected) for item in answer):
            raise PluginError(f"its hook {hook} must return a list of {expected.__name__}, not {answer!r:.200}.")
        found.extend(answer)
    return tuple(found)
