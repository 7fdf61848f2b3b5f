"""Which versions of xaicore a plugin fits: as its interface version says, and as its distribution says.

A plugin states the version of the interface that it was written for, `XAICORE_API`; the rule of
`xaicore.plugins.compatibility` makes a range of that. What the metadata of its distribution requires may be
narrower. Nobody keeps the two from being installed together nevertheless: pip only warns.
"""

from __future__ import annotations

import re

from xaicore import __version__


def core_range(api: str) -> str:
    """Return the versions of xaicore that a plugin for this interface fits, ">=0.1,<1"; "" where it is no version."""
    return f">={api},<{int(api.partition('.')[0]) + 1}" if re.fullmatch(r"\d+\.\d+", api) else ""


def disagreement(requires: str, version: str = __version__) -> str:
    """Return how the requirement of a distribution disagrees with a version of xaicore; "" where it does not.

    Parameters
    ----------
    requires : as in the metadata, ">=0.1,<0.2"; "" where it asks for no version.
    version : of the core.
    """
    if not requires:
        return ""
    from packaging.specifiers import InvalidSpecifier, SpecifierSet  # only where it is asked: it takes its time

    try:
        fits = SpecifierSet(requires).contains(version, prereleases=True)
    except InvalidSpecifier:
        return f"its metadata requires xaicore{requires}, which no installer can read"
    return "" if fits else f"its metadata requires xaicore{requires}, this is xaicore {version}"
