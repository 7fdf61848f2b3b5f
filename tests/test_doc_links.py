"""Links between the guides, the READMEs and the files of the repository lead somewhere, and the site shows all guides.

`nox -s docs` finds the same on the built site, where Sphinx is installed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
GUIDES = sorted((ROOT / "docs").glob("*.md"))
PAGES = [
    ROOT / "README.md",
    *GUIDES,
    *sorted(ROOT.glob("plugins/*/*.md")),
    *sorted(ROOT.glob("examples/*/*.md")),
    *sorted(ROOT.glob("benchmarks/*.md")),
]

_FENCE = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ +(.+)$", re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, spelt as code hosts and MyST spell them."""
    headings = _HEADING.findall(_FENCE.sub("", page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> Iterator[str]:
    for link in _LINK.findall(_FENCE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert list(broken_links(page)) == []


def test_every_guide_is_in_the_contents_of_the_site() -> None:
    contents = re.findall(r"^```\{toctree\}$(.*?)^```$", (GUIDES[0].parent / "index.md").read_text(), re.M | re.S)
    entries = [line.strip() for block in contents for line in block.splitlines() if line and not line.startswith(":")]
    listed = [re.sub(r".*<(.*)>", r"\1", entry) for entry in entries]
    assert sorted(name for name in listed if not name.startswith("_generated/")) == sorted(
        guide.stem for guide in GUIDES if guide.stem != "index"
    )


def test_broken_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `name` here\n[a](#a-name-here) [b](#there) [c](gone.md)\n```\n[d](code.md)\n```\n[e](mailto:x)\n"
    )
    assert list(broken_links(page)) == ["#there", "gone.md"]
