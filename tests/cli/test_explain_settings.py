"""`xaicore explain` with settings of the engine, with options of methods, and with data."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from explaining import folder_of, here, pixels_of, relevance_in, run, run_json

import xaicore
from xaicore.analyzers.baselines import Data
from xaicore.cli.models import load_model

__all__ = ["here"]  # a fixture for all tests


def test_settings_of_the_engine_and_its_report() -> None:
    folder = folder_of(*[8] * 5)
    plain = run_json("own_models:of_one_size", folder)
    assert "timing" not in plain
    chosen = run_json("own_models:of_one_size", folder, "--batch-size", "2", "--device", "cpu", "--timing")
    assert chosen["timing"]["batches"] == {"2": 2, "1": 1} and chosen["timing"]["device"] == "cpu"
    lower = run_json("own_models:of_one_size", folder, "--precision", "bfloat16", "--timing")
    assert lower["timing"]["precision"] == "bfloat16"
    for one, other in zip(plain["samples"], lower["samples"], strict=True):
        assert one["relevance_sum"] == pytest.approx(other["relevance_sum"], abs=0.05)
    assert [each["relevance_sum"] for each in plain["samples"]] != [each["relevance_sum"] for each in lower["samples"]]
    small = run_json("own_models:of_one_size", folder, "--memory-limit", "1 KB", "--timing")
    assert small["timing"]["batches"] == {"1": 5}
    assert "batch sizes" in run("own_models:of_one_size", folder, "--timing").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--batch-size", "some"], "no number of inputs"),
        (["--memory-limit", "much"], "no amount of memory"),
        (["--device", "toaster"], "'toaster' cannot be used"),
        (["--precision", "int8"], "not one of"),
        (["--out", "images"], "choose another --out"),
        (["--data", "images"], "no use for --data"),
    ],
)
def test_settings_that_cannot_be_met_are_refused_before_work_starts(arguments: list[str], message: str) -> None:
    result = run("own_models:of_one_size", folder_of(8, 8), *arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())
    assert sorted(file.name for file in Path("images").iterdir()) == ["0.png", "1.png"]


@pytest.mark.parametrize("option", [["--ledger"], ["--fallback", "gradient"], ["--filter", "0=1"], ["--compile"]])
def test_options_of_propagation_are_refused_by_other_methods(option: list[str]) -> None:
    result = run("own_models:of_one_size", folder_of(8, 8), *option, method="perturbation.rise")
    assert result.exit_code == 2 and f"perturbation.rise has no option {option[0]}" in " ".join(result.stderr.split())


def test_methods_of_many_runs_take_their_parameters_from_the_command_line() -> None:
    folder = folder_of(8, 8, 8)
    report = run_json(
        "own_models:of_one_size", folder, "-p", "samples=6", "-p", "cells=(2,3)", "-p", "fill=mean", "-t", "1",
        "--layer", "0", method="rise",
    )  # fmt: skip
    x = torch.cat([pixels_of(folder / f"{number}.png") for number in range(3)])
    model = load_model("own_models:of_one_size").model
    expected = xaicore.explain(
        model, x, method="perturbation.rise", target=1, samples=6, cells=(2, 3), fill="mean", layer="0"
    )
    found = relevance_in(report)
    torch.testing.assert_close(found, expected.relevance)
    assert report["method"] == "perturbation.rise" and report["parameters"]["samples"] == 6


METHODS = """
from xaicore.plugins import MethodSpec, hookimpl

XAICORE_API = "0.1"

@hookimpl
def xaicore_methods():
    return [
        MethodSpec(name="own.far", target="own_methods:Far", summary="Distance to data.", family="perturbation"),
        MethodSpec(name="own.alone", target="own_methods:Alone", summary="No engine.", family="perturbation"),
        MethodSpec(name="own.beside", target="own_methods:Beside", summary="Whole batch.", family="perturbation"),
        MethodSpec(name="own.learnt", target="own_methods:Learnt", summary="Learns.", family="perturbation"),
    ]
"""
CLASSES = """
import torch
from xaicore.analyzers import Analyzer, Attribution, ExpansionAnalyzer
from xaicore.errors import NotFittedError

class Far(ExpansionAnalyzer):
    def __init__(self, model, *, baseline):
        super().__init__(model)
        self.baseline = baseline

    def attribute(self, evaluation, engine):
        every = [self.baseline.at(evaluation.varied, number) for number in range(self.baseline.count)]
        return Attribution({name: x - sum(each[name] for each in every) for name, x in evaluation.varied.items()})

class Alone(Analyzer):
    sizes = []

    def analyze(self, inputs, target=None, *, batch_size=None):
        self.sizes.append(batch_size)
        return Nothing(self.model).analyze(inputs, target)

class Nothing(ExpansionAnalyzer):
    def attribute(self, evaluation, engine):
        return Attribution({name: torch.zeros_like(x) for name, x in evaluation.varied.items()})

class Beside(ExpansionAnalyzer):
    needs_whole_batch = True

    def attribute(self, evaluation, engine):
        return Attribution({name: x - x.mean(0) for name, x in evaluation.varied.items()})

class Learnt(ExpansionAnalyzer):
    def fit(self, data=None):
        self.mean_ = torch.as_tensor(data).mean(0)
        return self

    def attribute(self, evaluation, engine):
        if not hasattr(self, "mean_"):
            raise NotFittedError("own.learnt must learn first: analyzer.fit(data).")
        return Attribution({name: x - self.mean_ for name, x in evaluation.varied.items()})
"""


@pytest.fixture
def own_methods(site: Any) -> Iterator[None]:
    """A plugin with methods of a third party."""
    site.install("xai-own", "own", METHODS)
    (site.folder / "own_methods.py").write_text(CLASSES)
    yield
    sys.modules.pop("own_methods", None)


@pytest.mark.parametrize(("method", "share"), [("own.far", 1.0), ("own.learnt", 0.5)])
def test_data_become_the_baseline_or_are_learnt_from(own_methods: None, method: str, share: float) -> None:
    data = np.array([[1.0, 2.0, 3.0], [3.0, 2.0, 4.0]], np.float32)
    np.save("data.npy", data)
    np.save("x.npy", np.zeros((3, 3), np.float32))
    missing = run("own_models:of_numbers", "x.npy", method=method)
    assert missing.exit_code == 2 and "--data FILE" in missing.stderr
    report = run_json("own_models:of_numbers", "x.npy", "--data", "data.npy", method=method)
    found = relevance_in(report)
    torch.testing.assert_close(found, -share * torch.from_numpy(data.sum(0)).expand(3, 3))


def test_methods_without_an_engine_get_the_batch_size_and_refuse_the_rest(own_methods: None) -> None:
    np.save("x.npy", np.zeros((3, 3), np.float32))
    run_json("own_models:of_numbers", "x.npy", "--batch-size", "2", method="own.alone")
    assert sys.modules["own_methods"].Alone.sizes == [2, 2]
    for option in (["--precision", "bfloat16"], ["--memory-limit", "1 GB"], ["--timing"]):
        refused = run("own_models:of_numbers", "x.npy", *option, method="own.alone")
        assert refused.exit_code == 2 and f"cannot be run with {option[0]}" in " ".join(refused.stderr.split())


def test_samples_that_a_method_compares_are_explained_together(own_methods: None) -> None:
    values = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
    np.save("x.npy", values[:3])
    np.save("y.npy", values[3:])
    report = run_json("own_models:of_numbers", "x.npy", "y.npy", "--batch-size", "1", method="own.beside")
    torch.testing.assert_close(relevance_in(report), torch.from_numpy(values - values.mean(0)))
    values[3, 0] = np.inf
    np.save("y.npy", values[3:])
    failed = run("own_models:of_numbers", "x.npy", "y.npy", method="own.beside")
    assert failed.exit_code == 2 and "Skipped" not in failed.stderr


def test_data_fill_what_a_method_hides(own_methods: None) -> None:
    folder = folder_of(8)
    data = np.random.default_rng(1).random((2, 3, 8, 8)).astype(np.float32)
    np.save("data.npy", data)
    report = run_json(
        "own_models:of_one_size", folder, "--data", "data.npy", "-p", "samples=5", "-t", "0", method="perturbation.rise"
    )
    expected = xaicore.explain(
        load_model("own_models:of_one_size").model, pixels_of(folder / "0.png"), method="perturbation.rise",
        target=0, samples=5, fill=Data(data),
    )  # fmt: skip
    torch.testing.assert_close(relevance_in(report), expected.relevance)


def test_a_misspelt_parameter_is_not_taken_for_missing_data() -> None:
    folder = folder_of(8)
    misspelt = run("own_models:of_one_size", folder, "-p", "step=3", method="gradients.integrated")
    assert misspelt.exit_code == 2 and "'steps'" in misspelt.stderr and "--data" not in misspelt.stderr
    missing = run("own_models:of_one_size", folder, method="gradients.expected")
    assert missing.exit_code == 2 and ". On the command line, data are given by --data" in missing.stderr


def test_figures_are_cut_at_a_percentile_and_laid_over_the_image() -> None:
    folder = folder_of(8)
    run_json("own_models:of_one_size", folder, "-o", "plain")
    run_json("own_models:of_one_size", folder, "--percentile", "90", "--overlaid", "-o", "drawn")
    explanation = xaicore.load_explanation("drawn/0.safetensors")
    explanation.plot(mean=0.0, std=1.0, percentile=90, overlaid=True).savefig("expected.png")
    drawn, expected, plain = (pixels_of(Path(f"{name}.png")) for name in ("drawn/0", "expected", "plain/0"))
    assert drawn.equal(expected) and not drawn.equal(plain)
    run_json("own_models:of_one_size", folder, "--overlaid", "--layer", "0", "-o", "inside")
