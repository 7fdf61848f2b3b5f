"""Patterns are saved, loaded, and refuse what they do not belong to."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

import xaicore
from xai_patternnet import PatternAttribution, PatternNet, Patterns, learn_patterns
from xaicore.errors import FileError, NotFittedError, ParameterError

DATA = torch.rand(30, 1, 6, 6, generator=torch.Generator().manual_seed(0))


def network(channels: int = 4, *, seed: int = 0, deeper: bool = False) -> nn.Module:
    torch.manual_seed(seed)
    more = [nn.Conv2d(channels, channels, 1), nn.ReLU()] if deeper else []
    return nn.Sequential(nn.Conv2d(1, channels, 3), nn.ReLU(), *more, nn.Flatten(), nn.Linear(16 * channels, 3))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return learn_patterns(network(), DATA).save(tmp_path / "patterns.safetensors")


def test_what_was_saved_explains_as_what_was_learnt(path: Path) -> None:
    model = network()
    learnt = PatternAttribution(model).fit(DATA)
    expected = learnt.analyze(DATA).relevance
    for loaded in (
        PatternAttribution(model, patterns=path),
        PatternAttribution(model, patterns=str(path)),
        PatternAttribution(model, patterns=Patterns.load(path)),
        PatternAttribution(model).load_patterns(path),
        xaicore.create_analyzer("patternnet.attribution", model, patterns=path),
    ):
        torch.testing.assert_close(loaded.analyze(DATA).relevance, expected, rtol=0, atol=0)
        assert loaded.patterns_.samples == 30
    for estimator in ("linear", "negative"):
        learnt.set_params(estimator=estimator)
        loaded.set_params(estimator=estimator)
        torch.testing.assert_close(loaded.analyze(DATA).relevance, learnt.analyze(DATA).relevance, rtol=0, atol=0)


def test_a_file_holds_tensors_and_plain_text_only(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["xai_patternnet"])
        names = set(file.keys())
    assert header["samples"] == 30
    assert {name: each["module"] for name, each in header["layers"].items()} == {"conv2d": "0", "linear": "3"}
    assert set(header["layers"]["conv2d"]["dead"]) == {"linear", "positive", "negative"}
    assert names == {"conv2d/linear", "conv2d/positive", "conv2d/negative", "linear/linear"}
    assert [each.name for each in path.parent.iterdir()] == [path.name]  # no part of a file is left behind


def test_fit_comes_before_a_file_and_another_file_before_fit(path: Path) -> None:
    model = network()
    other = learn_patterns(model, DATA[:10])
    analyzer = PatternNet(model, patterns=path).fit(DATA[:20])
    assert analyzer.patterns_.samples == 20
    analyzer.set_params(patterns=other).analyze(DATA)
    assert analyzer.patterns_.samples == 10


def test_other_weights_are_refused_unless_asked_for(path: Path) -> None:
    other = network(seed=1)
    with pytest.raises(NotFittedError, match=r"other weights .*fit\(data\).*check_weights=False"):
        PatternNet(other, patterns=path).analyze(DATA)
    assert PatternNet(other, patterns=path, check_weights=False).analyze(DATA).relevance.shape == DATA.shape


@pytest.mark.parametrize("how", ["optimizer", "data", "buffer", "swapped"])
def test_patterns_are_stale_after_a_change_of_the_model(how: str) -> None:
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
    analyzer = PatternNet(model).fit(DATA)
    before = analyzer.analyze(DATA).relevance
    weight = model[0].weight
    kept, mean = weight.detach().clone(), model[1].running_mean.clone()
    with torch.no_grad():
        if how == "optimizer":
            weight[0, 0, 0, 0] += 1e-3
        elif how == "data":
            weight.data.mul_(1.01)
        elif how == "buffer":
            model[1].running_mean += 0.1
        else:  # the same numbers in other places
            weight[[0, 1]] = weight[[1, 0]]
    with pytest.raises(NotFittedError, match=r"other weights .*fit\(data\)"):
        analyzer.analyze(DATA)
    with torch.no_grad():
        weight.copy_(kept)
        model[1].running_mean.copy_(mean)
    torch.testing.assert_close(analyzer.analyze(DATA).relevance, before)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (network(5), r"'conv2d' are those of module '0' and have shape \(4, 1, 3, 3\).*\(5, 1, 3, 3\)"),
        (network(deeper=True), "none for the layer conv2d_1 in module '2'"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten()), "a layer 'linear' .module '3'., which this model"),
        (nn.Sequential(nn.Identity(), nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)), "module '0'"),
    ],
    ids=["shape", "more layers", "fewer layers", "other module"],
)
@pytest.mark.parametrize("checked", [True, False])
def test_a_model_with_other_layers_is_refused(path: Path, model: nn.Module, message: str, checked: bool) -> None:
    if checked:  # other layers have other weights: that is seen first
        with pytest.raises(NotFittedError, match="other weights"):
            PatternNet(model, patterns=path).analyze(DATA)
        return
    with pytest.raises(ParameterError, match=message):
        PatternNet(model, patterns=path, check_weights=False).analyze(DATA)


def test_a_missing_file_and_a_missing_folder_are_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        PatternNet(network(), patterns=tmp_path / "none.safetensors").analyze(DATA)
    with pytest.raises(FileError, match="it is a folder"):
        Patterns.load(tmp_path)
    for goal in (tmp_path, tmp_path / "missing" / "patterns.safetensors"):
        with pytest.raises(FileError, match="Cannot save"):
            Patterns.load(path).save(goal)


@pytest.mark.parametrize("kind", ["text", "cut", "other tensors", "explanation", "newer", "incomplete", "no header"])
def test_other_and_damaged_files_are_refused(kind: str, path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["xai_patternnet"])
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    if kind == "text":
        path.write_text("no tensors here")
    elif kind == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    elif kind == "other tensors":
        save_file(tensors, path)
    elif kind == "explanation":
        PatternNet(network()).fit(DATA).analyze(DATA).save(path)
    elif kind == "newer":
        save_file(tensors, path, metadata={"xai_patternnet": json.dumps(header | {"format": 2})})
    elif kind == "incomplete":
        tensors.pop("linear/linear")
        save_file(tensors, path, metadata={"xai_patternnet": json.dumps(header)})
    else:
        save_file(tensors, path, metadata={"xai_patternnet": "{"})
    with pytest.raises(FileError, match="Cannot load"):
        Patterns.load(path)


def test_the_explanation_names_where_patterns_came_from(path: Path, tmp_path: Path) -> None:
    explanation = PatternNet(network(), patterns=str(path)).analyze(DATA[:2])
    explanation.save(tmp_path / "explanation.safetensors")
    loaded = xaicore.load_explanation(tmp_path / "explanation.safetensors")
    assert loaded.parameters["patterns"] == str(path)
    assert loaded.parameters["estimator"] == "positive"
