"""What is shown can be taken along: as a table, as a picture, as a link."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from report_pages import COLUMNS, HOSTILE, hostile_report, report

from xaicore.visualization import RELEVANCE_COLOURS


def saved(page: Any, button: str, folder: Path) -> Path:
    with page.expect_download() as waiting:
        page.get_by_role("button", name=button).click()
    goal = folder / waiting.value.suggested_filename
    waiting.value.save_as(goal)
    return goal


def test_the_table_holds_what_is_shown_in_its_order(show: Any, tmp_path: Path) -> None:
    page = show(report(), "#wrong=true&sort=confidence")
    file = saved(page, "Table as CSV", tmp_path)
    assert file.name == "report.csv"
    rows = list(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8"))))
    assert [row["name"] for row in rows] == ["other.png", "photo_2.png"]
    assert rows[1]["true"] == "cat" and rows[1]["predicted"] == "dog" and rows[1]["wrong"] == "true"
    assert float(rows[1]["confidence"]) == 0.6
    assert float(rows[1][f"{COLUMNS[0]}: score"]) == -1.0 and float(rows[1][f"{COLUMNS[1]}: score"]) == 1.0
    assert float(rows[1][f"{COLUMNS[0]}: gap"]) == 0.01 and rows[1][f"{COLUMNS[1]}: gap"] == ""
    assert float(rows[1][f"{COLUMNS[1]}: gini"]) == 0.9
    assert rows[1]["fact: camera"] == "no. 1"
    assert page.locator("#told").inner_text() == "Saved as report.csv."


def test_json_holds_the_view_as_well(show: Any, tmp_path: Path) -> None:
    page = show(report(), "#column=lrp.zero&true=dog")
    found = json.loads(saved(page, "Table as JSON", tmp_path).read_text(encoding="utf-8"))
    assert found["report"] == "A report of everything"
    assert found["view"]["column"] == "lrp.zero" and found["view"]["true"] == "dog"
    assert [row["name"] for row in found["samples"]] == ["photo_1.png", "other.png"]
    assert found["samples"][0]["lrp.zero: score"] == 2.0
    assert "gradients.saliency: score" not in found["samples"][0]


def test_no_text_becomes_a_formula_in_a_spreadsheet(show: Any, tmp_path: Path) -> None:
    page = show(hostile_report())
    text = saved(page, "Table as CSV", tmp_path).read_text(encoding="utf-8")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == len(HOSTILE)
    assert not any(str(cell).startswith(("=", "+", "-", "@")) for row in rows for cell in row.values())
    assert rows[7]["name"] == "'" + HOSTILE[7]


def test_the_picture_shows_the_maps_in_their_colours(show: Any, tmp_path: Path) -> None:
    page = show(report(), "#name=photo_2.png&size=128")
    picture = np.asarray(Image.open(saved(page, "Picture as PNG", tmp_path)).convert("RGB")).astype(int)
    strongest, weakest = (np.rint(255 * np.array(RELEVANCE_COLOURS(share)[:3])).astype(int) for share in (1.0, 0.0))
    # Each map is 128 pixels a side; a quarter of it is +limit, a quarter -limit.
    for colour in (strongest, weakest):
        assert abs((np.abs(picture - colour).max(2) <= 1).sum() - 2 * 64 * 64) < 300
    assert (np.abs(picture - [0, 128, 255]).max(2) <= 1).sum() == 128 * 128  # the input


def test_many_samples_are_not_all_drawn_and_the_page_says_so(show: Any, tmp_path: Path) -> None:
    from dataclasses import replace

    many = [replace(report().samples[0], name=str(number)) for number in range(70)]
    page = show(replace(report(), samples=many))
    saved(page, "Picture as PNG", tmp_path)
    assert page.locator("#told").inner_text() == "Saved the first 60 samples as report.png; 10 more are shown."


def test_a_link_to_the_view_and_the_command_can_be_copied(show: Any) -> None:
    page = show(report(), "#true=dog", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy link to this view").click()
    page.get_by_text("The link is in the clipboard.").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == page.url
    page.get_by_role("button", name="Copy", exact=True).first.click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == report().command
