"""`xaicore compare` and `xaicore tune`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from explaining import folder_of, here, pixels_of
from matplotlib import image

import xaicore
from xaicore.cli.main import cli
from xaicore.cli.models import load_model
from xaicore.cli.options import called

__all__ = ["here"]  # a fixture for all tests

MODEL = "own_models:of_one_size"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, [str(each) for each in arguments])


def compared(*arguments: str | Path) -> Any:
    result = run("compare", MODEL, *arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_methods_are_explained_judged_drawn_and_written() -> None:
    folder = folder_of(8, 8, 8)
    methods = ["-m", "lrp.epsilon(epsilon=0.25)", "-m", "gradients.saliency"]
    found = compared(folder, *methods, "--metric", "gini", "--metric", "evaluation.pixel_flipping(patch=4)")
    assert found["by"] == "methods" and found["methods"] == ["lrp.epsilon", "gradients.saliency"]
    x = torch.cat([pixels_of(folder / f"{number}.png") for number in range(3)])
    model = load_model(MODEL).model
    alone = xaicore.explain(model, x, method="lrp.epsilon", epsilon=0.25)
    written = xaicore.load_explanation("comparison/lrp.epsilon.safetensors")
    torch.testing.assert_close(written.relevance, alone.relevance)
    analyzer = xaicore.create_analyzer("lrp.epsilon", model, epsilon=0.25)
    scores = xaicore.evaluate(analyzer, x, {"evaluation.gini": {}, "evaluation.pixel_flipping": {"patch": 4}})
    told = found["explanations"][0]["metrics"]
    for name, own in scores.items():
        assert told[name]["values"] == pytest.approx(own.values.tolist())
    assert [sample["input"] for sample in found["explanations"][0]["samples"]] == ["0", "1", "2"]
    assert image.imread("comparison/comparison.png").std() > 0.05


def test_the_table_and_the_report_are_told() -> None:
    result = run(
        "compare", MODEL, folder_of(8, 8), "-m", "lrp.zero", "-m", "saliency", "--metric", "gini", "--timing",
        "--report", "page.html", "--true", "[0, 1]",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "gini ↑" in result.stdout and "Wrote the report to page.html" in result.stdout
    assert "batch sizes" in result.stdout
    page = Path("page.html").read_text(encoding="utf-8")
    assert "gini" in page and "xaicore " in page


def test_rows_of_the_figure_are_named_by_their_files(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    plot = xaicore.Comparison.plot
    monkeypatch.setattr(
        xaicore.Comparison, "plot", lambda self, **given: asked.append(given.get("rows")) or plot(self, **given)
    )
    folder = folder_of(8, 8)
    compared(folder, "-m", "lrp.zero")
    compared(folder, "-m", "lrp.zero", "--classes", "top 2")  # has two rows a file
    assert asked == [["0", "1"], None]


def test_classes_and_models() -> None:
    folder = folder_of(8, 8)
    found = compared(folder, "-m", "lrp.zero", "--classes", "top 3")
    assert found["groups"] == ["predicted", "2nd", "3rd"]
    found = compared(folder, "-m", "lrp.zero", "--classes", "0,3", "-o", "two")
    assert found["groups"] == ["class 0", "class 3"]
    found = compared(folder, "-m", "lrp.zero", "--classes", "predicted,true", "--true", "[4, 2]", "-o", "sides")
    assert [each["target"] for each in found["explanations"][1]["samples"]] == ["4", "2"]
    found = compared(folder, "-m", "lrp.zero", "--also", "own_models:of_any_size", "-o", "models")
    assert found["groups"] == [MODEL, "own_models:of_any_size"]


def test_masks_tell_where_the_object_is() -> None:
    np.save("masks.npy", np.tri(8)[None].repeat(2, 0))
    np.save("boxes.npy", np.array([[0, 0, 4, 4], [2, 2, 8, 8]]))
    folder = folder_of(8, 8)
    for option, file in (("--masks", "masks.npy"), ("--boxes", "boxes.npy")):
        found = compared(folder, "-m", "lrp.zero", "--metric", "relevance_mass", option, file)
        values = found["explanations"][0]["metrics"]["evaluation.relevance_mass"]["values"]
        assert all(0 < value < 1 for value in values)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-m", "lrp.epsilon(0.25)"], "a name with parameters"),
        (["-m", "lrp.epsilom"], "Did you mean 'lrp.epsilon'"),
        (["-m", "lrp.zero", "--metric", "ginny"], "Did you mean 'gini'"),
        (["-m", "lrp.zero", "--metric", "relevance_mass"], "give masks="),
        (["-m", "lrp.zero", "--classes", "predicted,true"], "needs --true"),
        (["-m", "lrp.zero", "--true", "[1]"], "each of the 2 inputs"),
        (["-m", "lrp.zero", "--masks", "a.txt"], "no array file"),
        (["-m", "lrp.zero", "--also-weights", "a.pt"], "--also-weights is given 1 times"),
        (["-m", "lrp.zero", "-o", "images"], "choose another --out"),
    ],
)
def test_bad_options_of_compare_are_refused(arguments: list[str], message: str) -> None:
    result = run("compare", MODEL, folder_of(8, 8), *arguments)
    assert result.exit_code == 2 and message in " ".join(result.stderr.split())


def test_tune_ranks_candidates_and_draws_them() -> None:
    tried = ["--try", "lrp.epsilon(epsilon=[1e-6, 0.5])", "--try", "gradients.saliency"]
    result = run("tune", MODEL, folder_of(*[8] * 6), *tried, "--metric", "gini", "--held-out", "0.5")
    assert result.exit_code == 0, result.output
    assert "lrp.epsilon(epsilon=0.5)" in result.stdout and "On 3 samples that had no part" in result.stdout
    assert image.imread("tuning/ranking.png").std() > 0.05
    told = json.loads(run("tune", MODEL, "images", *tried, "--metric", "gini", "--json").stdout)
    assert len(told["candidates"]) == 3 and told["metric"] == "evaluation.gini"
    order = [each["scores"]["mean"] for each in told["candidates"]]
    assert order == sorted(order, reverse=True)


def test_tune_tells_what_it_found_where_no_candidate_has_a_score_for_every_sample(tmp_path: Path) -> None:
    np.save(tmp_path / "masks.npy", np.zeros((4, 8, 8)))
    places = ["--metric", "rank_accuracy", "--masks", tmp_path / "masks.npy"]
    result = run("tune", MODEL, folder_of(*[8] * 4), "--try", "saliency", "--held-out", "0", *places)
    assert result.exit_code == 0, result.output
    assert "undefined for all 4" in result.stdout and "Wrote the figure" not in result.stdout


def test_tune_refuses_a_space_that_makes_no_sense() -> None:
    result = run("tune", MODEL, folder_of(8, 8, 8), "--try", "lrp.epsilon(epsilo=[1])", "--metric", "gini")
    assert result.exit_code == 2 and "no parameter 'epsilo'" in result.stderr


def test_names_with_parameters_are_read() -> None:
    assert called("a.b(c=[1, 2], d='x')") == ("a.b", {"c": [1, 2], "d": "x"})
    assert called(" a.b ") == ("a.b", {})
