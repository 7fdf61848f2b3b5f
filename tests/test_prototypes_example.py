"""The prototypes example: what its table claims, and its picture."""

from __future__ import annotations

import re
import runpy
import sys
from pathlib import Path

import pytest
import zoo
from matplotlib import image

SCRIPT = Path(__file__).parents[1] / "examples" / "prototypes" / "digits.py"


def table(text: str) -> dict[tuple[str, str], list[float]]:
    """The numbers of each row: those of the ten classes and their mean."""
    rows = re.findall(r"^(\w+) +(probability|distance|correlation)((?: +-?\d\.\d+){11})$", text, re.MULTILINE)
    return {(name, what): [float(number) for number in numbers.split()] for name, what, numbers in rows}


def test_prototypes_are_sure_of_their_class_and_more_natural_under_an_expert_or_from_a_decoder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "prototypes.png"
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(SCRIPT.parent)  # as where the script is run by python itself
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), "--out", str(picture)])
    with zoo.seeded():
        runpy.run_path(str(SCRIPT), run_name="__main__")
    monkeypatch.delitem(sys.modules, "decoder")
    text = capsys.readouterr().out
    assert f"wrote {picture}" in text
    accuracy = re.search(r"([\d.]+) % of 397 held-out digits are right", text)
    assert accuracy is not None and float(accuracy[1]) > 95

    rows = table(text)
    kinds = ("simple", "expert", "decoder")
    assert set(rows) == {(kind, what) for kind in kinds for what in ("probability", "distance", "correlation")}
    probabilities = [each for kind in kinds for each in rows[kind, "probability"][:10]]
    assert len(probabilities) == 30 and min(probabilities) > 0.99
    for kind in ("expert", "decoder"):
        assert rows[kind, "distance"][-1] < 0.7 * rows["simple", "distance"][-1]
        assert rows[kind, "correlation"][-1] > rows["simple", "correlation"][-1] + 0.15

    pixels = image.imread(picture)
    assert pixels.shape[1] > 1000 and pixels[..., :3].std() > 0.1  # not a blank sheet
