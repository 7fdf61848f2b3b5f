"""Token models on the command line: texts in figures, and what is said where inputs do not fit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from matplotlib.figure import Figure

import xaicore
from xaicore.cli.main import cli
from xaicore.cli.words import as_text
from xaicore.explanation import Explanation

MODELS = """
import torch
from torch import nn

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(4, 3)

    def forward(self, words):
        return self.head(torch.tanh(self.embedding(words)).mean(1))

class Asked(Reader):
    def forward(self, words, image):
        return super().forward(words) + image.mean((2, 3))

def table():
    return nn.Linear(4, 2)
"""
IDS = torch.tensor([[3, 1, 2, 1, 0], [4, 5, 8, 0, 0]])
WORDS = ["<pad>", "one", "$two$", "three", "four", "five", "six", "seven", "eight"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("token_models.py").write_text(MODELS)
    torch.save(IDS, "ids.pt")
    torch.save((IDS, torch.rand(2, 3, 4, 4)), "asked.pt")
    torch.save((torch.rand(5, 4), torch.zeros(5, dtype=torch.long)), "labelled.pt")
    torch.save(torch.rand(2, 4), "table.pt")
    Path("words.txt").write_text("\n".join(WORDS), encoding="utf-8")
    yield
    import sys

    sys.modules.pop("token_models", None)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The texts of each figure that is saved."""
    found: list[list[str]] = []
    save = Figure.savefig

    def saved(figure: Figure, *arguments: Any, **options: Any) -> None:
        save(figure, *arguments, **options)
        found.append([text.get_text() for ax in figure.axes for text in ax.texts])

    monkeypatch.setattr(Figure, "savefig", saved)
    return found


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def test_ids_are_drawn_in_their_order(drawn: list[list[str]]) -> None:
    result = run("explain", "token_models:Reader", "ids.pt", "-m", "gradients.input_x_gradient", "-o", "out")
    assert result.exit_code == 0, result.output
    assert drawn == [["3", "1", "2", "1", "0"], ["4", "5", "8", "0", "0"]]
    assert Path("out/ids_1.png").stat().st_size > 1000


def test_words_stand_for_the_ids_beside_an_image(drawn: list[list[str]]) -> None:
    result = run(
        "explain", "token_models:Asked", "asked.pt", "-m", "gradients.input_x_gradient", "-o", "out", "--words",
        "words.txt",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert drawn[1][:5] == ["four", "five", "eight", "<pad>", "<pad>"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["token_models:Reader", "ids.pt", "--words", "short.txt"], "2 lines, for the ids 0 to 1, and an input has"),
        (["token_models:Reader", "ids.pt", "--words", "empty.txt"], "is empty"),
        (["token_models:Reader", "ids.pt", "--words", "none.txt"], "cannot be read as text"),
        (["token_models:table", "table.pt", "--words", "words.txt"], "--words is for integer inputs"),
        (["token_models:table", "table.pt", "--show"], "--show is for integer inputs"),
        (["token_models:Reader", "ids.pt", "--merge", "auto"], "give them with --words"),
        (["token_models:table", "labelled.pt"], "INPUT must hold what the forward takes"),
        (["token_models:Reader", "ids.pt", "-t", "1 vs 0", "--layer", "nothing"], "nothing"),
    ],
)
def test_what_fails_is_refused_and_leaves_no_folder(arguments: list[str], said: str) -> None:
    Path("short.txt").write_text("a\nb\n")
    Path("empty.txt").write_text("")
    result = run("explain", *arguments, "-m", "gradients.saliency", "-o", "new/deep/out")
    assert result.exit_code == 2 and said in result.output, result.output
    assert not Path("new").exists()


def test_a_folder_that_was_there_stays_and_so_does_what_was_written() -> None:
    Path("mine").mkdir()
    assert run("explain", "token_models:table", "labelled.pt", "-m", "gradients.saliency", "-o", "mine").exit_code == 2
    assert Path("mine").is_dir()
    assert run("explain", "token_models:table", "table.pt", "-m", "gradients.saliency", "-o", "a/b").exit_code == 0
    assert len(list(Path("a/b").iterdir())) == 4


def test_a_page_of_tokens_lies_beside_the_figure_and_holds_nothing_but_text() -> None:
    Path("words.txt").write_text("<pad>\n<script>alert(1)</script>\n##like\nun\n##ly\nfive\nsix\nseven\n&amp;\n")
    result = run(
        "explain", "token_models:Reader", "ids.pt", "-m", "gradients.input_x_gradient", "-o", "out", "--words",
        "words.txt", "--merge", "auto", "-t", "1", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    first, second = (Path(f"out/ids_{number}.html").read_text("utf-8") for number in (0, 1))
    assert "<script" not in first and "explained: 1" in first
    assert re.findall(r">([^<]*)</span>", first)[:4] == [
        "un", "&lt;script&gt;alert(1)&lt;/script&gt;like", "&lt;script&gt;alert(1)&lt;/script&gt;", "&lt;pad&gt;",
    ]  # fmt: skip
    assert first.count('role="listitem"') == 4 and second.count('role="listitem"') == 5
    files = [sample["files"] for sample in json.loads(result.stdout)["samples"]]
    assert [[Path(file).name for file in own] for own in files] == [
        ["ids_0.safetensors", "ids_0.png", "ids_0.html"], ["ids_1.safetensors", "ids_1.png", "ids_1.html"],
    ]  # fmt: skip


def test_tokens_are_shown_where_asked_to() -> None:
    arguments = ["explain", "token_models:Reader", "ids.pt", "-m", "gradients.input_x_gradient", "-o", "out"]
    words = ["--words", "words.txt", "--show"]
    Path("words.txt").write_text("\n".join(["<pad>", "\x1b[2Jone", *WORDS[2:]]), encoding="utf-8")
    shown = run(*arguments, *words)
    assert shown.exit_code == 0 and "\x1b" not in shown.output
    assert r"\x1b[2Jone(" in shown.stdout and "ids_1: explained: " in shown.stdout and "$two$(" in shown.stdout
    assert "(.safetensors) and figures (.png, .html) to out" in shown.stdout
    quiet = run(*arguments, *words, "--json")
    assert json.loads(quiet.stdout) and "$two$(" in quiet.stderr
    assert "three(" not in run(*arguments, *words[:2]).output


def test_check_says_how_several_shapes_are_given() -> None:
    result = run("check", "token_models:Asked", "-m", "lrp.epsilon", "--shape", "2,5:int64")
    assert result.exit_code == 2 and "missing a required argument: 'image'" in result.output
    assert "Repeat --shape" in result.output and "--input FILE.pt" in result.output and "tuple for" not in result.output
    both = run("check", "token_models:Asked", "-m", "lrp.epsilon", "--shape", "2,5:int64", "--shape", "2,3,4,4")
    assert both.exit_code == 0, both.output


def test_data_with_labels_are_told_of_in_words_of_the_command_line() -> None:
    result = run(
        "explain",
        "token_models:table",
        "table.pt",
        "-m",
        "perturbation.permutation",
        "--data",
        "labelled.pt",
        "-o",
        "o",
    )
    assert result.exit_code == 2 and "--data must hold what INPUT holds, and no labels" in result.output
    assert "xaicore.batches" not in result.output and "Give a tuple" not in result.output
    assert not Path("o").exists()


def test_a_table_of_numbers_and_an_inner_layer_are_drawn_as_before() -> None:
    from token_models import Reader, table  # type: ignore[import-not-found]

    numbers: Explanation = xaicore.explain(table(), torch.rand(2, 4), method="gradients.saliency")
    inside: Explanation = xaicore.explain(Reader(), IDS, method="gradients.saliency", layer="embedding")
    assert as_text(numbers, None) == as_text(inside, None) == {}
