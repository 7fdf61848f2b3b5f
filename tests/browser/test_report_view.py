"""Filters, sorting and switches of a report change what is seen: the cards, their order, and the pixels of maps."""

from __future__ import annotations

from typing import Any

import pytest
from report_pages import NAMES, report, words_report

from xaicore.visualization import RELEVANCE_COLOURS

SAMPLES = "#grid > .sample"


def names_in(page: Any) -> list[str]:
    return page.locator(f"{SAMPLES} h3").all_inner_texts()


def count_in(page: Any) -> str:
    return page.locator("#count").inner_text()


def see(page: Any, sample: int) -> Any:
    """Scroll to a sample, whose maps are drawn only then; return its card."""
    page.wait_for_timeout(50)  # a switch that was just used has been seen to
    card = page.locator(f"#sample-{sample}")
    card.scroll_into_view_if_needed()
    card.locator("canvas[data-painted]").first.wait_for()
    return card


def pixel(page: Any, sample: int, column: int, across: float, down: float) -> list[int]:
    """The colour of a map at a share of its width and height."""
    canvas = see(page, sample).locator(f'[data-column="{column}"] canvas[data-painted]')
    return canvas.evaluate(
        """(canvas, [x, y]) => {
            const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
            copy.drawImage(canvas, -Math.floor(x * canvas.width), -Math.floor(y * canvas.height));
            return Array.from(copy.getImageData(0, 0, 1, 1).data);
        }""",
        [across, down],
    )


def colour(share: float) -> list[int]:
    return [round(255 * part) for part in RELEVANCE_COLOURS(round((0.5 + 0.5 * share) * 256))[:3]]


def near(one: list[int], other: list[int], tolerance: int = 3) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(one, other, strict=True))


def test_all_samples_are_shown_at_first_in_the_order_given(show: Any) -> None:
    page = show(report())
    assert names_in(page) == list(NAMES)
    assert count_in(page) == "All 6 samples shown"


@pytest.mark.parametrize(
    ("control", "value", "expected"),
    [
        ("true", "dog", ["photo_1.png", "other.png"]),
        ("predicted", "cat", ["photo_10.png", "other.png"]),
        ("cluster", "all / 1", ["photo_2.png", "other.png", "photo_20.png"]),
    ],
)
def test_a_class_or_cluster_can_be_chosen(show: Any, control: str, value: str, expected: list[str]) -> None:
    page = show(report())
    page.locator(f"#{control}").select_option(value)
    assert names_in(page) == expected
    assert count_in(page) == f"{len(expected)} of 6 samples shown"


def test_only_mistakes_or_a_range_of_confidence_or_names_can_be_chosen(show: Any) -> None:
    page = show(report())
    page.get_by_label("Wrong only").check()
    assert names_in(page) == ["photo_2.png", "other.png"]
    page.get_by_label("Confidence from").fill("50")
    assert names_in(page) == ["photo_2.png"]
    page.get_by_label("Wrong only").uncheck()
    page.get_by_label("Confidence up to").fill("90")
    assert names_in(page) == ["photo_10.png", "photo_2.png", "photo_3.png"]
    page.get_by_label("Name contains").fill("_1")
    assert names_in(page) == ["photo_10.png"]
    page.get_by_role("button", name="Reset the view").click()
    assert names_in(page) == list(NAMES)


def test_classes_are_offered_in_natural_order(show: Any) -> None:
    page = show(report())
    assert page.locator("#true option").all_inner_texts() == ["all", "cat", "class 2", "class 10", "dog"]


@pytest.mark.parametrize(
    ("key", "column", "expected"),
    [
        ("name", "", [3, 2, 1, 4, 0, 5]),
        ("confidence", "", [3, 4, 1, 0, 2, 5]),  # the last has none
        ("score", "", [1, 4, 5, 2, 0, 3]),
        ("score", "gradients.saliency", [3, 0, 2, 5, 4, 1]),
        ("gap", "", [0, 1, 2, 3, 4, 5]),
        ("metric:gini", "gradients.saliency", [5, 4, 3, 2, 1, 0]),
    ],
)
def test_samples_are_sorted_either_way_with_those_without_a_value_last(
    show: Any, key: str, column: str, expected: list[int]
) -> None:
    page = show(report())
    page.locator("#column").select_option(column)
    page.locator("#sort").select_option(key)
    assert names_in(page) == [NAMES[place] for place in expected]
    page.get_by_label("Largest first").check()
    missing = [place for place in expected if key == "confidence" and place == 5]
    turned = [place for place in reversed(expected) if place not in missing] + missing
    assert names_in(page) == [NAMES[place] for place in turned]


def test_one_column_can_be_shown_alone(show: Any) -> None:
    page = show(report())
    assert see(page, 0).locator("canvas").count() == 2
    page.locator("#column").select_option("gradients.saliency")
    page.locator('#sample-0 [data-column="0"]').wait_for(state="detached")
    assert page.locator("#sample-0 [data-column] figcaption b").all_inner_texts() == ["gradients.saliency"]


def test_maps_have_the_colours_of_the_diverging_scale(show: Any) -> None:
    page = show(report())
    found = {place: pixel(page, 1, 0, *place) for place in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)]}
    assert found[0.25, 0.25] == [*colour(1), 255]
    assert found[0.75, 0.25] == [*colour(-1), 255]
    assert found[0.25, 0.75] == [255, 255, 255, 255]
    assert near(found[0.75, 0.75], [*colour(0.5), 255])


def test_what_is_no_number_is_grey_and_never_a_colour(show: Any) -> None:
    page = show(report())
    red, green, blue, alpha = pixel(page, 0, 1, 0.3, 0.7)
    assert red == green == blue and alpha == 255 and red < 200
    assert "1 no number" in page.locator('#sample-0 [data-column="1"] .badges').inner_text()


@pytest.mark.parametrize(("scale", "share"), [("map", 1.0), ("column", 2 / 6), ("all", 2 / 60)])
def test_a_shared_scale_dims_smaller_maps_and_the_colour_bar_has_its_numbers(
    show: Any, scale: str, share: float
) -> None:
    page = show(report())
    page.locator("#scale").select_option(scale)
    assert near(pixel(page, 1, 0, 0.25, 0.25), [*colour(share), 255])
    ends = [page.locator(f"#bar-{end}").inner_text() for end in ("low", "high")]
    assert ends == (["−60", "60"] if scale == "all" else ["−max", "max"])
    if scale == "column":
        assert "lrp.zero ±6; gradients.saliency ±60" in page.locator("#bar-note").inner_text()
    limit = {"map": "±2", "column": "±6", "all": "±60"}[scale]
    assert page.locator('#sample-1 [data-column="0"] .limit').inner_text() == f"scale {limit}"
    page.locator("#column").select_option("lrp.zero")
    ends = [page.locator(f"#bar-{end}").inner_text() for end in ("low", "high")]
    assert ends == (["−max", "max"] if scale == "map" else ["−6", "6"])


def test_a_scale_that_ends_earlier_shows_what_is_faint_and_says_so(show: Any) -> None:
    page = show(report())
    page.locator("#cut").select_option("4")
    assert page.locator("#bar-high").inner_text() == "max / 4"
    assert "What is beyond has the last colour" in page.locator("#bar-note").inner_text()
    assert pixel(page, 1, 0, 0.75, 0.75) == [*colour(1), 255]
    assert see(page, 1).locator('[data-column="0"] .limit').inner_text() == "scale ±0.5"
    page.locator("#scale").select_option("all")
    assert page.locator("#bar-low").inner_text() == "−15"
    assert near(pixel(page, 1, 0, 0.25, 0.25), [*colour(2 / 15), 255])


def test_on_top_of_the_picture_opacity_tells_the_magnitude(show: Any) -> None:
    page = show(report())
    assert page.get_by_label("Opacity").is_disabled()
    page.get_by_label("On top of the picture").check()
    page.get_by_label("Opacity").fill("80")
    assert near(pixel(page, 1, 0, 0.25, 0.25), [*colour(0.85), 204])
    assert pixel(page, 1, 0, 0.25, 0.75)[3] == 0  # zero: the picture alone
    assert near(pixel(page, 1, 0, 0.75, 0.75), [*colour(0.675), 102], 4)
    assert page.locator("#sample-1 img.under").first.evaluate("image => image.complete && image.naturalWidth") == 4
    page.get_by_label("Opacity").fill("0")
    assert pixel(page, 1, 0, 0.25, 0.25)[3] == 0


def test_pixels_are_sharp_or_smooth(show: Any) -> None:
    page = show(report())
    assert pixel(page, 1, 0, 0.46, 0.25) == [*colour(1), 255]
    page.get_by_label("Smooth pixels").check()
    assert not near(pixel(page, 1, 0, 0.46, 0.25), [*colour(1), 255], 30)


def test_the_size_of_maps_can_be_chosen(show: Any) -> None:
    page = show(report())
    before = see(page, 1).locator("canvas").first.bounding_box()["width"]
    page.locator("#size").fill("320")
    after = see(page, 1).locator("canvas").first.bounding_box()["width"]
    assert 150 < before < 165 and 310 < after <= 320


def test_badges_tell_the_gap_with_a_symbol_and_words(show: Any) -> None:
    page = show(report())
    texts = [see(page, number).locator('[data-column="0"] .badges').inner_text() for number in (0, 2)]
    assert texts == ["✓ gap 0.1 %", "▲ gap 10 %"]
    assert page.locator('#sample-0 [data-column="1"] .badge-bad').inner_text() == "✕ 1 no number"


def test_a_link_restores_the_view(show: Any) -> None:
    page = show(report())
    page.locator("#column").select_option("gradients.saliency")
    page.locator("#true").select_option("dog")
    page.locator("#sort").select_option("score")
    page.get_by_label("Largest first").check()
    page.locator("#scale").select_option("all")
    fragment = page.evaluate("location.hash")
    again = show(report(), fragment)
    assert names_in(again) == names_in(page) == ["photo_1.png", "other.png"]
    assert again.locator("#scale").input_value() == "all"
    assert again.locator("#column").input_value() == "gradients.saliency"


@pytest.mark.parametrize(
    "fragment", ["#column=none&scale=huge&low=1e9&size=-3&sort=metric:x&true=<b>", "#=&&&%", "#made"]
)
def test_an_address_with_anything_else_changes_nothing(show: Any, fragment: str) -> None:
    page = show(report(), fragment)
    assert names_in(page) == list(NAMES)
    assert page.locator("#scale").input_value() == "map"
    assert page.locator("#size").input_value() == "160"


def test_words_are_coloured_or_drawn_as_bars(show: Any) -> None:
    page = show(words_report())
    tokens = page.locator(".token")
    assert tokens.all_inner_texts() == ["fine", "not", "odd", "film"]
    backgrounds = [each.evaluate("token => getComputedStyle(token).backgroundColor") for each in tokens.all()[:2]]
    assert backgrounds == [f"rgb({', '.join(map(str, colour(share)))})" for share in (1, -0.5)]
    assert "bad" in tokens.nth(2).get_attribute("class") and tokens.nth(2).get_attribute("title") == "no number"
    page.locator("#words").select_option("bars")
    rows = page.locator(".bars tr").all_inner_texts()
    assert [row.split() for row in rows] == [
        ["odd", "no", "number"], ["fine", "+2"], ["not", "−1"], ["film", "+0.5"],
    ]  # fmt: skip


def test_maps_out_of_sight_take_no_memory_and_come_back(show: Any) -> None:
    page = show(report())
    page.set_viewport_size({"width": 700, "height": 300})
    page.locator("#size").fill("384")
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    see(page, 5)
    page.locator('#sample-0 canvas[width="1"]').first.wait_for(state="attached")
    assert pixel(page, 0, 0, 0.25, 0.25) == [*colour(1), 255]
