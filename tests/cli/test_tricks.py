"""`xaicore explain` with windows, translations, filters and patterns, as a user types them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from oracles import noise
from PIL import Image

import xaicore
from xaicore import channels, heads, neurons, region
from xaicore.cli.main import cli
from xaicore.cli.models import load_model
from xaicore.cli.parts import layer_filter

MODELS = """
from torch import nn

def classifier():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))

def series():
    return nn.Sequential(nn.Conv1d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6, 5))
"""
X = noise(2, 3, 12, 16, dtype=torch.float32)
SMALL = X[:, :, :8, :8]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("wrapped_models.py").write_text(MODELS)
    np.save("large.npy", X.numpy())
    np.save("small.npy", SMALL.numpy())
    np.save("series.npy", X[:, :, 0].numpy())
    yield
    sys.modules.pop("wrapped_models", None)


def run(*arguments: str, model: str = "classifier") -> Result:
    fixed = ["explain", f"wrapped_models:{model}", "-m", "lrp.epsilon", "-o", "out"]
    return CliRunner().invoke(cli, [*fixed, *arguments])


def run_json(*arguments: str, model: str = "classifier") -> Any:
    result = run(*arguments, "--json", model=model)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def found(report: Any) -> torch.Tensor:
    return torch.cat([xaicore.load_explanation(record["files"][0]).relevance for record in report["samples"]])


def analyzer(model: str = "classifier") -> Any:
    return xaicore.create_analyzer("lrp.epsilon", load_model(f"wrapped_models:{model}").model)


def test_windows_over_a_larger_image() -> None:
    report = run_json("large.npy", "--window", "8", "--window-stride", "4", "--batch-size", "3")
    expected = xaicore.SlidingWindow(analyzer(), window=8, stride=4).analyze(X)
    assert report["method"] == "sliding_window(lrp.epsilon)" and report["parameters"]["stride"] == 4
    torch.testing.assert_close(found(report), expected.relevance)
    assert [record["target"] for record in report["samples"]] == expected.target["labels"]


def test_windows_over_a_longer_series() -> None:
    report = run_json("series.npy", "--window", "8", model="series")
    expected = xaicore.SlidingWindow(analyzer("series"), window=8).analyze(X[:, :, 0])
    torch.testing.assert_close(found(report), expected.relevance)


def test_translations_and_both_together() -> None:
    report = run_json("small.npy", "--translations", "1")
    expected = xaicore.TranslationAverage(analyzer(), shifts=1).analyze(SMALL)
    torch.testing.assert_close(found(report), expected.relevance)
    both = run_json("large.npy", "--translations", "1", "--window", "8x8", "-t", "2")
    assert both["method"] == "translation_average(sliding_window(lrp.epsilon))"


def test_noise_alone_at_a_layer_and_with_the_others() -> None:
    report = run_json("small.npy", "--noise", "0.2", "--noise-samples", "3", "--batch-size", "4")
    average = xaicore.NoiseAverage(analyzer(), noise=0.2, samples=3)
    torch.testing.assert_close(found(report), average.analyze(SMALL).relevance)
    assert report["method"] == "noise_average(lrp.epsilon)" and report["parameters"]["samples"] == 3
    at_layer = run_json("small.npy", "--noise", "0.2", "--noise-samples", "3", "--layer", "0", "-t", "1")
    torch.testing.assert_close(found(at_layer), average.analyze(SMALL, 1, layer="0").relevance)
    default = run_json("small.npy", "--noise", "0.2")
    assert default["parameters"]["samples"] == 50
    all_three = run_json("large.npy", "--noise", "0.1", "--noise-samples", "2", "--translations", "1", "--window", "8")
    assert all_three["method"] == "noise_average(translation_average(sliding_window(lrp.epsilon)))"


def test_a_filter_names_a_part_of_a_layer() -> None:
    report = run_json("small.npy", "--filter", "0=channels(0, 2) & ~region[:3, 1]", "-t", "1")
    part = channels(0, 2) & ~region[:3, 1]
    torch.testing.assert_close(found(report), analyzer().analyze(SMALL, 1, filter={"0": part}).relevance)
    several = run_json("small.npy", "--filter", "0=3", "--filter", "1=region[0]", "-t", "1")
    expected = analyzer().analyze(SMALL, 1, filter={"0": 3, "1": region[0]}).relevance
    torch.testing.assert_close(found(several), expected)


def test_a_pattern_is_drawn_as_well() -> None:
    report = run_json("small.npy", "--pattern", "0.8")
    assert [Path(file).name for file in report["samples"][0]["files"]] == [
        "small_0.safetensors", "small_0.png", "small_0_pattern.png",
    ]  # fmt: skip
    with Image.open("out/small_0_pattern.png") as figure:
        assert min(figure.size) > 100


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("conv1=3", ("conv1", 3)),
        ("conv1 = [3, -1]", ("conv1", [3, -1])),
        ("features.0=channels(3, 5)", ("features.0", channels(3, 5))),
        ("x=channels(1, dim=-1)", ("x", channels(1, dim=-1))),
        ("x=region[10:20, :, -1]", ("x", region[10:20, :, -1])),
        ("x=region[::2]", ("x", region[::2])),
        ("x=heads(0, 2, count=12)", ("x", heads(0, 2, count=12))),
        ("x=neurons((3, 0, 1), (0, 0, 0))", ("x", neurons((3, 0, 1), (0, 0, 0)))),
        ("x=~(channels(1) | heads(0)) & region[2]", ("x", ~(channels(1) | heads(0)) & region[2])),
    ],
)
def test_parts_are_written_as_in_python(text: str, expected: Any) -> None:
    assert layer_filter(text) == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--filter", "channels(3)"], "not of the form layer=part"),
        (["--filter", "0=chanels(3)"], "Did you mean 'channels'"),
        (["--filter", "0=channels(3"], "is no part of a layer"),
        (["--filter", "0=__import__('os').getcwd()"], "is no part of a layer"),
        (["--filter", "0=eval('1')"], "there is no part 'eval'"),
        (["--filter", "0=channels(eval('1'))"], "is no part of a layer"),
        (["--filter", "0=channels(**{})"], "is no part of a layer"),
        (["--filter", "0=channels('a')"], "give integers"),
        (["--filter", "0=channels(1, count=2)"], "unexpected keyword"),
        (["--filter", "0=channels[1]"], "there is no part 'channels'"),
        (["--filter", "0=channels(9)"], "has 4 channels; the filter names 9"),
        (["--filter", "0=1", "--filter", "0=2"], "more than once"),
        (["--filter", "nowhere=1"], "no layer or module 'nowhere'"),
        (["--window-stride", "4"], "needs --window"),
        (["--window", "9"], "less than a window"),
        (["--window", "4", "--window-stride", "5"], "leaves gaps"),
        (["--window", "8", "--layer", "0"], "layer= is not possible"),
        (["--translations", "0"], "not in the range"),
        (["--noise", "0"], "not in the range"),
        (["--noise-samples", "4"], "needs --noise"),
        (["--noise", "0.1", "--ledger"], "ledger=True is the account of one walk"),
        (["--pattern", "0"], "not in the range"),
        (["--pattern", "1.5"], "not in the range"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(arguments: list[str], message: str) -> None:
    result = run("small.npy", *arguments)
    assert result.exit_code == 2
    said = " ".join(result.stderr.split())
    assert message in said and "Traceback" not in said
