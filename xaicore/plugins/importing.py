"""From an import string to the object it names."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from xaicore.errors import PluginLoadError, nearest


def resolve(import_string: str) -> Any:
    """Import "package.module:attribute" and return the attribute (which may be dotted).

    Raises
    ------
    PluginLoadError
        If the module cannot be imported, or has no such attribute.
    """
    module_name, _, path = import_string.partition(":")
    if not module_name or not path:
        raise PluginLoadError(f"{import_string!r} is no import string; write 'package.module:attribute'.")
    try:
        found: Any = import_module(module_name)
    except ImportError as error:
        raise PluginLoadError(
            f"Cannot import {module_name!r} for {import_string!r}: {error}. "
            "Is the distribution that brings it completely installed?"
        ) from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError as error:
            raise PluginLoadError(
                f"{import_string!r}: {found!r} has no attribute {name!r}.{nearest(name, dir(found))}"
            ) from error
    return found
