"""How something leaves the interface: it warns at least one minor version ahead, and goes with the next major.

What is deprecated is listed in `xaicore/plugins/surface.toml`, so that the conformance kit can tell an author who
still uses it.
"""

from __future__ import annotations

import warnings

__all__ = ["XaicoreDeprecationWarning", "warn_deprecated"]


class XaicoreDeprecationWarning(DeprecationWarning):
    """Something of xaicore is used that a coming major version will not have."""


def warn_deprecated(what: str, *, since: str, instead: str, gone: str = "1.0", stacklevel: int = 2) -> None:
    """Warn that `what` is deprecated.

    Parameters
    ----------
    what : what is used, as the user wrote it.
    since : the version of the interface that says so first.
    instead : what to do, as a sentence without its full stop.
    gone : the version that will not have it: a new major.
    stacklevel : 1 is the caller; 2, the default, is the caller of the caller: the code to be changed.
    """
    warnings.warn(
        f"{what} is deprecated since xaicore {since} and goes with {gone}: {instead}.",
        XaicoreDeprecationWarning,
        stacklevel=stacklevel + 1,
    )
