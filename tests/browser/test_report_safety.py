"""A report is sealed: what is hostile stays text, and nothing is asked of any network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from report_pages import HOSTILE, hostile_report, report

ELEMENTS_OF_A_PAGE = {"script": 2, "iframe": 0, "object": 0, "embed": 0, "link": 0, "base": 0}


def counts_in(page: Any) -> dict[str, int]:
    return {tag: page.locator(tag).count() for tag in ELEMENTS_OF_A_PAGE}


@pytest.mark.parametrize("words", ["text", "bars"])
def test_hostile_texts_stay_text_wherever_they_stand(show: Any, words: str) -> None:
    page = show(hostile_report(), f"#words={words}")
    for number in range(len(HOSTILE)):
        page.locator(f"#sample-{number}").scroll_into_view_if_needed()
    page.locator(".scatter .point").first.hover()
    for control in ("column", "true", "predicted", "cluster", "sort"):
        page.locator(f"#{control}").select_option(index=1)
        page.locator("#reset").click()
    page.locator(".chart > svg").hover()
    assert page.evaluate("window.broken") is None
    assert counts_in(page) == ELEMENTS_OF_A_PAGE
    shown = page.locator("#sample-0 h3").inner_text()
    assert shown == HOSTILE[0]
    assert page.evaluate("document.title").startswith(HOSTILE[0])
    assert all(not image.get_attribute("onerror") for image in page.locator("img").all())


def test_words_are_shown_as_they_are(show: Any) -> None:
    page = show(hostile_report(), "#words=text")
    page.locator("#sample-0").scroll_into_view_if_needed()
    page.locator("#sample-0 .token").first.wait_for()
    shown = page.locator("#sample-0 .token").all_text_contents()
    # JSON keeps what HTML could not: zeros and halves of characters.
    assert [text.encode("utf-16", "surrogatepass") for text in shown] == [
        text.encode("utf-16", "surrogatepass") for text in HOSTILE
    ]


def test_a_hostile_address_stays_text(show: Any) -> None:
    page = show(report(), "#name=<img src=x onerror=window.broken=1>&sort=metric:</script>&true=__proto__")
    assert page.evaluate("window.broken") is None
    assert page.locator("#name").input_value().startswith("<img")
    assert page.locator("#count").inner_text() == "0 of 6 samples shown"


def test_what_the_page_does_not_bring_itself_cannot_run_or_load(browser: Any, tmp_path: Path) -> None:
    """The policy holds even if a text were put into the page as HTML."""
    from xaicore.reports import write_report

    path = write_report(report(), tmp_path / "sealed.html")
    injected = '<script>window.broken = 1</script><img src="http://127.0.0.1:9/x.png" onerror="window.broken = 2">'
    path.write_text(path.read_text().replace("<main", f"{injected}<main"))
    page = browser.new_page()
    asked: list[str] = []
    refused: list[str] = []
    page.on("requestfinished", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text))
    page.goto(path.as_uri())
    page.evaluate("fetch('http://127.0.0.1:9/').catch(() => null)")
    assert page.evaluate("window.broken") is None
    assert all(not url.startswith("http") for url in asked)
    assert sum("Content Security Policy" in text for text in refused) >= 3
    page.close()


def test_a_page_without_scripts_tells_all_but_the_maps(show: Any) -> None:
    page = show(report(), java_script_enabled=False)
    text = page.locator("body").inner_text()
    for part in ("A report of everything", "nets.Residual", "0.75", "Flipping", "class 10", "scripts are turned off"):
        assert part in text
