"""The example scripts run as a user would run them, and write their pictures."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest
import zoo
from matplotlib import image

SCRIPTS = sorted((Path(__file__).parents[1] / "examples").glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_example_writes_a_picture(
    script: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    zoo.import_torchvision()
    picture = tmp_path / "picture.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script), "--out", str(picture)])
    with zoo.seeded():
        runpy.run_path(str(script), run_name="__main__")
    assert f"wrote {picture}" in capsys.readouterr().out
    pixels = image.imread(picture)
    assert pixels.shape[1] > 400 and pixels[..., :3].std() > 0.05  # not a blank sheet


def test_there_are_examples() -> None:
    assert len(SCRIPTS) >= 4
