"""Tokens in HTML and in the terminal: colours that can be read, and texts that stay texts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from xaicore.errors import InputError, ParameterError
from xaicore.visualization import RELEVANCE_COLOURS, ansi_of, tokens, tokens_html, tokens_page, tokens_terminal

NAN = float("nan")
HOSTILE = [
    "<script>alert(1)</script>", '" onmouseover="alert(1)', "'><img src=x onerror=alert(1)>", "&lt;b&gt;", "{{ 7*7 }}",
    "\x1b[2J\x1b]0;title\x07", "\x9b31m", "a\r\nb\tc", "\u202egnp.exe", "\u2066x", "a\u2028b", "\x00\x7f", "\ud800", "",
    "日本", "\U0001f469\u200d\U0001f467",
]  # fmt: skip
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029\u2066-\u2069\ud800-\udfff]")


class Page(HTMLParser):
    """The elements of a page, and the text of those in a list."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.items: list[str] = []
        self._inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if ("role", "listitem") in attrs:
            self.items.append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.items[-1] += data

    def words(self) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if attributes.get("role") == "listitem"]


def style(attributes: dict[str, str | None], name: str) -> str:
    return dict(part.split(":", 1) for part in (attributes["style"] or "").split(";"))[name]


def contrast(first: str, second: str) -> float:
    """The contrast ratio of WCAG 2.2, written out."""

    def luminance(colour: str) -> float:
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_hostile_tokens_stay_text_in_html() -> None:
    page = Page(tokens_html(torch.linspace(-1, 1, len(HOSTILE)), HOSTILE, title="<b>&</b>"))
    assert {tag for tag, _ in page.tags} == {"figure", "figcaption", "div", "span"}
    allowed = {"style", "role", "title", "aria-label"}
    assert all(set(attributes) <= allowed for _, attributes in page.tags)
    assert page.items[:5] == HOSTILE[:5]
    assert page.items[-2:] == HOSTILE[-2:]
    for word, attributes in zip(page.items, page.words(), strict=True):
        assert not CONTROL.search(word)
        assert (attributes["aria-label"] or "").startswith(f"{word}: ")
    tokens_html(torch.ones(len(HOSTILE)), HOSTILE).encode("utf-8")


def test_a_snippet_needs_nothing_and_a_page_may_load_nothing() -> None:
    snippet = tokens_html(torch.tensor([1.0, -2.0]), ["a", "b"])
    page = tokens_page([snippet], "a <title>", "the & foot")
    for text in (snippet, page):
        assert not re.search(r"https?:|src=|href=|url\(|<script|<link", text)
    assert snippet in page and "default-src 'none'" in page
    assert "<title>a &lt;title&gt;</title>" in page and "the &amp; foot" in page


def test_grounds_are_the_colours_of_relevance_and_letters_are_legible_on_them() -> None:
    values = torch.linspace(-1, 1, 41)
    for cmap in (None, "PuOr", "viridis"):
        shown = Page(tokens_html(values, ["x"] * 41, cmap=cmap)).words()
        assert min(contrast(style(each, "background"), style(each, "color")) for each in shown) >= 4.5
    shown = Page(tokens_html(values, ["x"] * 41)).words()
    for value, each in zip(values.tolist(), shown, strict=True):
        assert np.allclose(to_rgb(style(each, "background")), RELEVANCE_COLOURS((value + 1) / 2)[:3], atol=1 / 255)
    assert style(shown[20], "background") == "#ffffff"


def test_the_numbers_and_the_scale_are_written() -> None:
    html = tokens_html([0.5, -2.0, NAN, float("inf")], list("abcd"), percentile=50)
    page = Page(html)
    assert [each["title"] for each in page.words()] == [
        "+0.5", "\N{MINUS SIGN}2", "nan (no number)", "inf (no number)",
    ]  # fmt: skip
    (scale,) = [attributes for _, attributes in page.tags if attributes.get("role") == "img"]
    assert "from \N{MINUS SIGN}1.2, against" in (scale["aria-label"] or "")
    assert "scale cut at percentile 50 of |R|, 1 NaN, 1 inf" in html
    assert "repeating-linear-gradient" in style(page.words()[2], "background")
    assert style(page.words()[1], "background").startswith("#")


def test_scales_can_be_shared_and_words_merged() -> None:
    first, second = (Page(tokens_html(torch.tensor([value]), ["a"], scale=4.0)).words()[0] for value in (2.0, 4.0))
    assert style(first, "background") != style(second, "background")
    merged = Page(tokens_html([1.0, 2.0, 4.0], ["un", "##done", "!"], merge="auto"))
    assert merged.items == ["undone", "!"] and [each["title"] for each in merged.words()] == ["+3", "+4"]


def colours_of(text: str) -> list[str]:
    return re.findall(r"\x1b\[([0-9;]*)m", text)


@pytest.mark.parametrize("ansi", ["true", "256", "none"])
def test_no_token_can_drive_the_terminal(ansi: str) -> None:
    text = tokens_terminal(torch.linspace(-1, 1, len(HOSTILE)), HOSTILE, ansi=ansi, title="\x1b[31mred\n")
    bare = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert not CONTROL.search(bare)
    assert r"\x1b[2J\x1b]0;title\x07" in bare and r"\u202egnp.exe" in bare and bare.count("\n") == 2
    known = r"0|48;2;\d+;\d+;\d+;38;2;\d+;\d+;\d+" if ansi == "true" else r"0|48;5;\d+;38;5;\d+"
    assert all(re.fullmatch(known, code) for code in colours_of(text)) and (ansi != "none" or text == bare)
    text.encode("utf-8")


def test_every_colour_of_the_terminal_ends_before_the_line_does() -> None:
    text = tokens_terminal(torch.linspace(-1, 1, 30), ["word"] * 30, width=40)
    for line in text.split("\n"):
        assert colours_of(line)[-1] == "0"


def test_true_colours_are_those_of_the_map_and_256_the_nearest() -> None:
    red, white, blue, *_ = re.findall(r"48;2;(\d+);(\d+);(\d+)", tokens_terminal([1.0, 0.0, -1.0], list("abc")))
    assert [int(part) for part in red] == [round(255 * part) for part in RELEVANCE_COLOURS(1.0)[:3]]
    assert white == ("255", "255", "255")
    assert [int(part) for part in blue] == [round(255 * part) for part in RELEVANCE_COLOURS(0.0)[:3]]

    steps = [0, 95, 135, 175, 215, 255]
    palette = {
        16 + 36 * r + 6 * g + b: (steps[r], steps[g], steps[b]) for r in range(6) for g in range(6) for b in range(6)
    }
    palette |= {232 + grey: (8 + 10 * grey,) * 3 for grey in range(24)}
    values = np.linspace(-1, 1, 21)
    chosen = re.findall(r"48;5;(\d+);", tokens_terminal(values, ["x"] * 21, ansi="256"))[:21]
    for value, number in zip(values, chosen, strict=True):
        exact = np.array(RELEVANCE_COLOURS((value + 1) / 2)[:3]) * 255
        distances = {place: float(np.square(np.array(colour) - exact).sum()) for place, colour in palette.items()}
        assert distances[int(number)] <= min(distances.values()) + 60  # of rounding to bytes and to a mean grey


def test_without_colours_the_numbers_stand_behind_the_words() -> None:
    text = tokens_terminal([0.25, -1.0, NAN], ["good", "bad", "odd"], ansi="none", title="t")
    assert text.split("\n") == [
        "t", "good(+0.25) bad(\N{MINUS SIGN}1) odd(nan)", "relevance \N{MINUS SIGN}1 to 1, 1 NaN",
    ]  # fmt: skip


def test_what_is_no_number_has_no_colour() -> None:
    first = tokens_terminal([1.0, NAN], ["a", "b"]).split("\n")[0]
    assert first.endswith("\x1b[0m b(nan)")


def test_lines_are_broken_by_the_columns_that_characters_take() -> None:
    for width, expected in ((19, [2, 2, 2]), (20, [3, 3])):  # 4 columns, a space on both sides, and one between
        text = tokens_terminal(torch.ones(6), ["日本"] * 6, ansi="256", width=width)
        *lines, _ = re.sub(r"\x1b\[[0-9;]*m", "", text).split("\n")
        assert [line.count("日本") for line in lines] == expected
    assert tokens_terminal(torch.ones(2), ["longer", "than"], width=3, ansi="none").count("\n") == 2


class Stream:
    def __init__(self, terminal: bool) -> None:
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


@pytest.mark.parametrize(
    ("terminal", "environment", "expected"),
    [
        (True, {"COLORTERM": "truecolor", "TERM": "xterm-256color"}, "true"),
        (True, {"COLORTERM": "24bit"}, "true"),
        (True, {"TERM": "xterm-direct"}, "true"),
        (True, {"TERM": "xterm-256color"}, "256"),
        (True, {"TERM": "dumb", "COLORTERM": "truecolor"}, "none"),
        (True, {"NO_COLOR": "1", "COLORTERM": "truecolor"}, "none"),
        (True, {"NO_COLOR": "", "TERM": "xterm"}, "256"),  # an empty value does not count (no-color.org)
        (False, {"COLORTERM": "truecolor"}, "none"),
    ],
)
def test_colours_are_used_where_a_terminal_shows_them(terminal: bool, environment: Any, expected: str) -> None:
    assert ansi_of(Stream(terminal), environment) == expected


def test_what_does_not_fit_is_refused() -> None:
    for draw in (tokens_html, tokens_terminal):
        with pytest.raises(InputError, match="2 tokens for relevance of 3"):
            draw(torch.ones(3), ["a", "b"])
        with pytest.raises(ParameterError, match="not both"):
            draw(torch.ones(1), ["a"], scale=1.0, percentile=3)
    with pytest.raises(ParameterError, match="ansi='16'"):
        tokens_terminal(torch.ones(1), ["a"], ansi="16")
    with pytest.raises(ParameterError, match="width=0"):
        tokens_terminal(torch.ones(1), ["a"], width=0)


def test_control_characters_are_written_out_in_figures_too() -> None:
    ax = tokens(torch.ones(3), ["a\nb", "\x1b[0m", "$x$"], colorbar=True)
    assert [text.get_text() for text in ax.texts] == ["a↵b", r"\x1b[0m", "$x$"]


def test_the_scale_of_a_figure_is_drawn_below_its_words() -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.offsetbox import AnnotationBbox
    from matplotlib.text import Text

    ax = tokens(torch.linspace(-3, 3, 40), ["word"] * 39 + ["x" * 500], colorbar=True, percentile=90)
    figure: Any = ax.figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    (key,) = (artist for artist in ax.get_children() if isinstance(artist, AnnotationBbox))
    written = " ".join(text.get_text() for text in key.findobj(Text))
    limit = f"{np.percentile(np.abs(np.linspace(-3, 3, 40)), 90):.2g}"
    assert f"\N{MINUS SIGN}{limit} {limit}" in written and "percentile 90" in written
    boxes = [text.get_bbox_patch().get_window_extent() for text in ax.texts]
    own = key.get_window_extent(canvas.get_renderer())
    assert own.y1 < min(box.y0 for box in boxes) and own.y0 >= 0
    assert max(box.x1 for box in boxes) <= canvas.get_width_height()[0]
    assert ax.texts[-1].get_text().endswith("…")
