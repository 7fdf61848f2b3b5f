"""A plugin that was published for an older core works with this one: the wheels in `previous/`, as they were built."""

from __future__ import annotations

import email
import json
import os
import runpy
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import parse_wheel_filename

import xaicore

PREVIOUS = Path(__file__).parent / "previous"
WHEELS = sorted(PREVIOUS.glob("xai_lrp-*.whl"))
KNOWN_DEPRECATIONS: tuple[str, ...] = ()
"""What the old plugins use of the core that is to go: as the core words it."""


@dataclass(frozen=True)
class Unpacked:
    """A wheel, the folder that it was unpacked to, and what its plugin answers there."""

    wheel: Path
    folder: Path
    answers: dict[str, Any]

    @property
    def version(self) -> str:
        return str(parse_wheel_filename(self.wheel.name)[1])


@pytest.fixture(scope="module", params=WHEELS, ids=lambda wheel: wheel.name.partition("-py3")[0])
def old(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Unpacked:
    folder = tmp_path_factory.mktemp("previous")
    with zipfile.ZipFile(request.param) as archive:
        archive.extractall(folder)
    switches = {"XAICORE_PLUGINS": "lrp", "XAICORE_STRICT_PLUGINS": "1", "OMP_NUM_THREADS": "1"}
    environment = os.environ | switches | {"PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, str(PREVIOUS / "answers.py")]
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=folder)
    assert answer.returncode == 0, answer.stderr
    return Unpacked(wheel=request.param, folder=folder, answers=json.loads(answer.stdout))


@pytest.fixture(scope="module")
def present() -> dict[str, Any]:
    return runpy.run_path(str(PREVIOUS / "answers.py"))["answers"]()


def test_there_is_a_previous_wheel() -> None:
    assert WHEELS


def test_an_old_plugin_is_loaded_from_its_wheel_and_is_ok(old: Unpacked) -> None:
    assert (old.answers["status"], old.answers["cause"]) == ("ok", "")
    assert old.answers["version"] == old.version
    assert Path(old.answers["file"]).is_relative_to(old.folder)


def test_pip_leaves_an_old_plugin_beside_this_core(old: Unpacked) -> None:
    (metadata,) = old.folder.glob("*.dist-info/METADATA")
    stated = map(Requirement, email.message_from_string(metadata.read_text(encoding="utf-8")).get_all("Requires-Dist"))
    (wanted,) = [requirement for requirement in stated if requirement.name == "xaicore"]
    assert wanted.specifier.contains(xaicore.__version__)


def test_no_method_of_an_old_plugin_was_lost_since(old: Unpacked, present: dict[str, Any]) -> None:
    assert len(old.answers["methods"]) > 20
    assert set(old.answers["methods"]) <= set(present["methods"])


def test_an_old_plugin_explains_as_the_present_one_does(old: Unpacked, present: dict[str, Any]) -> None:
    assert not Path(present["file"]).is_relative_to(old.folder)
    for method, relevance in old.answers["relevance"].items():
        assert any(relevance), method
        assert relevance == pytest.approx(present["relevance"][method], rel=1e-6, abs=1e-9), method


def test_an_old_plugin_uses_nothing_that_is_to_go_but_what_is_known(old: Unpacked) -> None:
    assert set(old.answers["deprecations"]) <= set(KNOWN_DEPRECATIONS)
