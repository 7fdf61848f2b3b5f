"""The file of a report: complete, sealed, and written all or nothing."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from report_pages import COLUMNS, HOSTILE, hostile_report, report

from xaicore.errors import FileError, InputError
from xaicore.reports import CurveView, MapView, MetricView, Report, SampleView, TableView, write_report
from xaicore.reports.page import number, render


class Reader(HTMLParser):
    """Collects tags with their attributes, and the texts in scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.texts: list[str] = []
        self._in = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag

    def handle_endtag(self, tag: str) -> None:
        self._in = ""

    def handle_data(self, data: str) -> None:
        if self._in in self.inside:
            self.inside[self._in].append(data)
        else:
            self.texts.append(data)

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


def test_the_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = write_report(report(), tmp_path / "r.html")
    assert path == tmp_path / "r.html" and path.read_text(encoding="utf-8").startswith("<!doctype html>")
    write_report(Report(title="Another"), str(path))
    assert "<h1>Another</h1>" in path.read_text(encoding="utf-8")
    assert [each.name for each in tmp_path.iterdir()] == ["r.html"]


def test_files_that_cannot_be_written_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="it is a folder"):
        write_report(report(), tmp_path)
    with pytest.raises(FileError, match="does not exist"):
        write_report(report(), tmp_path / "no" / "r.html")


def test_a_report_that_is_refused_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_report(report(), tmp_path / "r.html")
    before = path.read_bytes()
    with pytest.raises(InputError):
        write_report(replace(report(), samples=[SampleView(name="a", confidence=2.0)]), path)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def test_nothing_is_loaded_from_anywhere() -> None:
    page = Reader(render(report()))
    for _, attributes in page.tags:
        assert not {"src", "action", "srcset", "ping", "formaction"} & attributes.keys()
        assert not any(name.startswith("on") or name == "style" for name in attributes)
        for name in ("href", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#")
    assert not {"link", "iframe", "object", "embed", "base", "form-action"} & {tag for tag, _ in page.tags}


def test_the_policy_allows_the_scripts_and_styles_of_the_page_and_no_others() -> None:
    page = Reader(render(hostile_report()))
    policy = page.of("meta")[1]
    assert policy["http-equiv"] == "Content-Security-Policy"
    (style,), (_, script) = page.inside["style"], page.inside["script"]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy["content"]).split(";"))
    assert rules["default-src"] == "'none'" and rules["img-src"] == "data: blob:"
    for text, rule in ((style, "style-src"), (script, "script-src")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"


def test_hostile_texts_add_no_element_and_come_back_from_the_data_unchanged() -> None:
    text = render(hostile_report())
    plain = render(hostile_report(tuple(f"text {place}" for place in range(len(HOSTILE)))))
    tags = [tag for tag, _ in Reader(text).tags]
    assert tags == [tag for tag, _ in Reader(plain).tags]
    assert tags.count("script") == 2 and "img" not in tags and "b" not in tags
    data = Reader(text).inside["script"][0]
    assert not re.search("[<>&\u2028\u2029]", data)
    found = json.loads(data)
    assert [sample["name"] for sample in found["samples"]] == list(HOSTILE)
    assert found["samples"][0]["words"] == list(HOSTILE)


def test_data_hold_no_number_that_json_does_not_know() -> None:
    view = MapView(relevance=np.array([np.nan, np.inf, -1.0]), score=float("nan"), gap=float("inf"), non_finite=2)
    sample = SampleView(name="a", maps={"m": view}, scores={"s": {"m": float("nan")}})
    curve = CurveView(title="c", x_label="", y_label="", x=[0, 1], lines={"a": [float("nan"), float("inf")]})
    table = TableView(title="t", columns=["a"], rows=[[float("nan")], [float("-inf")], [None]])
    metric = MetricView(metric="s", column="m", mean=float("nan"), low=float("nan"), high=float("nan"), undefined=1)
    text = render(Report(title="", samples=[sample], curves=[curve], tables=[table], metrics=[metric]))
    found = json.loads(Reader(text).inside["script"][0], parse_constant=lambda name: pytest.fail(name))
    (shown,) = found["samples"][0]["maps"]
    assert shown["values"] == [None, None, -1.0] and shown["score"] is None
    assert shown["gap"] is None and shown["gapUndefined"]


def test_warnings_stand_out_and_notes_are_told_once() -> None:
    caution = "do not trust this explanation: the baseline equals the input"
    note = "softmax head stripped"
    views = [MapView(relevance=np.ones(2), notes=(note, caution) if place else (note,)) for place in range(3)]
    text = render(Report(title="", samples=[SampleView(name="", maps={"m": view}) for view in views]))
    visible = "".join(Reader(text).texts)
    assert "Not to be trusted" in visible and visible.count(caution) == 1 and "m, 2 of 3 maps" in visible
    assert visible.count(note) == 1
    assert "Not to be trusted" not in render(report())


def test_metrics_name_their_direction_their_interval_and_what_is_undefined() -> None:
    visible = " ".join("".join(Reader(render(report())).texts).split())
    for part in ("lower is better", "higher is better", "95 %: 0.1 to 0.3", "4 samples, 2 undefined"):
        assert part in visible
    assert visible.count("★best: ") == 2


def test_a_metric_without_direction_or_of_one_column_has_no_best() -> None:
    metrics = [MetricView(metric="m", column=column, mean=1.0, low=0.0, high=2.0) for column in "ab"]
    one = [MetricView(metric="m", column="a", mean=1.0, low=0.0, high=2.0, better="higher")]
    assert "best:" not in render(Report(title="", metrics=metrics))
    assert "best:" not in render(Report(title="", metrics=one))


def test_the_parts_that_a_report_does_not_have_are_not_on_the_page() -> None:
    text = "".join(Reader(render(Report(title="Nothing"))).texts)
    assert "Nothing" in text
    for part in ("Metrics", "Samples", "Clusters", "Curves", "How this was made", "Notes"):
        assert part not in text


def test_clusters_of_classes_have_a_plot_each() -> None:
    made = [
        SampleView(name=str(k), cluster=f"class {k % 2} / {k % 3}", position=(float(k), float(-k))) for k in range(6)
    ]
    page = Reader(render(Report(title="", samples=made)))
    assert sum(each.get("class") == "scatter" for each in page.of("figure")) == 2
    points = [each for each in page.of("a") if "point" in str(each.get("class"))]
    assert sorted(str(each["data-sample"]) for each in points) == list("012345")
    assert [each["tabindex"] for each in points] == ["0", "-1", "-1"] * 2
    assert points[0]["aria-label"] == "0, cluster class 0 / 0"


def test_curves_are_lines_of_svg_with_gaps_where_there_is_no_value() -> None:
    page = Reader(render(report()))
    lines = [str(each["d"]) for each in page.of("path") if str(each.get("class")).startswith("line")]
    drawn = [line for line in lines if line != "M1,5 L29,5"]
    assert drawn[0].count("M") == 1 and drawn[0].count("L") == 3
    assert drawn[1].count("M") == 2 and drawn[1].count("L") == 1  # two points, a gap, one point
    assert sum("band" in str(each.get("class")) for each in page.of("path")) == 1


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (float("nan"), "–"), (-0.5, "−0.5"), (1234567, "1234567"), (float("inf"), "∞"), ("a-b", "a-b")],
)
def test_cells_are_written_briefly(value: Any, text: str) -> None:
    assert number(value) == text


MAP = MapView(relevance=np.ones((2, 2)))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"columns": ["a", "a"]}, "occurs twice"),
        ({"columns": COLUMNS, "samples": [SampleView(name="s", maps={"lrp.zer": MAP})]}, "Did you mean 'lrp.zero'"),
        ({"samples": [SampleView(name="s", picture=np.ones((3, 4, 4)))]}, r"sample 0 \('s'\): a picture has shape"),
        ({"samples": [SampleView(name="s", confidence=1.5)]}, "no probability"),
        ({"samples": [SampleView(name="s", position=(float("nan"), 0.0))]}, "leave it out"),
        ({"samples": [SampleView(name="s", maps={"m": MapView(relevance=None)})]}, "say why in reason="),
        ({"samples": [SampleView(name="s", maps={"m": MapView(relevance=np.ones((3, 2, 2)))})]}, "sum over channels"),
        ({"samples": [SampleView(name="s", maps={"m": replace(MAP, limit=0.0)})]}, "positive number"),
        (
            {"samples": [SampleView(name="s", words=("a",), maps={"m": MapView(relevance=np.ones(2))})]},
            "1 words for relevance of 2",
        ),
        ({"metrics": [MetricView(metric="m", column="c", mean=0, low=0, high=0, better="up")]}, "one of 'higher'"),
        ({"curves": [CurveView(title="c", x_label="", y_label="", x=[0, 1], lines={"l": [0]})]}, "1 values for 2 of x"),
        ({"curves": [CurveView(title="c", x_label="", y_label="", x=[0, 1], lines={})]}, "at least one line"),
        ({"tables": [TableView(title="t", columns=["a", "b"], rows=[[1]])]}, "row 0: 1 cells for 2 columns"),
    ],
)
def test_parts_that_do_not_fit_are_refused_with_their_place(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        render(Report(title="t", **wrong))


def test_something_else_than_a_report_is_refused() -> None:
    with pytest.raises(InputError, match="not of a dict"):
        render({"title": "t"})  # type: ignore[arg-type]
