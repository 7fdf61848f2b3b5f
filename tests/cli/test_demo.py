"""`xaicore demo`: what it writes, and that it tells the truth."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from safetensors.torch import load_file

import xaicore
from xaicore.cli.demo.network import DigitNet
from xaicore.cli.main import cli

DIGITS = 4


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of one run, and what it printed."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    result = CliRunner().invoke(cli, ["demo", "-o", str(folder), "--digits", str(DIGITS)])
    assert result.exit_code == 0, result.output
    return folder, result.stdout


class _Links(HTMLParser):
    """Collects what a page refers to, and complains of tags that do not close."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def left_out(printed: str) -> set[str]:
    return set(re.findall(r"^  (\S+) +left out", printed, flags=re.MULTILINE))


def test_the_page_is_whole_and_refers_to_files_that_are_there(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    text = (folder / "index.html").read_text(encoding="utf-8")
    page = _Links()
    page.feed(text)
    assert not page.open
    files = [link for link in page.found if not link.startswith("#")]
    assert len(files) >= 1 + DIGITS + len(xaicore.methods()) - len(left_out(printed))
    for link in files:
        assert (folder / link).is_file(), link
    for link in set(page.found) - set(files):
        assert f'id="{link[1:]}"' in text


def test_figures_are_large_enough_to_read(demo: tuple[Path, str]) -> None:
    folder, _ = demo
    names = ["overview", *(f"digit_{number + 1}" for number in range(DIGITS))]
    for name in names:
        with Image.open(folder / "figures" / f"{name}.png") as figure:
            assert figure.width > 1000 and figure.height > 500


def test_every_installed_method_explains_unless_it_needs_a_choice(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    written = {file.stem for file in (folder / "explanations").iterdir()}
    without = left_out(printed)
    assert written | without == {spec.name for spec in xaicore.methods()}
    # Deep Taylor decomposition is not defined where the score of a class is negative.
    assert {name for name in without if not name.startswith("deeptaylor.")} <= {
        "activation_max.prototype",
        "lrp.composite",
        *(spec.name for spec in xaicore.methods() if "image" not in spec.inputs),
    }
    page = (folder / "index.html").read_text(encoding="utf-8")
    assert all(name in page for name in written | without)


def test_the_digits_are_mistakes_and_both_classes_are_explained(demo: tuple[Path, str]) -> None:
    folder, printed = demo
    model = DigitNet().eval()
    model.load_state_dict(load_file(folder / "model.safetensors"))
    digits = torch.load(folder / "digits.pt", weights_only=True)
    with torch.no_grad():
        predicted = model(digits).argmax(1).tolist()
    told = [(int(a), int(b)) for a, b in re.findall(r"a (\d) taken for a (\d)", printed)]
    assert len(told) == DIGITS and predicted == [chosen for _, chosen in told]
    assert all(true != chosen for true, chosen in told)
    explanation = xaicore.load_explanation(folder / "explanations" / "lrp.epsilon.safetensors")
    assert explanation.target["index"] == [k for true, chosen in told for k in (chosen, true)]
    again = xaicore.explain(model, digits, method="lrp.epsilon")
    torch.testing.assert_close(again.relevance, explanation.relevance[::2], rtol=1e-4, atol=1e-6)


def test_the_random_state_is_left_alone_and_the_seed_decides(tmp_path: Path) -> None:
    from xaicore.cli.demo.training import find_mistakes, split, train

    def numbers(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        training, test, places = split(generator)
        return find_mistakes(train(training, generator), test, places, DIGITS)[0].number.tolist()

    state = torch.get_rng_state()
    assert numbers(1) == numbers(1)
    assert not torch.equal(*(split(torch.Generator().manual_seed(seed))[2] for seed in (1, 2)))
    assert torch.equal(torch.get_rng_state(), state)
