"""The package in examples/third_party, as it is for whoever installs it: found by its metadata, its own tests pass.

It is not installed: the content of its wheel is put on `sys.path`.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import runpy
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hatchling.build import build_wheel
from matplotlib import image

import xaicore
from xaicore.plugins import plugin_registry, reset_registry

PACKAGE = Path(__file__).parents[1] / "examples" / "third_party"
PROJECT = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what ``pip install examples/third_party`` would put among the packages: a wheel's content."""
    folder = tmp_path_factory.mktemp("third_party")
    with contextlib.chdir(PACKAGE):
        wheel = build_wheel(str(folder))
    with zipfile.ZipFile(folder / wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def third_party(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The package, importable and found as a plugin, in a process that forgets it afterwards."""
    monkeypatch.syspath_prepend(installed)
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
