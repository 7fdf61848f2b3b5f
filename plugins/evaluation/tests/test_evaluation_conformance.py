"""What the plugin brings behaves as users of such things expect, and its numbers are what is promised of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.xaicore_plugin("evaluation")
def test_what_the_plugin_brings_conforms(conformance: Callable[[], Any]) -> None:
    conformance()
