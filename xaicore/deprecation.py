"""How something leaves the interface: it warns at least one minor version ahead, and goes with the next major.

Public names that are to go are listed in `xaicore/plugins/surface.toml`, so that the conformance kit can tell an author
who still uses them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from xaicore.plugins.surface import Surface, surface

__all__ = ["XaicoreDeprecationWarning", "deprecated_names", "warn_deprecated"]


class XaicoreDeprecationWarning(DeprecationWarning):
    """Something of xaicore is used that a coming major version will not have."""


def warn_deprecated(what: str, *, since: str, instead: str, stacklevel: int = 2) -> None:
    """Warn that `what` is deprecated.

    Parameters
    ----------
    what : what is used, as the user wrote it.
    since : the version of the interface that says so first.
    instead : what to do, as a clause without its full stop.
    stacklevel : 1 is the caller; 2, the default, is the caller of the caller: the code to be changed.
    """
    gone = f"{int(since.partition('.')[0]) + 1}.0"
    warnings.warn(
        f"{what} is deprecated since xaicore {since} and goes with {gone}: {instead}.",
        XaicoreDeprecationWarning,
        stacklevel=stacklevel + 1,
    )


def deprecated_names(
    module: str, values: dict[str, Callable[[], Any]], listed: Surface | None = None
) -> Callable[[str], Any]:
    """Return the `__getattr__` of a module whose public names in `values` are to go.

    Parameters
    ----------
    module : its name; each of the names must be listed for it under ``[deprecated]`` in `surface.toml`.
    values : by name, what gives the value.
    """
    entries = (listed or surface()).deprecated.get(module, {})
    missing = sorted(set(values) - set(entries))
    if missing:
        raise LookupError(f"surface.toml lists no deprecation of {', '.join(missing)} in {module}.")

    def attribute(name: str) -> Any:
        if name not in values:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_deprecated(f"{module}.{name}", since=entries[name].since, instead=entries[name].instead)
        return values[name]()

    return attribute
