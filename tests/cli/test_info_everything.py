"""`xaicore info` of everything that is installed: where it is, what it takes, and an example that works."""

from __future__ import annotations

import ast
import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from xaicore.cli.described import describe
from xaicore.cli.main import cli
from xaicore.cli.usage import usage
from xaicore.plugins import MappingSpec, PluginRegistry

REGISTRY = PluginRegistry.discover()
EVERYTHING = [
    *REGISTRY.methods(),
    *REGISTRY.metrics(),
    *REGISTRY.renderers(),
    *(spec for spec, _ in REGISTRY.mappings()),
]


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("spec", EVERYTHING, ids=lambda spec: getattr(spec, "name", spec.target))
def test_everything_installed_is_found_in_its_source_and_has_an_example(spec: Any) -> None:
    record = describe(spec, REGISTRY.provider(spec))
    lines = Path(record["file"]).read_text(encoding="utf-8").splitlines()
    word = record["import_path"].rpartition(".")[2]
    assert f" {word}" in lines[record["line"] - 1] or lines[record["line"] - 1].startswith("@")
    shown = usage(record, "lrp.epsilon")
    ast.parse(shown["python"])
    known = {each["name"] for each in record["parameters"]}
    words = shlex.split(shown["command_line"])
    given = [words[at + 1].partition("=")[0] for at, word in enumerate(words) if word in ("-p", "--render-param")]
    assert set(given) <= known
    json.dumps(record)


def test_a_mapping_is_shown_by_kind_of_layer_in_the_order_in_which_it_is_asked() -> None:
    text = run("info", "--mapping", "norm").stdout
    assert text.startswith(
        "2 mappings take layers of the kind norm; the first one that fits takes a layer.\n\nidentity("
    )
    assert text.index("  operators: local_response_norm") < text.index("  operators: all of these kinds")
    assert "$ xaicore check torchvision:resnet18 --method lrp.epsilon --shape 1,3,224,224" in text
    records = json.loads(run("info", "--mapping", "norm", "--json").stdout)
    assert [record["name"] for record in records] == ["identity", "norm"]
    assert records[1]["import_path"] == "xai_lrp.structure.norm" and records[1]["package"] == "xai-lrp"
    assert not run("info", "--mapping", "recurrent").stdout[0].isdigit()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--mapping", "ad"), "There is no kind of layer 'ad'. Did you mean 'pad'? Kinds are activation, add, "),
        (
            ("--mapping", "linear"),
            "No installed plugin brings a mapping for layers of the kind 'linear'; methods bring",
        ),
        ((), "give NAME, of a method, a metric or a renderer, or --mapping"),
        (("lrp.epsilon", "--mapping", "add"), "give NAME"),
        (("core.heatmab",), "There is no renderer 'core.heatmab' among those installed. Did you mean 'core.heatmap'?"),
    ],
)
def test_what_is_not_there_is_refused_with_what_there_is(arguments: tuple[str, ...], message: str) -> None:
    result = run("info", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr


def test_a_kind_whose_package_is_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, without_lstm: None
) -> None:
    result = run("info", "--mapping", "recurrent")
    assert result.exit_code == 2 and "the plugin of xai-lstm" in result.stderr and "is disabled" in result.stderr


def test_a_renderer_is_shown_with_what_it_draws_and_its_options() -> None:
    lines = run("info", "contours").stdout.splitlines()
    assert lines[0].startswith("core.contours(relevance, image=None, levels=")
    assert "  draws:     image" in lines
    assert "  shows:     relevance and image" in lines
    assert "  colours:   from -scale to scale" in lines
    assert "  levels: int (default 4)" in lines
    record = json.loads(run("info", "core.summary", "--json").stdout)
    assert record["all_samples"] and record["usage"]["command_line"] == ""
    assert record["import_path"] == "xaicore.visualization.summary" and record["file"].endswith("summaries.py")


@pytest.mark.parametrize(
    ("name", "command", "python"),
    [
        (
            "patternnet.signal",
            "-p estimator=positive --data training.npy",
            'estimator="positive").fit(data).analyze(x)',
        ),
        ("gradients.expected", "-m gradients.expected --data training.npy", "baseline=xaicore.baselines.Data(data))"),
        ("lrp.composite", "", "composite=...)"),
        (
            "prototype",
            "xaicore prototype torchvision:resnet18 --class 3 -p start",
            '"noise").analyze(x, target=3)',
        ),
        ("lstm.lrp_all", "xaicore explain package.module:factory samples.npy -m lstm.lrp_all", '"lstm.lrp_all"'),
        ("evaluation.gini", "-m lrp.epsilon --metric evaluation.gini", '{"evaluation.gini": {}})'),
    ],
)
def test_the_example_says_how_data_and_choices_are_given(name: str, command: str, python: str) -> None:
    shown = json.loads(run("info", name, "--json").stdout)["usage"]
    assert command in shown["command_line"] and bool(command) is bool(shown["command_line"])
    assert python in shown["python"]


NETS = "from torch import nn\n\nmake = lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 3))\n"


@pytest.mark.parametrize("name", ["lrp.gamma", "core.graymap", "norm"])
def test_the_example_on_the_command_line_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "info_nets.py").write_text(NETS)
    np.save(tmp_path / "x.npy", torch.rand(2, 3, 2, 2).numpy())
    monkeypatch.chdir(tmp_path)
    option = ("--mapping", "norm") if name == "norm" else (name,)
    found = json.loads(run("info", *option, "--json").stdout)
    typed = (found[0] if name == "norm" else found)["usage"]["command_line"]
    replaced = {"torchvision:resnet18": "info_nets:make", "photo.jpg": "x.npy", "1,3,224,224": "1,3,2,2"}
    result = run(*(replaced.get(word, word) for word in shlex.split(typed)[1:]))
    assert result.exit_code == 0, result.output


def test_only_mappings_are_described_by_the_name_of_their_function() -> None:
    for spec in EVERYTHING:
        record = describe(spec, REGISTRY.provider(spec))
        expected = spec.target.partition(":")[2] if isinstance(spec, MappingSpec) else spec.name
        assert record["signature"].startswith(f"{expected}(")
