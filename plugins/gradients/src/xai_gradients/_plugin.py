"""What xai-gradients brings to xaicore. Imports nothing heavy: targets are resolved on first use."""

from __future__ import annotations

from xai_gradients._methods import METHODS
from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.2"


@hookimpl
def xaicore_methods() -> list[MethodSpec]:
    return list(METHODS)
