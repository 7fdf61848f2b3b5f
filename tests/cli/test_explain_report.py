"""`xaicore explain --report FILE`: one page of all samples, whatever is left out of them."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from explaining import folder_of, here, run, run_json
from PIL import Image

from xaicore.cli.main import cli
from xaicore.cli.reporting import Collection

__all__ = ["here"]  # a fixture for all tests


def data_in(page: Path) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="payload">(.*?)</script>', page.read_text(encoding="utf-8"))
    assert found is not None
    return json.loads(found[1])


def test_all_samples_are_on_the_page_in_their_order() -> None:
    folder = folder_of(8, 8, 8)
    Path(folder, "broken.png").write_text("no image")
    result = run("own_models:of_one_size", folder, "--report", "report.html")
    assert result.exit_code == 0 and "Wrote a report to" in result.stdout
    found = data_in(Path("report.html"))
    assert [sample["name"] for sample in found["samples"]] == ["0", "1", "2"]
    assert all(sample["picture"] and len(sample["maps"]) == 1 for sample in found["samples"])
    assert "broken.png was left out: " in Path("report.html").read_text(encoding="utf-8")


def test_the_page_tells_the_command_and_the_weights() -> None:
    folder = str(folder_of(8))
    arguments = ["explain", "own_models:of_one_size", folder, "-m", "lrp.zero", "--report", "my report.html"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 0, result.stderr
    text = Path("my report.html").read_text(encoding="utf-8")
    assert f"xaicore explain own_models:of_one_size {folder} -m lrp.zero --report &#39;my report.html&#39;" in text
    assert re.search(r"<dt>weights \(SHA-256\)</dt><dd>[0-9a-f]{64}</dd>", text)
    assert "lrp.zero(" in text


def test_json_names_the_report() -> None:
    folder = folder_of(8)
    report = run_json("own_models:of_one_size", folder, "--report", "r.html")
    assert Path(report["report"]).name == "r.html" and Path("r.html").exists()
    assert "report" not in run_json("own_models:of_one_size", folder)


@pytest.mark.parametrize(("file", "message"), [("images", "is a folder"), ("no/r.html", "does not exist")])
def test_a_report_that_cannot_be_written_is_refused_before_work_starts(file: str, message: str) -> None:
    result = run("own_models:of_one_size", folder_of(8), "--report", file)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert not Path("explanations").exists()


def test_pictures_are_as_the_files_whatever_the_normalisation() -> None:
    folder = folder_of(8)
    run("own_models:of_one_size", folder, "--mean", "0.5", "--std", "0.2", "--report", "r.html")
    picture = data_in(Path("r.html"))["samples"][0]["picture"]["png"]
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")).astype(int)
    given = np.asarray(Image.open(next(Path(folder).glob("*.png"))).convert("RGB")).astype(int)
    assert np.abs(shown - given).max() <= 1


def test_more_samples_than_a_page_holds_are_counted_and_take_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xaicore.cli.explain.Collection", lambda path: Collection(path, most=2))
    run("own_models:of_one_size", folder_of(8, 8, 8), "--report", "r.html")
    assert len(data_in(Path("r.html"))["samples"]) == 2
    assert "2 of 3 samples are on this page" in Path("r.html").read_text(encoding="utf-8")
