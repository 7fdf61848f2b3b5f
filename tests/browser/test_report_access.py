"""Anyone can use a report: by keyboard, with a screen reader, in light and dark, on paper and on a small screen."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from report_pages import COLUMNS, NAMES, report, words_report

# Text against what lies behind it, wherever text stands; the smallest contrast, with its text (WCAG 2.2, 1.4.3).
WORST_CONTRAST = """
() => {
    const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
    const luminance = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const found = parse(getComputedStyle(at).backgroundColor);
            if (found.length === 3 || found[3] === 1) return found;
        }
        return [255, 255, 255];
    };
    let worst = [99, ""];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const element = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !element.checkVisibility()) continue;
        if (element.closest("script, style, .unseen, :disabled, .token.bad")) continue;
        const style = getComputedStyle(element);
        const colour = parse(element.closest("svg") ? style.fill : style.color);
        const [one, other] = [luminance(colour), luminance(behind(element))].sort((a, b) => b - a);
        const contrast = (one + 0.05) / (other + 0.05);
        if (contrast < worst[0]) worst = [contrast, element.className + ": " + walker.currentNode.textContent.trim()];
    }
    return worst;
}
"""


def see_all(page: Any) -> None:
    for card in page.locator("#grid > .sample").all():
        card.scroll_into_view_if_needed()
        page.wait_for_timeout(30)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("made", [report, words_report], ids=["images", "words"])
def test_all_text_is_readable_in_light_and_dark(show: Any, scheme: str, made: Any) -> None:
    page = show(made(), color_scheme=scheme)
    see_all(page)
    contrast, text = page.evaluate(WORST_CONTRAST)
    assert contrast >= 4.5, text


def test_light_and_dark_differ_and_the_scale_is_the_same(show: Any) -> None:
    grounds, scales = [], []
    for scheme in ("light", "dark"):
        page = show(report(), color_scheme=scheme)
        grounds.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        scales.append(page.evaluate("document.getElementById('bar').toDataURL()"))
    assert grounds[0] != grounds[1] and scales[0] == scales[1]


def test_every_control_and_picture_has_a_name(show: Any) -> None:
    page = show(report())
    see_all(page)
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    named = ("button", "checkbox", "combobox", "searchbox", "slider", "link", "image", "img", "form", "table", "region")
    seen = set()
    for node in nodes:
        role = node.get("role", {}).get("value")
        if role not in named or node.get("ignored"):
            continue
        seen.add(role)
        assert node.get("name", {}).get("value", "").strip(), node
    assert {"button", "checkbox", "combobox", "slider", "link", "table", "region"} <= seen


def test_headings_follow_each_other_and_landmarks_are_there(show: Any) -> None:
    page = show(report())
    levels = page.evaluate("Array.from(document.querySelectorAll('h1,h2,h3,h4'), (each) => Number(each.tagName[1]))")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    for landmark in ("header", "nav", "main", "footer"):
        assert page.locator(landmark).count() == 1
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.locator("[id]").evaluate_all("all => new Set(all.map((each) => each.id)).size === all.length")


def test_maps_tell_in_words_what_they_show(show: Any) -> None:
    page = show(report())
    see_all(page)
    name = page.locator('#sample-0 [data-column="1"] canvas').get_attribute("aria-label")
    assert name == (
        "Relevance of photo_10.png by gradients.saliency, value −3, largest magnitude 10, 1 value is no number"
    )


def test_counts_and_messages_are_announced(show: Any) -> None:
    page = show(report())
    for place in ("#count", "#told", "#bar-note", "#preview"):
        assert page.locator(place).get_attribute("aria-live") == "polite"


def test_the_page_can_be_used_with_the_keyboard_alone(show: Any) -> None:
    page = show(report())
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "samples"
    reached = []
    for _ in range(25):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id"))
        if reached[-1] == "wrong":
            break
    assert {"column", "scale", "overlay", "smooth", "size", "name", "true", "predicted", "cluster"} <= set(reached)
    page.keyboard.press("Space")
    assert page.locator("#grid h3").all_inner_texts() == ["photo_2.png", "other.png"]
    width = page.evaluate("parseFloat(getComputedStyle(document.activeElement).outlineWidth)")
    assert width >= 2  # what has the focus is marked


def test_a_point_shows_its_sample_when_it_is_pointed_at(show: Any) -> None:
    page = show(report())
    page.locator('.point[data-sample="3"]').hover()
    preview = page.locator("#preview")
    preview.locator("canvas[data-painted]").first.wait_for()
    assert preview.locator("h3").inner_text() == NAMES[3]
    assert "wrong" in preview.inner_text() and "35 %" in preview.inner_text()
    assert preview.locator("img").first.evaluate("image => image.naturalWidth") == 4
    assert preview.locator("canvas").count() == len(COLUMNS)


def test_points_are_reached_by_arrows_and_lead_to_their_sample(show: Any) -> None:
    page = show(report())
    first = page.locator('.point[data-sample="0"]')
    first.focus()
    assert page.locator("#preview h3").inner_text() == NAMES[0]
    page.keyboard.press("ArrowRight")
    assert page.locator("#preview h3").inner_text() == NAMES[1]
    page.keyboard.press("ArrowUp")
    assert page.locator("#preview h3").inner_text() == NAMES[4]
    assert page.locator('.scatter .point[tabindex="0"]').count() == 1
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "sample-4"


def test_a_point_whose_sample_is_filtered_out_takes_the_filters_off(show: Any) -> None:
    page = show(report(), "#wrong=true&scale=all")
    assert page.locator(".point.out").count() == 4
    page.locator('.point[data-sample="0"]').click()
    assert page.evaluate("document.activeElement.id") == "sample-0"
    assert page.locator("#count").inner_text() == "All 6 samples shown"
    assert page.locator("#scale").input_value() == "all"  # no filter
    assert "Filters were taken off" in page.locator("#told").inner_text()


def test_values_of_curves_are_read_by_pointer_and_arrows(show: Any) -> None:
    page = show(report())
    plot = page.locator(".chart > svg")
    plot.focus()
    values = page.locator(".chart .legend .value")
    assert values.all_inner_texts() == ["1", "1"]
    page.keyboard.press("ArrowRight")
    assert values.all_inner_texts() == ["0.5", "0.8"]
    page.keyboard.press("ArrowRight")
    assert values.all_inner_texts() == ["0.25", "–"]
    box = plot.bounding_box()
    page.mouse.move(box["x"] + 0.97 * box["width"], box["y"] + 50)
    assert values.all_inner_texts() == ["0", "0.4"]
    assert page.locator(".reading").inner_text() == "Values at 1"


def test_tables_are_sorted_by_numbers_or_in_natural_order(show: Any) -> None:
    page = show(report())
    table = page.locator("#table-1 table")

    def column(place: int) -> list[str]:
        return table.locator(f"tbody td:nth-child({place + 1})").all_inner_texts()

    table.get_by_role("button", name="class").click()
    assert column(0) == ["class 1", "class 2", "class 3", "class 10"]
    assert table.locator("th").first.get_attribute("aria-sort") == "ascending"
    table.get_by_role("button", name="accuracy").click()
    assert column(1) == ["0.5", "0.75", "1", "–"]
    table.get_by_role("button", name="accuracy").press("Enter")
    assert column(1) == ["1", "0.75", "0.5", "–"]
    assert table.locator("[aria-sort]").count() == 1


def test_metrics_tell_their_direction_in_words_and_their_best(show: Any) -> None:
    page = show(report())
    heads = page.locator("#metrics thead th").all_text_contents()
    assert "lower is better" in heads[1] and "↓" in heads[1]
    assert "higher is better" in heads[2] and "↑" in heads[2]
    best = page.locator("#metrics .best").all_text_contents()
    assert [" ".join(each.split())[:12] for each in best] == ["★best: 0.2 9", "★best: 0.75 "]
    assert "2 undefined" in page.locator("#metrics").inner_text()
    page.locator("#metrics").get_by_role("button", name="gini").click()
    assert page.locator("#metrics tbody th").all_inner_texts() == list(COLUMNS)


def test_a_narrow_screen_needs_no_sideways_scrolling(show: Any) -> None:
    page = show(report())
    page.set_viewport_size({"width": 360, "height": 700})
    see_all(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.locator("#bar").bounding_box()["y"] >= 0  # the colour bar stays in sight


def test_on_paper_all_maps_are_drawn_and_controls_are_left_out(show: Any) -> None:
    page = show(report())
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(300)
    assert page.locator("#grid canvas[data-painted]").count() == 12
    assert not page.locator("#options").is_visible() and page.locator("#bar").is_visible()
