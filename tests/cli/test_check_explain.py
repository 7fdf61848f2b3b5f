"""`xaicore check` and `xaicore explain`, as a user types them."""

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
from PIL import Image
from torch import nn

import xaicore
from xaicore.cli.main import cli
from xaicore.cli.models import load_model

MODELS = """
import torch
from torch import nn

def classifier():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))

class Reader(nn.Module):
    def __init__(self):
        super().__init__()
        self.memory = nn.LSTM(3, 4, batch_first=True)

    def forward(self, x):
        return self.memory(x)[0][:, -1]
"""
EPSILON = ["own_models:classifier", "--method", "lrp.epsilon"]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_models.py").write_text(MODELS)
    yield
    sys.modules.pop("own_models", None)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """A folder with two images of 8 x 8 pixels."""
    folder = tmp_path / "images"
    folder.mkdir()
    for seed, name in enumerate(("a.png", "b.png")):
        pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, list(arguments))


def run_json(*arguments: str) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_check_lists_every_layer_with_its_mapping_and_who_provides_it() -> None:
    result = run("check", *EPSILON, "--shape", "1,3,8,8")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["LAYER", "KIND", "MODULE", "MAPPING", "PROVIDER"]
    assert [line.split()[1] for line in lines[1:5]] == ["convolution", "activation", "reshape", "linear"]
    assert lines[1].split()[2] == "0" and "Epsilon" in lines[1] and lines[1].endswith("xai-lrp")
    assert any("handles all 4 layers" in line for line in lines)


@pytest.mark.usefixtures("without_lstm")
def test_check_ends_with_one_where_a_layer_has_no_mapping_and_says_how_to_fix_it() -> None:
    result = run("check", "own_models:Reader", "-m", "lrp.epsilon", "--shape", "1,6,3")
    assert result.exit_code == 1
    assert "1 of" in result.stdout and "lstm of memory" in result.stdout
    assert "own_models.py:14" in result.stdout and "xai-lstm" in result.stdout
    result = run("check", "own_models:Reader", "-m", "lrp.epsilon", "--shape", "1,6,3", "--json")
    assert result.exit_code == 1
    report = json.loads(result.stdout)
    assert not report["ok"] and [row["module_path"] for row in report["missing"]] == ["memory"]


def test_check_takes_the_shape_of_an_input_and_the_parameters_of_a_method(images: Path) -> None:
    report = run_json(
        "check", "own_models:classifier", "-m", "lrp.gamma", "-p", "gamma=0.75", "--input", str(images / "a.png")
    )
    assert report["ok"] and "gamma=0.75" in report["layers"][0]["mapping"]


def test_check_asks_for_a_shape_where_none_is_known() -> None:
    result = run("check", *EPSILON)
    assert result.exit_code == 2 and "--shape" in result.output


def test_explain_writes_an_explanation_and_a_figure_for_each_sample(images: Path) -> None:
    result = run("explain", *EPSILON, str(images), "-o", "out")
    assert result.exit_code == 0, result.output
    written = ["a.png", "a.safetensors", "b.png", "b.safetensors"]
    assert sorted(file.name for file in Path("out").iterdir()) == written
    with Image.open("out/a.png") as figure:
        assert min(figure.size) > 100
    assert xaicore.load_explanation("out/a.safetensors").relevance.shape == (1, 3, 8, 8)
    assert "explained by lrp.epsilon" in result.stdout and "conservation gap" in result.stdout


def test_explain_tells_what_the_same_call_from_python_finds(images: Path) -> None:
    report = run_json("explain", *EPSILON, str(images), "--mean", "0.5", "--std", "0.25", "-p", "epsilon=0.25")
    pixels = np.stack([np.asarray(Image.open(images / name)) for name in ("a.png", "b.png")])
    batch = (torch.tensor(pixels).permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.25
    model = load_model("own_models:classifier").model
    expected = xaicore.explain(model, batch, method="lrp.epsilon", epsilon=0.25)
    assert report["method"] == "lrp.epsilon" and report["parameters"]["epsilon"] == 0.25
    for sample, record in enumerate(report["samples"]):
        assert record["target"] == expected.target["labels"][sample]
        assert str(record["prediction"][0]["class"]) == record["target"]
        found = xaicore.load_explanation(record["files"][0])
        torch.testing.assert_close(found.relevance, expected.relevance[[sample]])
        assert record["explained"] == pytest.approx(float(expected.diagnostics.explained[sample]), rel=1e-5)


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        ("3", ["3", "3"]),
        ("[3, 1]", ["3", "1"]),
        ("(2,)", ["2", "2"]),
        ("3 vs 1", ["3 - 1", "3 - 1"]),
        ("-1", ["4", "4"]),
    ],
)
def test_explain_takes_every_kind_of_target(images: Path, written: str, labels: list[str]) -> None:
    report = run_json("explain", *EPSILON, str(images), "--target", written)
    assert [record["target"] for record in report["samples"]] == labels


def test_explain_gives_the_same_in_batches_and_keeps_a_ledger_on_request(images: Path) -> None:
    whole = run_json("explain", *EPSILON, str(images), "-o", "whole", "--ledger")
    split = run_json("explain", *EPSILON, str(images), "-o", "split", "--batch-size", "1")
    for one, other in zip(whole["samples"], split["samples"], strict=True):
        assert one["relevance_sum"] == pytest.approx(other["relevance_sum"], rel=1e-5)
    assert {row["kind"] for row in whole["ledger"]} >= {"convolution", "linear"} and split["ledger"] is None


def test_explain_compiles_on_request(images: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    handed_over: list[str] = []
    monkeypatch.setattr(torch, "compile", lambda module, **options: handed_over.append("module") or module)
    plain = run_json("explain", *EPSILON, str(images), "-o", "plain")
    compiled = run_json("explain", *EPSILON, str(images), "-o", "compiled", "--compile")
    for mine, other in zip(compiled["samples"], plain["samples"], strict=True):
        assert mine["relevance_sum"] == pytest.approx(other["relevance_sum"], rel=1e-4)
    assert handed_over == ["module"]


def test_explain_takes_exported_programs() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    dynamic = {"x": {0: torch.export.Dim.AUTO}}
    torch.export.save(
        torch.export.export(model, (torch.zeros(2, 3),), dynamic_shapes=list(dynamic.values())), "model.pt2"
    )
    Path("table.csv").write_text("a,b,c\n1,2,3\n0,1,-1\n3,1,0.5\n")
    report = run_json("explain", "model.pt2", "table.csv", "-m", "gradients.saliency", "-t", "1")
    batch = torch.tensor([[1, 2, 3], [0, 1, -1], [3, 1, 0.5]])
    expected = xaicore.explain(model, batch, method="gradients.saliency", target=1).relevance
    found = [xaicore.load_explanation(record["files"][0]).relevance for record in report["samples"]]
    torch.testing.assert_close(torch.cat(found), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "cat"], "by number, not by name"),
        (["--target", "7"], "valid values are 0 to 4"),
        (["--param", "epsilon"], "name=value"),
        (["--param", "epsilon=1", "--param", "epsilon=2"], "more than once"),
        (["--param", "epsilonn=1"], "no parameter 'epsilonn'"),
        (["--size", "big"], "no size"),
        (["--mean", "a,b"], "no list of numbers"),
        (["--mean", "1,2"], "--mean has 2 values"),
        (["--output", "nothing"], "no output 'nothing'"),
        (["--weights", "nowhere.safetensors"], "no file of weights"),
        (["--batch-size", "0"], "not in the range"),
    ],
)
def test_what_is_wrong_is_said_without_a_traceback(images: Path, arguments: list[str], message: str) -> None:
    result = run("explain", *EPSILON, str(images), *arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.output


def test_a_model_with_random_weights_is_warned_of_on_standard_error(images: Path) -> None:
    zoo = pytest.importorskip("zoo")
    zoo.import_torchvision()
    result = run(
        "explain", "torchvision:squeezenet1_1", str(images), "--size", "64", "-m", "gradients.saliency", "--json"
    )
    assert result.exit_code == 0, result.output
    assert result.stderr.startswith("WARNING: torchvision:squeezenet1_1 has random weights")
    assert json.loads(result.stdout)["samples"][0]["target_kind"] == "class"


@pytest.mark.usefixtures("without_lstm")
def test_explain_passes_layers_without_a_mapping_by_the_gradient_where_that_is_asked_for() -> None:
    np.save("series.npy", np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32))
    refused = run("explain", "own_models:Reader", "series.npy", "--method", "lrp.epsilon", "-o", "out")
    assert refused.exit_code == 2 and "lstm" in refused.output
    passed = run(
        "explain", "own_models:Reader", "series.npy", "--method", "lrp.epsilon", "--fallback", "gradient", "-o", "out"
    )
    assert passed.exit_code == 0, passed.output
    assert "vector-Jacobian product (fallback)" in passed.output
