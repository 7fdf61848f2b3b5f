"""Pages of the site for files outside of docs/, and links that find them.

The guides link to files of the repository by relative paths, as code hosts want them: "../plugins/lstm",
"../examples/own_rule.py". Here each such file becomes a page: READMEs and changelogs as they are, other text as code.
Pictures and data stay where they are. A link to a folder is one to its README, or to a list of its files. A link to
nothing stays, and MyST warns of it.
"""

from __future__ import annotations

import ast
import os
import re
from pathlib import Path

from sphinx.application import Sphinx

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
MADE = DOCS / "_generated" / "repository"

_FENCE_OR_LINK = re.compile(r"^(`{3,}|~{3,}).*?^\1[`~]*$|(?<=\]\()(?P<link>[^)\s]+)(?=\))", re.MULTILINE | re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z]+:|#|/")
_LANGUAGES = {
    ".py": "python",
    ".toml": "toml",
    ".yml": "yaml",
    ".yaml": "yaml",
    ".sh": "bash",
    ".css": "css",
    "": "text",
}


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("builder-inited", make_pages)
    app.connect("source-read", link_a_guide)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def make_pages(app: Sphinx) -> None:
    """Write a page for each file that has one, and remove pages whose file is gone."""
    listed = _listed_files()
    waiting = [*listed, *sorted(DOCS.glob("*.md"))]
    seen = set(waiting)
    for source in waiting:  # grows while pages are found that link to others
        text = source.read_text(encoding="utf-8") if source.is_file() else ""
        for target in linked_files(text, source) if source.suffix == ".md" else []:
            if target not in seen:
                seen.add(target)
                waiting.append(target)
    made = {page_of(source): page_text(source, listed=source in listed) for source in waiting if _has_page(source)}
    made |= {MADE / f"{name}.md": _list_of_pages(title, files) for name, (title, files) in _lists().items()}
    for page in set(MADE.rglob("*.md")) - set(made):
        page.unlink()
    for page, text in made.items():
        page.parent.mkdir(parents=True, exist_ok=True)
        if not page.exists() or page.read_text(encoding="utf-8") != text:  # else Sphinx would read it again
            page.write_text(text, encoding="utf-8")


def link_a_guide(app: Sphinx, name: str, source: list[str]) -> None:
    """Turn the links of a guide, as it is read, to pages of the site."""
    path = DOCS / f"{name}.md"
    if path.is_file() and MADE not in path.parents:
        source[0] = relinked(source[0], origin=path, page=path)


def relinked(text: str, *, origin: Path, page: Path) -> str:
    """Return a Markdown text whose relative links, written for the place `origin`, are right on `page`."""

    def turn(match: re.Match[str]) -> str:
        link = match["link"]
        if link is None or _ELSEWHERE.match(link):
            return match[0]
        path, hash_sign, anchor = link.partition("#")
        target = _file_behind(origin, path)
        if target is None:
            return link
        home = page_of(target) if _has_page(target) else target
        return os.path.relpath(home, page.parent) + hash_sign + anchor

    return _FENCE_OR_LINK.sub(turn, text)


def linked_files(text: str, origin: Path) -> list[Path]:
    """Return the files and folders with pages of their own that a Markdown text links to."""
    found = []
    for match in _FENCE_OR_LINK.finditer(text):
        link = match["link"]
        if link is None or _ELSEWHERE.match(link):
            continue
        target = _file_behind(origin, link.partition("#")[0])
        if target is not None and _has_page(target):
            found.append(target)
    return found


def page_of(source: Path) -> Path:
    """Return where the page of a file or folder outside of docs/ lies."""
    name = source.relative_to(ROOT)
    return MADE / (name if name.suffix == ".md" else name.with_name(f"{name.name}.md"))


def page_text(source: Path, *, listed: bool) -> str:
    """Return the page of a file or folder: what it says, or as code what it holds."""
    head = "" if listed else "---\norphan: true\n---\n\n"
    if source.is_dir():
        files = [path for path in sorted(source.iterdir()) if not path.name.startswith(("_", "."))]
        links = [f"* [{path.name}]({path.name})" for path in files if path.suffix in _LANGUAGES or _readme(path)]
        text = f"# {source.relative_to(ROOT)}/\n\n" + "\n".join(links)
        return head + relinked(text, origin=source / "list.md", page=page_of(source))
    text = source.read_text(encoding="utf-8")
    if source.suffix == ".md":
        return head + relinked(text, origin=source, page=page_of(source))
    return f"{head}# {source.relative_to(ROOT)}\n\n~~~~~~{_LANGUAGES[source.suffix]}\n{text.rstrip()}\n~~~~~~\n"


def _list_of_pages(title: str, files: list[Path]) -> str:
    """Return a page with a table of contents of the pages of some files."""
    entries = [page_of(path).relative_to(MADE).with_suffix("").as_posix() for path in files]
    entries = [f"{_short_title(path)} <{entry}>" for path, entry in zip(files, entries, strict=True)]
    said = [f"* [{_short_title(path)}]({page_of(path).relative_to(MADE)}): {_first_sentence(path)}" for path in files]
    contents = "\n".join(["```{toctree}", ":hidden:", "", *entries, "```"])
    return f"# {title}\n\n{contents}\n\n" + "\n".join(said) + "\n"


def _lists() -> dict[str, tuple[str, list[Path]]]:
    """Return the lists of pages, by the name of the page: its title and its files."""
    packages = sorted(ROOT.glob("plugins/*/README.md"))
    changelogs = [ROOT / "CHANGELOG.md", *sorted(ROOT.glob("plugins/*/CHANGELOG.md"))]
    scripts = [*sorted(ROOT.glob("examples/*.py")), *sorted(ROOT.glob("examples/*/README.md"))]
    return {
        "packages": ("Packages of methods", packages),
        "examples_list": ("Examples", scripts),
        "changelogs": ("Changelogs", changelogs),
    }


def _listed_files() -> list[Path]:
    return [path for _, files in _lists().values() for path in files] + [ROOT / "benchmarks" / "README.md"]


def _has_page(path: Path) -> bool:
    """Whether a page is made for a file or folder: not for guides, which are pages, nor for pictures and data."""
    outside = path != DOCS and DOCS not in path.parents
    return outside and (path.is_dir() or path.suffix in (".md", *_LANGUAGES))


def _file_behind(origin: Path, link: str) -> Path | None:
    """Return the file or folder that a relative link leads to; a folder's README if it has one."""
    target = Path(os.path.normpath(origin.parent / link))
    if target == ROOT or target == ROOT / "README.md":
        return DOCS / "index.md"  # the site's own front page says what the README says
    if not target.exists():
        return None
    return (_readme(target) or target) if target.is_dir() else target


def _readme(folder: Path) -> Path | None:
    path = folder / "README.md"
    return path if path.is_file() else None


def _short_title(path: Path) -> str:
    """Return what a file is called in a list."""
    return path.parent.name if path.name == "README.md" else _distribution(path) if path.suffix == ".md" else path.name


def _distribution(changelog: Path) -> str:
    return "xaicore" if changelog.parent == ROOT else f"xai-{changelog.parent.name}"


def _first_sentence(path: Path) -> str:
    """Return the first line of a script's docstring, or the heading of a page."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return (ast.get_docstring(ast.parse(text)) or "").partition("\n")[0]
    return text.partition("\n")[0].lstrip("# ")
