"""The package in examples/third_party, as it is for whoever installs it: found by its metadata, its own tests pass.

It is not installed: its folder is put on `sys.path`, with the metadata that an installer would write.
"""

from __future__ import annotations

import ast
import importlib
import runpy
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from matplotlib import image

import xaicore
from xaicore.plugins import plugin_registry, reset_registry

PACKAGE = Path(__file__).parents[1] / "examples" / "third_party"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As after ``pip install examples/third_party``."""
    info = tmp_path / "site" / f"{PROJECT['name'].replace('-', '_')}-{PROJECT['version']}.dist-info"
    info.mkdir(parents=True)
    requires = "".join(f"Requires-Dist: {each}\n" for each in PROJECT["dependencies"])
    names = f"Name: {PROJECT['name']}\nVersion: {PROJECT['version']}\n"
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\n{names}{requires}")
    entries = "".join(
        f"[{group}]\n" + "".join(f"{name} = {module}\n" for name, module in names.items())
        for group, names in PROJECT["entry-points"].items()
    )
    (info / "entry_points.txt").write_text(entries)
    monkeypatch.syspath_prepend(PACKAGE / "src")
    monkeypatch.syspath_prepend(info.parent)
    monkeypatch.setenv("XAICORE_STRICT_PLUGINS", "1")
    reset_registry()
    yield
    monkeypatch.undo()
    reset_registry()


@pytest.mark.usefixtures("third_party")
def test_it_is_found_by_its_metadata_and_brings_what_its_modules_have() -> None:
    (plugin,) = [each for each in plugin_registry().plugins() if each.namespace == "absolute"]
    assert (plugin.distribution, plugin.version, str(plugin.status)) == (PROJECT["name"], PROJECT["version"], "ok")
    assert {"absolute.shares", "absolute.epsilon_absolute"} <= {spec.name for spec in xaicore.methods()}


@pytest.mark.usefixtures("third_party")
def test_its_own_tests_pass() -> None:
    options = ("-q", "-p", "no:cacheprovider", "-p", "no:logging", "-c", str(PACKAGE / "pyproject.toml"))
    assert pytest.main([*options, "--rootdir", str(PACKAGE), str(PACKAGE / "tests")]) == pytest.ExitCode.OK


@pytest.mark.usefixtures("third_party")
def test_its_example_trains_a_network_and_draws_what_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "digits.png"
    script = PACKAGE / "examples" / "digits.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--out", str(picture)])
    runpy.run_path(str(script), run_name="__main__")
    printed = capsys.readouterr().out
    assert "soft_threshold  other" in printed and f"wrote {picture}" in printed
    assert image.imread(picture)[..., :3].std() > 0.05  # not a blank sheet


def test_it_imports_nothing_but_public_names() -> None:
    rooms = {"xaicore", "xai_lrp"}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in rooms:
                public = importlib.import_module(node.module or "").__all__
                assert {name.name for name in node.names} <= set(public), f"{file.name}: {ast.unparse(node)}"
