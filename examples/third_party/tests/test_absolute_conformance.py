"""What the package brings behaves as everything else in xaicore does, and its numbers are what they claim to be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from xai_absolute.rules import Absolute

from xaicore.testing import check_rule


@pytest.mark.xaicore_plugin("absolute")
def test_what_the_plugin_brings_conforms(conformance: Callable[[], object]) -> None:
    conformance()


@pytest.mark.parametrize("bias", ["absorb", "conserve"])
def test_the_rule_agrees_with_its_equation_written_out(bias: str) -> None:
    check_rule(Absolute(0.1, bias))
