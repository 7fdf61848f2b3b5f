"""The renderers of the core conform as those of any plugin do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.xaicore_plugin("core")
def test_what_the_plugin_brings_conforms(conformance: Callable[[], Any]) -> None:
    conformance()
