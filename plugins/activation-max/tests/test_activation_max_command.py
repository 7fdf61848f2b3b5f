"""`xaicore prototype`, and what the plugin registers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from xai_activation_max import load_prototype
from xaicore import create_analyzer, find_method
from xaicore.cli.main import cli
from xaicore.plugins import plugin_registry

NETWORK = """
import torch
from torch import nn

def digits():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 64, 5))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "prototype_networks.py").write_text(NETWORK)
    random = np.random.default_rng(0)
    np.save(tmp_path / "data.npy", random.random((40, 1, 8, 8)).astype(np.float32))
    np.save(tmp_path / "labels.npy", np.arange(40) % 5)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "prototype_networks", raising=False)
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["prototype", "prototype_networks:digits", *arguments], prog_name="xaicore")


def test_a_picture_and_the_prototypes_are_written(folder: Path) -> None:
    result = run("--class", "3", "--shape", "1,1,8,8", "-o", "three.png", "-p", "steps=5")
    assert result.exit_code == 0, result.output
    assert (folder / "three.png").read_bytes().startswith(b"\x89PNG")
    found = load_prototype(folder / "three.safetensors")
    assert found.target == ("class 3",) and found.inputs.shape == (1, 1, 8, 8) and len(found.trace) == 5
    assert "class 3: log probability" in result.output and "Wrote three.png and three.safetensors" in result.output


@pytest.mark.parametrize("prior", ["mean", "expert"])
def test_priors_learn_from_data(folder: Path, prior: str) -> None:
    options = ("--class", "1", "--class", "4", "--prior", prior, "--data", "data.npy", "--labels", "labels.npy")
    result = run(*options, "--count", "2", "-p", "steps=4", "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert [each["target"] for each in told["prototypes"]] == ["class 1", "class 1", "class 4", "class 4"]
    assert told["parameters"]["prior"] == prior and told["files"] == ["prototype.png", "prototype.safetensors"]
    assert (folder / "prototype.png").is_file()


def test_a_channel_of_a_layer_within_bounds(folder: Path) -> None:
    result = run("--layer", "0", "--channel", "2", "--shape", "1,1,8,8", "--bounds", "0,1", "-p", "steps=4", "-p",
                 "jitter=1", "-p", "rotation=10", "--seed", "3")  # fmt: skip
    assert result.exit_code == 0, result.output
    found = load_prototype(folder / "prototype.safetensors")
    assert found.target == ("channel 2 of 0",) and found.seed == 3 and found.parameters["jitter"] == 1
    assert float(found.inputs.min()) >= 0 and float(found.inputs.max()) <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--shape", "1,1,8,8"), "Say what to search for: --class 3"),
        (("--class", "3"), "give --shape 1,3,64,64"),
        (("--class", "3", "--shape", "1,1,8,8", "--prior", "expert"), "data are given by --data FILE"),
        (("--class", "3", "--shape", "1,1,8,8", "--prior", "exprt"), "Did you mean 'expert'"),
        (("--class", "9", "--shape", "1,1,8,8"), "Target 9 does not exist"),
        (("--channel", "2", "--class", "1", "--shape", "1,1,8,8"), "--channel is one of --layer"),
        (("--layer", "0", "--class", "1", "--shape", "1,1,8,8"), "--class is one of the output"),
        (("--class", "3", "--shape", "1,1,8,8", "--labels", "labels.npy"), "--labels belong to --data"),
        (("--class", "3", "--shape", "1,1,8,8", "--bounds", "0"), "write the lowest and the highest value"),
        (("--class", "3", "--shape", "1,1,8,8", "--bounds", "1,0"), "must be below the upper one"),
        (("--class", "3", "--shape", "1,1,8,8", "-o", "missing/a.png"), "does not exist; make it first"),
        (("--class", "3", "--shape", "1,1,8,8", "-o", "a.txt"), "end it in .png"),
        (("--class", "3", "--shape", "1,1,8,8", "--seed", "1", "-p", "seed=2"), "give it once"),
        (("--class", "3", "--shape", "1,1,8,8", "-p", "step=2"), "Did you mean 'steps'"),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())
    assert not list(folder.glob("*.png"))


def test_the_method_and_the_command_are_registered() -> None:
    spec = find_method("activation_maximization")
    assert spec.name == "activation_max.prototype" and spec.family == "prototype"
    assert [each.name for each in plugin_registry().commands()].count("prototype") == 1
    from torch import nn

    assert create_analyzer("activation_max.prototype", nn.Linear(2, 2)).method == "activation_max.prototype"


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, xai_activation_max, xai_activation_max._plugin; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
