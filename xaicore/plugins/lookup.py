"""From what a user types to one method, or to an error that says what to do."""

from __future__ import annotations

from collections.abc import Sequence

from xaicore.errors import UnknownMethodError, nearest
from xaicore.plugins.descriptors import MethodSpec
from xaicore.plugins.discovery import normalized
from xaicore.plugins.known import KNOWN_PACKAGES, NAMESPACE_ALIASES
from xaicore.plugins.loading import PluginInfo, Status


def look_up(name: str, methods: Sequence[MethodSpec], plugins: Sequence[PluginInfo]) -> MethodSpec:
    """Return the method that `name` means; canonical names win over aliases and bare names.

    Raises
    ------
    UnknownMethodError
        If none or several methods answer to the name.
    """
    if not isinstance(name, str):
        raise UnknownMethodError(f"A method is named by a string, such as 'lrp.epsilon', not {name!r}.")
    wanted = name.lower()
    found = [method for method in methods if method.name == wanted]
    found = found or [method for method in methods if wanted in _other_names(method)]
    if len(found) == 1:
        return found[0]
    if found:
        listed = ", ".join(repr(method.name) for method in found)
        raise UnknownMethodError(f"Several methods are called {name!r}: {listed}. Give one of these full names.")
    raise UnknownMethodError(_explain_unknown(name, methods, plugins))


def _other_names(method: MethodSpec) -> set[str]:
    """The names beside the canonical one, in lower case: the bare name, and aliases with and without namespace."""
    aliases = {alias.lower() for alias in method.aliases}
    return {method.bare_name} | aliases | {f"{method.namespace}.{alias}" for alias in aliases}


def _explain_unknown(name: str, methods: Sequence[MethodSpec], plugins: Sequence[PluginInfo]) -> str:
    message = f"There is no method {name!r} among those installed."
    namespace = NAMESPACE_ALIASES.get(name.lower().partition(".")[0], name.lower().partition(".")[0])
    claimants = [plugin for plugin in plugins if plugin.namespace == namespace]
    if claimants and not any(plugin.status is Status.OK for plugin in claimants):
        plugin = claimants[0]
        return f"{message} Its plugin {namespace!r} ({plugin.label}) is {plugin.status}: {plugin.cause}"
    package = KNOWN_PACKAGES.get(namespace)
    if package and package not in {normalized(plugin.distribution) for plugin in plugins}:
        return f"{message} Methods of {namespace!r} come with the package {package}: pip install {package}"
    candidates = {known for method in methods for known in (method.name, method.bare_name, *method.aliases)}
    not_loaded = [plugin.namespace for plugin in plugins if plugin.status is not Status.OK]
    hint = f" Not loaded: {', '.join(not_loaded)}; `xaicore plugins` says why." if not_loaded else ""
    return f"{message}{nearest(name, sorted(candidates))} `xaicore list` shows them all.{hint}"
