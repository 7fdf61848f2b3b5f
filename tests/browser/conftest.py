"""Reports in real Chromium: a page, and the watch that is kept over it.

Debian's browser is driven through Playwright, which brings none of its own here. Where one of the two is missing the
tests are skipped, unless XAICORE_BROWSER_TESTS=required says that they must run.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from xaicore.reports import Report, write_report

_SETTINGS = (
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--no-first-run",
)  # fmt: skip
_OWN_PROTOCOLS = ("file:", "data:", "blob:")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


def _missing(reason: str) -> None:
    if os.environ.get("XAICORE_BROWSER_TESTS") == "required":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, started once."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _missing("playwright is not installed: pip install 'xaicore[browser]'")
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        _missing("there is no Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=executable, args=list(_SETTINGS))
        yield started
        started.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """A function that opens a report. When the test is over nothing may have gone wrong in any of its pages.

    That is: no error and no warning on the console, no request to anywhere but the file itself, and no dialog.
    """
    told: list[str] = []
    contexts = []

    def opened(report: Report | Path, fragment: str = "", **settings: Any) -> Any:
        path = report if isinstance(report, Path) else write_report(report, tmp_path / f"page{len(contexts)}.html")
        context = browser.new_context(viewport={"width": 1400, "height": 1000}, **settings)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on("console", lambda message: told.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: told.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (told.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: told.append(f"request: {request.url}") if _leaves(request.url) else None)
        page.goto(path.as_uri() + fragment)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert told == []


def _leaves(url: str) -> bool:
    return not url.startswith(_OWN_PROTOCOLS)
