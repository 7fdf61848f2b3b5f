"""Each wrong package fails the check of plugins that is about its fault, and no other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from xaicore.plugins import reset_registry
from xaicore.testing.checks import run_checks
from xaicore.testing.plugins.brought import PLUGIN_CHECKS, card_of
from xaicore.testing.plugins.subject import PluginSubject

PLUGIN = '''
"""What xai-odd brings."""

from xaicore.plugins import CommandSpec, MethodSpec, hookimpl

XAICORE_API = "0.1"


@hookimpl
def xaicore_methods():
    return [
        MethodSpec(
            name="odd.one", target="xai_odd.methods:One", summary="One.", family="gradient", aliases=("oddest",),
        )
    ]


@hookimpl
def xaicore_commands():
    return [CommandSpec(name="odd", target="xai_odd.methods:command", summary="Odd.")]
'''
METHODS = '''
"""The method of xai-odd, and a command."""

import click

from xaicore.analyzers import PropagationAnalyzer


class One(PropagationAnalyzer):
    """One."""


@click.command()
def command():
    """Do something odd."""
'''
METADATA = """Metadata-Version: 2.4
Name: xai-odd
Version: 1.0
Summary: Odd methods
License-Expression: MIT
Requires-Python: >=3.11
Requires-Dist: xaicore<1,>=0.1

A README.
"""


class Package:
    """A distribution in a folder on `sys.path`, whose files can be changed before it is tried."""

    def __init__(self, folder: Path) -> None:
        self.files = {
            "xai_odd/__init__.py": '"""Odd."""\n',
            "xai_odd/_plugin.py": PLUGIN,
            "xai_odd/methods.py": METHODS,
            "xai_odd-1.0.dist-info/METADATA": METADATA,
            "xai_odd-1.0.dist-info/entry_points.txt": "[xaicore.plugins]\nodd = xai_odd._plugin\n",
        }
        self.folder = folder

    def change(self, file: str, old: str, new: str) -> None:
        assert old in self.files[file]
        self.files[file] = self.files[file].replace(old, new)

    def failures(self, *, leave_out: str = "imports_leave_no_trace") -> list[str]:
        """The checks that fail; all but one, which starts torch in a process of its own, unless that one is meant."""
        for file, text in self.files.items():
            path = self.folder / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        reset_registry()
        checks = [check for check in PLUGIN_CHECKS if check.name != leave_out]
        card = run_checks("plugin odd", PluginSubject.of("odd"), checks)
        self.card = str(card)
        return card.failed


@pytest.fixture
def package(site: Any) -> Iterator[Package]:
    import sys

    yield Package(site.folder)
    for name in [name for name in sys.modules if name.partition(".")[0] == "xai_odd"]:
        del sys.modules[name]


CHANGES: dict[str, tuple[str, str, str]] = {
    "light_import": ("xai_odd/__init__.py", '"""Odd."""', "import numpy"),
    "hooks_repeat": (
        "xai_odd/_plugin.py",
        'summary="One."',
        "summary=f\"One at {__import__('time').perf_counter_ns()}.\"",
    ),
    "imports_leave_no_trace": ("xai_odd/methods.py", "import click", "import click, random\nrandom.seed(1)"),
    "commands_help": ("xai_odd/methods.py", '"""Do something odd."""', "pass"),
    "names_are_free": ("xai_odd/_plugin.py", '"oddest"', '"EpsilonPlus"'),
    "metadata_complete": ("xai_odd-1.0.dist-info/METADATA", "Summary: Odd methods\n", ""),
    "states_its_api": ("xai_odd/_plugin.py", 'XAICORE_API = "0.1"', ""),
    "uses_public_names_only": (
        "xai_odd/methods.py",
        "from xaicore.analyzers import",
        "from xaicore.analyzers.base import Analyzer\nfrom xaicore.analyzers import",
    ),
}


def test_a_right_package_conforms(package: Package) -> None:
    assert package.failures(leave_out="") == [], package.card


@pytest.mark.parametrize("check", CHANGES)
def test_a_wrong_package_fails_its_check_and_no_other(check: str, package: Package) -> None:
    package.change(*CHANGES[check])
    assert package.failures(leave_out="" if check == "imports_leave_no_trace" else "imports_leave_no_trace") == [check]


def test_a_target_that_leads_nowhere_is_found(package: Package) -> None:
    package.change("xai_odd/_plugin.py", "xai_odd.methods:One", "xai_odd.methods:Two")
    assert package.failures() == ["targets_resolve"]
    assert "has no attribute 'Two'" in package.card


def test_a_plugin_that_does_not_load_says_why(package: Package) -> None:
    package.change("xai_odd/_plugin.py", "@hookimpl\ndef xaicore_methods", "@hookimpl\ndef xaicore_metods")
    assert package.failures()[0] == "loads"
    assert "Did you mean 'xaicore_methods'?" in package.card


def test_a_plugin_that_exits_the_program_gets_its_card(package: Package) -> None:
    package.change("xai_odd/_plugin.py", 'XAICORE_API = "0.1"', "raise SystemExit(0)")
    assert {"loads", "light_import", "hooks_repeat"} <= {*package.failures()}
    assert "it exits the program that imports it" in package.card


def test_a_plugin_is_found_by_any_spelling_of_its_distribution(package: Package) -> None:
    assert package.failures() == []
    assert PluginSubject.of("Xai_Odd").info.namespace == "odd"


@pytest.mark.parametrize("raised", ["ValueError('no')", "SystemExit(0)"])
def test_what_cannot_be_made_has_a_card_that_says_why(raised: str, package: Package) -> None:
    package.change("xai_odd/_plugin.py", 'summary="One."', 'summary="One.", example="xai_odd.methods:example"')
    package.change("xai_odd/methods.py", "import click", f"import click\n\ndef example():\n    raise {raised}\n")
    package.failures()
    card = card_of("odd", "method odd.one")
    assert not card.ok
    assert card.failed == ["can_be_tried"]
    assert f"it raised {raised.partition('(')[0]}" in str(card)
    assert "methods.py:7)" in str(card)


def test_a_disabled_plugin_is_not_imported(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "xai-odd")
    package.change("xai_odd/__init__.py", '"""Odd."""', "raise ValueError")
    package.failures()
    card = card_of("odd", "plugin odd")
    assert [outcome.check for outcome in card.outcomes] == card.failed == ["loads"]
    assert "it is disabled: " in str(card)


def test_a_claim_of_too_low_a_core_names_what_needs_more(package: Package) -> None:
    package.change("xai_odd/_plugin.py", 'summary="One."', 'summary="One.", example="xai_odd.methods:One"')
    assert package.failures() == ["claims_the_lowest_core"]
    assert 'XAICORE_API = "0.1" is too low: MethodSpec.example (xai_odd/_plugin.py:' in package.card
    assert 'came with 0.2. Write XAICORE_API = "0.2".' in package.card


@pytest.mark.parametrize(
    ("requires", "said"),
    [
        ("xaicore", "in any version, which admits cores older than 0.1"),
        ("xaicore>=0.1,<0.2", "which excludes this core though the interface fits"),
        ("xaicore>=0.1", "which admits the next major version"),
        ("xaicore==0.1.*", "which excludes this core though the interface fits"),
        ("numpy", "its metadata do not ask for xaicore"),
    ],
)
def test_bounds_that_do_not_hold_are_told(requires: str, said: str, package: Package) -> None:
    package.change("xai_odd-1.0.dist-info/METADATA", "xaicore<1,>=0.1", requires)
    assert package.failures() == ["claims_the_lowest_core"]
    assert said in package.card


def test_what_is_deprecated_is_told_with_what_to_use_instead(package: Package, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from xaicore.plugins.surface import Deprecated, surface
    from xaicore.testing.plugins import subject

    gone = {"xaicore.analyzers": {"PropagationAnalyzer": Deprecated("0.2", "use Analyzer")}}
    monkeypatch.setattr(subject, "surface", lambda: replace(surface(), deprecated=gone))
    assert package.failures() == ["uses_nothing_deprecated"]
    assert "PropagationAnalyzer (xai_odd/methods.py:6): use Analyzer" in package.card


def test_every_check_of_plugins_is_tried() -> None:
    others = {"loads", "targets_resolve", "uses_nothing_deprecated", "claims_the_lowest_core"}
    assert {*CHANGES, *others} == {check.name for check in PLUGIN_CHECKS}
