"""The tables of docs/migration.md: each name in them exists, ours and theirs, and takes the parameters shown with it.

iNNvestigate and SHAP are not installed: of what they call things, only the names that work here are checked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import zoo

import xai_lrp.rules
import xaicore
from xaicore.plugins import plugin_registry, resolve

PAGE = Path(__file__).parents[1] / "docs" / "migration.md"
NAMESPACES = sorted({spec.namespace for spec in [*xaicore.methods(), *xaicore.renderers()]})
SPAN = re.compile(r"`([^`]+)`")
CALL = re.compile(r"(?P<name>[A-Za-z_]\w*(?:\.\w+)*)(?:\((?P<arguments>.*)\))?")


def table(section: str) -> Iterator[tuple[str, str]]:
    """Yield the first two cells of each row of the table of a section."""
    text = PAGE.read_text(encoding="utf-8").partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    assert text, f"no section {section}"
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith(("| ---", f"| {section} |")):
            theirs, ours = [cell.strip() for cell in line.strip().strip("|").split(" | ")][:2]
            yield theirs, ours


def calls(cell: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the names in a cell that are code, each with the parameters that it is shown with."""
    for span in SPAN.findall(cell):
        match = CALL.fullmatch(span)
        if match and "..." not in span:
            yield match["name"], parameters(match["arguments"] or "")


def parameters(arguments: str) -> list[str]:
    call = ast.parse(f"f({arguments})", mode="eval").body
    assert isinstance(call, ast.Call)
    named = [argument.arg for argument in call.keywords if argument.arg]
    return named + [argument.id for argument in call.args if isinstance(argument, ast.Name)]


def lacks(target: Any, named: list[str]) -> list[str]:
    taken = inspect.signature(target).parameters
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in taken.values()):
        return []
    return [name for name in named if name not in taken]


def find_here(name: str) -> Any:
    """Return what a name of the right-hand column stands for, None for words that are no name of something."""
    if name.startswith("xaicore."):
        return resolve(name.replace("xaicore.", "xaicore:", 1))
    if name.partition(".")[0] in NAMESPACES:
        registry = plugin_registry()
        spec = registry.find_renderer(name) if name.startswith("core.") else registry.find_method(name)
        return resolve(spec.target)
    if hasattr(xai_lrp.rules, name):
        return getattr(xai_lrp.rules, name)
    assert not name[0].isupper(), f"what is {name}?"
    return getattr(xaicore, name, None)


@pytest.mark.parametrize("section", ["Captum", "zennit", "iNNvestigate", "SHAP"])
def test_what_it_is_called_here_exists(section: str) -> None:
    checked = 0
    for _, ours in table(section):
        for name, named in calls(ours):
            found = find_here(name)
            if found is not None and callable(found):
                assert lacks(found, named) == [], f"{name} in {ours}"
                checked += 1
    assert checked >= 5


def test_what_captum_calls_it_exists() -> None:
    attr = pytest.importorskip("captum.attr")
    homes = [attr, *(importlib.import_module(f"captum.attr._utils.{name}") for name in ("lrp_rules", "custom_modules"))]
    checked = 0
    for theirs, _ in table("Captum"):
        for name, named in calls(theirs):
            if name[0].isupper():
                found = next((getattr(home, name) for home in homes if hasattr(home, name)), None)
                assert found, f"captum has no {name}"
                taken = [found, *([found.attribute] if hasattr(found, "attribute") else [])]
                unknown = [each for each in named if each != "model" and all(lacks(one, [each]) for one in taken)]
                assert unknown == [], f"{name}{named}"
                checked += 1
    assert checked > 20


def test_what_zennit_calls_it_exists() -> None:
    zoo.import_torchvision()  # which zennit imports
    pytest.importorskip("zennit")
    checked = 0
    for theirs, _ in table("zennit"):
        module = ""
        for name, named in calls(theirs):
            if name[0].islower() and "." in name:
                module, _, name = name.partition(".")
            if module and name[0].isupper():
                found = getattr(importlib.import_module(f"zennit.{module}"), name)
                assert lacks(found, named) == [], f"{name}{named}"
                checked += 1
    assert checked > 20


@pytest.mark.parametrize("name", ["lrp.sequential_preset_a", "EpsilonGammaBox", "input_t_gradient"])
def test_familiar_names_work_as_they_are(name: str) -> None:
    assert xaicore.find_method(name) is not None
