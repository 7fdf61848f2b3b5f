"""From an import string to the object it names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from xaicore.errors import PluginLoadError, nearest
from xaicore.plugins.faults import fault_of


def resolve(import_string: str) -> Any:
    """Import "package.module:attribute" and return the attribute (which may be dotted).

    Raises
    ------
    PluginLoadError
        If the module cannot be imported, whatever it raises, or has no such attribute. Where a plugin has registered
        the import string, the message names it with its distribution, and says what to do.
    """
    module_name, _, path = import_string.partition(":")
    if not module_name or not path:
        raise PluginLoadError(f"{import_string!r} is no import string; write 'package.module:attribute'.")
    try:
        found: Any = import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit, and extension modules that panic, are failures of the import too
        raise PluginLoadError(_failed(import_string, module_name, error)) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            there_is = "" if found is None else nearest(name, dir(found))
            raise PluginLoadError(
                f"{_wanted(import_string)[0]}: {found!r} has no attribute {name!r}.{there_is}"
            ) from error
    return found


def _failed(import_string: str, module: str, error: BaseException) -> str:
    """Say why a module could not be imported, for whom, and what to do."""
    wanted, distribution = _wanted(import_string)
    cause, fix = f"{error}", "Is the distribution that brings it completely installed?"
    if distribution:
        cause, fix = fault_of(error, distribution=distribution, module=module)
    return f"Cannot import {module!r} for {wanted}: {cause.rstrip('.')}. {fix}"


def _wanted(import_string: str) -> tuple[str, str]:
    """Return what an import string stands for, for messages, and the distribution of the plugin that registered it."""
    # The registry stands above this module: it is asked only where something has failed.
    from xaicore.plugins.registry import plugin_registry

    for spec, info in plugin_registry().brought():
        if import_string in vars(spec).values():
            name = getattr(spec, "name", None) or f"a mapping for {', '.join(getattr(spec, 'kinds', ()))}"
            return f"{name} of {info.label} ({import_string!r})", info.distribution
    return repr(import_string), ""
