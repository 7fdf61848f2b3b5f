"""Fixtures for tests of several rooms."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from xaicore.plugins import reset_registry


@dataclass(frozen=True)
class FakeSite:
    """A folder on `sys.path` into which tests install distributions, as pip would."""

    folder: Path

    def install(
        self, distribution: str, namespace: str, source: str = "", *, version: str = "1.0", entry_points: str = ""
    ) -> None:
        """Write a plugin module and the metadata that importlib-metadata reads."""
        module = distribution.replace("-", "_") + "_plugin"
        (self.folder / f"{module}.py").write_text(source)
        info = self.folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        text = entry_points or f"[xaicore.plugins]\n{namespace} = {module}\n"
        (info / "entry_points.txt").write_text(text)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeSite]:
    """A place to install fake plugins, in a process that forgets them afterwards; environment switches are unset."""
    for switch in ("XAICORE_PLUGINS", "XAICORE_DISABLE_PLUGINS", "XAICORE_STRICT_PLUGINS"):
        monkeypatch.delenv(switch, raising=False)
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    reset_registry()
    yield FakeSite(folder)
    reset_registry()
    for name in set(sys.modules) - before:
        if name.endswith("_plugin") and "." not in name:
            del sys.modules[name]


@pytest.fixture
def without_lstm(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if xai-lstm were not there: then no mapping takes recurrent layers."""
    monkeypatch.setenv("XAICORE_DISABLE_PLUGINS", "lstm")
    reset_registry()
    yield
    monkeypatch.undo()
    reset_registry()
