"""The README and the guides: their code runs, and prints what they show.

A page is read from top to bottom. Its `python` blocks share one namespace. A `text` block right below shows what the
block above printed. In a `console` block, lines that begin with `$ xaicore` are run, and what follows is their output.
A block that begins with `# file: NAME` is written to that file and not run. Blocks in HTML comments count as well.
In what is shown, `...` stands for anything, and numbers may differ by five in a hundred.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import zoo
from click.testing import CliRunner

from xaicore.cli.main import cli
from xaicore.plugins import reset_registry

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "plugins").glob("*/README.md"))]

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]?\d+)?(?![\w.]*\w)")
_FILE = re.compile(r"# file: (\S+)\n")
_TOLERANCE = 0.05


@dataclass(frozen=True)
class Block:
    """A fenced block of a page; `below` is the `text` block that follows it without anything between."""

    language: str
    body: str
    line: int
    below: str | None


def blocks(page: Path) -> Iterator[Block]:
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    for fence, following in itertools.zip_longest(fences, fences[1:]):
        shown = None
        if following and following["language"] == "text" and not text[fence.end() : following.start()].strip():
            shown = following["body"]
        yield Block(fence["language"], fence["body"], text.count("\n", 0, fence.start()) + 2, shown)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder of a page; modules and plugins that it writes there can be imported, and are forgotten."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
    monkeypatch.undo()
    reset_registry()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_code_of_a_page_runs_and_prints_what_it_shows(page: Path, folder: Path) -> None:
    zoo.import_torchvision()
    torch.manual_seed(0)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(page):
        file = _FILE.match(block.body)
        if file:
            (folder / file[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / file[1]).write_text(block.body, encoding="utf-8")
        elif block.language == "python":
            printed = run_python(block, page, namespace)
            if block.below is not None:
                assert_shows(block.below, printed, f"{page.name}:{block.line}")
        elif block.language == "console":
            for command, shown in commands(block.body):
                assert_shows(shown, run_command(command), f"{page.name}:{block.line}: {command}")


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> str:
    # Blank lines in front, so that a traceback names the line of the page.
    code = compile("\n" * (block.line - 1) + block.body, str(page), "exec")
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(code, namespace)
    return printed.getvalue()


def commands(body: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output shown below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        if command.startswith("xaicore "):
            yield command, shown


def run_command(command: str) -> str:
    return CliRunner().invoke(cli, shlex.split(command)[1:], prog_name="xaicore").output


def assert_shows(shown: str, printed: str, where: str) -> None:
    """Check that a text is what was printed, but for white space, `...` and the last digits of numbers."""
    expected, found = _plain(shown), _plain(printed)
    pattern = "".join(_pattern(part) for part in re.split(r"(\.\.\.)", expected) if part)
    match = re.fullmatch(rf"\s*{pattern}\s*", found, re.DOTALL)
    assert match, f"{where} shows\n{shown}\nbut prints\n{printed}"
    for number, own in zip(_NUMBER.findall(expected), match.groups(), strict=True):
        decimals = number.partition(".")[2]
        last_digit = 10.0 ** -len(decimals) if decimals.isdigit() else 0.0
        close = pytest.approx(float(number), rel=_TOLERANCE, abs=last_digit)
        assert float(own) == close, f"{where} shows {number} but prints {own}"


def _plain(text: str) -> str:
    return " ".join(re.sub(r"-{3,}", "---", text).split())


def _pattern(part: str) -> str:
    if part == "...":
        return ".*?"
    return r"(-?[\d.]+(?:e[+-]?\d+)?)".join(re.escape(piece) for piece in _NUMBER.split(part))


@pytest.mark.parametrize("printed", ["gap 0.512 of 3 layers", "gap 0.5 of 4 layers", "gap none of 3 layers", "gap 0.5"])
def test_a_page_that_shows_something_else_is_found(printed: str) -> None:
    assert_shows("gap 0.5   of 3 ...s", "gap 0.5 of 3 layers\n", "page")
    if printed.startswith("gap 0.512"):
        assert_shows("gap 0.5 of 3 layers", printed, "page")
    else:
        with pytest.raises(AssertionError):
            assert_shows("gap 0.5 of 3 layers", printed, "page")
