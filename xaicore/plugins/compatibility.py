"""Which plugins fit this core.

The interface between core and plugins (hooks, descriptors, the public names a plugin builds on) has
a version `major.minor` of its own, `xaicore.API_VERSION`. A plugin's module states the version it
was written for, `XAICORE_API = "0.1"`. The rule:

* the major numbers must be equal: a new major breaks plugins;
* the plugin's minor must not be greater than the core's: a new minor only adds.

A plugin that states nothing is taken to be written for 0.1, the first version. So a plugin's metadata say
`xaicore>=0.1,<1`, and nothing narrower. What is to go warns first, at least one minor version ahead
(`xaicore.deprecation`), and goes only with a new major.
"""

from __future__ import annotations

import re

from xaicore import API_VERSION

FIRST_VERSION = "0.1"


def check_api(wanted: object, offered: str = API_VERSION) -> str | None:
    """Return why a plugin written for interface version `wanted` does not fit, or None where it does."""
    if not isinstance(wanted, str) or not re.fullmatch(r"\d+\.\d+", wanted):
        return f"XAICORE_API is {wanted!r}; it must be a string like {offered!r}."
    wanted_major, wanted_minor = map(int, wanted.split("."))
    major, minor = map(int, offered.split("."))
    if (wanted_major, wanted_minor) > (major, minor):
        return f"it is written for plugin API {wanted}, this xaicore offers {offered}; upgrade xaicore."
    if wanted_major < major:
        return f"it is written for plugin API {wanted}, this xaicore offers {offered}; upgrade the plugin."
    return None
