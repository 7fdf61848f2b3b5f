"""docs/reference_hooks.md against the code: every hook and field, with its default and the version it came with.

What exists is read from the hook specifications and the dataclasses, since when from `surface.toml`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from xaicore.plugins.descriptors import Descriptor
from xaicore.plugins.hooks import DESCRIPTOR_OF_HOOK, HookSpecifications, call_hooks
from xaicore.plugins.surface import surface

PAGE = Path(__file__).parents[1] / "docs" / "reference_hooks.md"
DESCRIPTORS = {cls.__name__: cls for cls in DESCRIPTOR_OF_HOOK.values()}

_SECTION = re.compile(r"^##+ `(\w+)`$", re.MULTILINE)
_HEADING = re.compile(r"^##+ ", re.MULTILINE)
_CODE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Field(NamedTuple):
    """A row of the table of a descriptor."""

    name: str
    default: str
    since: str
    meaning: str


def sections(text: str) -> dict[str, str]:
    """Return what stands below each heading that is a name."""
    found = {}
    for heading in _SECTION.finditer(text):
        end = _HEADING.search(text, heading.end())
        found[heading[1]] = text[heading.end() : end.start() if end else len(text)]
    return found


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of those rows of tables that begin with a name, without the marks of code around them."""
    for line in text.splitlines():
        cells = [re.sub(r"^`([^`]*)`$", r"\1", cell.strip()) for cell in line.strip().strip("|").split("|")]
        if line.startswith("| `"):
            yield cells


def faults(text: str) -> list[str]:
    """Return what a page says wrongly of hooks and descriptors, or does not say."""
    told, known = sections(text), surface()
    hooks = {name for name in vars(HookSpecifications) if name.startswith("xaicore_")}
    listed = [row for row in rows(text) if row[0].startswith("xaicore_")]
    found = [f"{name} has no section" for name in (hooks | set(DESCRIPTORS)) - set(told)]
    found += [f"there is no {name}" for name in set(told) - hooks - set(DESCRIPTORS)]
    found += [f"the table lists {row[0]} {row[1:]}" for row in listed if row[1:] != _hook_row(row[0])]
    found += [f"the table lacks {name}" for name in hooks - {row[0] for row in listed}]
    for name in DESCRIPTORS.keys() & told.keys():
        table = [Field(*row) for row in rows(told[name])]
        real = {field.name: field for field in dataclasses.fields(DESCRIPTORS[name])}
        found += [f"{name}.{field} is not told" for field in real.keys() - {field.name for field in table}]
        for field in table:
            if field.name not in real:
                found.append(f"there is no {name}.{field.name}")
                continue
            if field.since != known.fields[name][field.name]:
                found.append(f"{name}.{field.name} is told to be since {field.since}")
            if field.default != _default(real[field.name]):
                found.append(f"{name}.{field.name} is told to have the default {field.default}")
            if len(field.meaning) < 10:
                found.append(f"{name}.{field.name} has no meaning")
    return found


def _hook_row(name: str) -> list[str] | None:
    if name not in DESCRIPTOR_OF_HOOK:
        return None
    return [DESCRIPTOR_OF_HOOK[name].__name__, surface().hooks[name]]


def _default(field: dataclasses.Field[object]) -> str:
    return "required" if field.default is dataclasses.MISSING else repr(field.default).replace("'", '"')


def test_every_hook_and_field_is_told_as_it_is() -> None:
    assert faults(PAGE.read_text(encoding="utf-8")) == []


def test_each_hook_has_an_example_that_the_core_takes() -> None:
    told = sections(PAGE.read_text(encoding="utf-8"))
    namespace: dict[str, object] = {}
    for hook in DESCRIPTOR_OF_HOOK:
        (example,) = _CODE.findall(told[hook])
        exec(example, namespace)
        assert hook in namespace
    brought: dict[str, tuple[Descriptor, ...]] = call_hooks(SimpleNamespace(**namespace))
    assert all(type(spec) is DESCRIPTOR_OF_HOOK[hook] for hook, specs in brought.items() for spec in specs)
    assert all(brought.values())


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("## `xaicore_metrics`\n", "## Metrics\n", "xaicore_metrics has no section"),
        ("## `xaicore_metrics`\n", "## `xaicore_metric`\n", "there is no xaicore_metric"),
        ("| `xaicore_metrics` | `MetricSpec` | 0.1 |", "", "the table lacks xaicore_metrics"),
        ("| `xaicore_metrics` | `MetricSpec` | 0.1 |", "| `xaicore_metrics` | `MetricSpec` | 0.2 |", "'0.2'"),
        ("| `needs` | `()` | 0.1 |", "| `wants` | `()` | 0.1 |", "MetricSpec.needs is not told"),
        ("| `needs` | `()` | 0.1 |", "| `wants` | `()` | 0.1 |", "there is no MetricSpec.wants"),
        ("| `needs` | `()` | 0.1 |", "| `needs` | `()` | 0.2 |", "MetricSpec.needs is told to be since 0.2"),
        ("| `needs` | `()` | 0.1 |", "| `needs` | required | 0.1 |", "MetricSpec.needs is told to have the default"),
    ],
)
def test_a_page_that_says_otherwise_is_found(right: str, wrong: str, fault: str) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert right in text
    assert any(fault in found for found in faults(text.replace(right, wrong)))
