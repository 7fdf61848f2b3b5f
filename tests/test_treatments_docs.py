"""The table of treatments in the documentation is that of the code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from xai_lrp.methods import RelevanceMethod
from xai_lrp.structure.variants import TREATMENTS

PAGE = Path(__file__).parents[1] / "docs" / "choosing_a_method.md"
CHOICES = {name: list(treatments.choices) for name, treatments in TREATMENTS.items()}


def table(text: str) -> dict[str, list[str]]:
    """Layers and their choices; a row without a first cell goes on with the layers above it."""
    rows: dict[str, list[str]] = {}
    layers = ""
    for line in text.splitlines():
        name, choice = (cell.strip(" `") for cell in line.split("|")[1:3])
        layers = name or layers
        rows.setdefault(layers, []).append(choice)
    return rows


def test_the_page_has_every_treatment_with_the_default_first() -> None:
    section = PAGE.read_text(encoding="utf-8").partition("### Layers without weights")[2]
    found = re.search(r"\| layers \|.*\n\| ---.*\n((?:\|.*\n)+)", section)
    assert found is not None
    assert table(found[1]) == CHOICES


def test_the_help_of_a_method_names_every_treatment_with_the_default_first() -> None:
    text = " ".join((inspect.getdoc(RelevanceMethod) or "").split())
    named = {name: re.findall(r"'(\w+)'", rest) for name, rest in re.findall(r"(\w+): ((?:'\w+'(?:, | or )?)+)", text)}
    assert named == CHOICES
