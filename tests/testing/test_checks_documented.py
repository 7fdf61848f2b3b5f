"""docs/conformance.md lists every check of the kit, with its tier and what it proves, and none that there is not."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from xaicore.testing.mappings import MAPPING_CHECKS
from xaicore.testing.methods import METHOD_CHECKS
from xaicore.testing.metrics import METRIC_CHECKS
from xaicore.testing.plugins.brought import PLUGIN_CHECKS
from xaicore.testing.renderers import RENDERER_CHECKS
from xaicore.testing.rules import RULE_CHECKS

PAGE = (Path(__file__).parents[2] / "docs" / "conformance.md").read_text(encoding="utf-8")
CHECKS: dict[str, Any] = {
    "method": METHOD_CHECKS,
    "rule": RULE_CHECKS,
    "mapping": MAPPING_CHECKS,
    "metric": METRIC_CHECKS,
    "renderer": RENDERER_CHECKS,
    "plugin": PLUGIN_CHECKS,
}


@pytest.mark.parametrize("thing", CHECKS)
def test_the_page_lists_the_checks_as_they_are(thing: str) -> None:
    section = PAGE.split(f"## Checks of a {thing}\n")[1].partition("\n## ")[0]
    listed = re.findall(r"^\| `(\w+)` \| (\w+) \| (.+) \|$", section, re.MULTILINE)
    assert listed == [(check.name, str(check.tier), check.meaning) for check in CHECKS[thing]]


@pytest.mark.parametrize("thing", CHECKS)
def test_names_are_unique_and_a_meaning_is_one_whole_sentence(thing: str) -> None:
    names = [check.name for check in CHECKS[thing]]
    assert len(set(names)) == len(names)
    for check in CHECKS[thing]:
        documented = (check.run.__doc__ or "").strip()
        assert check.meaning.endswith("."), check.name
        assert documented.split("\n\n")[0] == check.meaning, f"{check.name}: the first sentence takes several lines"
