"""The tables of the guide to metrics say what the metrics say of themselves."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from xaicore.plugins import MetricSpec, metrics

PAGE = Path(__file__).parents[1] / "docs" / "evaluation.md"
RANGES = {(None, None): "any", (0.0, 1.0): "0 to 1", (-1.0, 1.0): "-1 to 1", (0.0, None): "0 and up"}
ROW = re.compile(r"^\| `(?P<name>\w+)` \| .+ \| (?P<better>higher|lower) \| (?P<range>[^|]+) \| (?P<source>[^|]+) \|$")
SPECS = [spec for spec in metrics() if spec.namespace == "evaluation"]


def rows() -> dict[str, re.Match[str]]:
    found = (ROW.match(line) for line in PAGE.read_text(encoding="utf-8").splitlines())
    return {match["name"]: match for match in found if match}


def test_every_metric_has_a_row_and_every_row_a_metric() -> None:
    assert set(rows()) == {spec.bare_name for spec in SPECS}


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.bare_name)
def test_a_row_has_direction_range_and_source(spec: MetricSpec) -> None:
    row = rows()[spec.bare_name]
    assert row["better"] == ("higher" if spec.higher_is_better else "lower")
    assert row["range"] == RANGES[spec.bounds]
    years = {year for source in spec.sources for year in re.findall(r"\d{4}", source)}
    assert years & set(re.findall(r"\d{4}", row["source"]))


def test_those_that_need_masks_are_in_the_section_that_says_so() -> None:
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index("**Localisation**") : text.index("**Complexity**")]
    named = set(re.findall(r"^\| `(\w+)`", section, re.MULTILINE))
    assert named == {spec.bare_name for spec in SPECS if "masks" in spec.needs}
