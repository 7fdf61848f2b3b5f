"""`xaicore explain` on many files: streamed, what fails is told and left out, what is finished stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from explaining import folder_of, here, pixels_of, relevance_in, run, run_json
from PIL import Image

import xaicore
from xaicore.cli.images import ImageOptions, read_image
from xaicore.cli.models import load_model
from xaicore.cli.stream import Piece, Stream
from xaicore.cli.writing import write

__all__ = ["here"]  # a fixture for all tests


def test_files_that_cannot_be_read_or_explained_are_told_of_and_left_out() -> None:
    folder = folder_of(8, -1, 9, 8, 9)
    Image.fromarray(np.full((8, 8), 40_000, dtype=np.uint16)).save(folder / "deep.png")
    result = run("own_models:of_one_size", folder, "-o", "out")
    assert result.exit_code == 0, result.output
    lines = result.stderr.splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        f"Skipped {folder / name}" for name in ("1.png", "deep.png", "2.png", "4.png")
    ]
    assert "cannot be read as an image" in lines[0] and "more than 8 bits" in lines[1] and "--size" in lines[2]
    assert result.stdout.splitlines()[-1].startswith("Wrote 2 explanations") and "; skipped 4" in result.stdout
    assert sorted(file.name for file in Path("out").glob("*.safetensors")) == ["0.safetensors", "3.safetensors"]
    report = run_json("own_models:of_one_size", folder, "-o", "out")
    assert [record["input"] for record in report["samples"]] == ["0", "3"]
    assert [Path(each["file"]).name for each in report["skipped"]] == ["1.png", "deep.png", "2.png", "4.png"]
    assert "more than 8 bits" in report["skipped"][1]["reason"]


def test_names_of_files_cannot_drive_the_terminal() -> None:
    folder = folder_of(8)
    (folder / "0.png").rename(folder / "a\x1b[2J\nb.png")
    told = run("own_models:of_one_size", folder, "-o", "out").stdout
    assert "\x1b" not in told and "a\\x1b[2J↵b" in told


def test_where_nothing_could_be_explained_it_is_an_error() -> None:
    result = run("own_models:of_one_size", folder_of(9, -1))
    assert result.exit_code == 2 and "Nothing was explained: 2 inputs failed" in result.stderr
    assert not list(Path("explanations").glob("*"))
    report = run_json("own_models:of_one_size", "images", exit_code=2)
    assert report["samples"] == [] and len(report["skipped"]) == 2


@pytest.mark.parametrize("size", [-1, 9])
def test_a_file_that_is_named_alone_must_be_sound(size: int) -> None:
    folder = folder_of(size)
    result = run("own_models:of_one_size", folder / "0.png")
    assert result.exit_code != 0 and "Skipped" not in result.output and "Nothing was explained" not in result.output
    assert run("own_models:of_one_size", folder).exit_code == 2


def test_what_is_wrong_with_the_request_ends_the_run() -> None:
    folder = folder_of(8, 8)
    for extra, message in ((["-t", "9"], "valid values are 0 to 4"), (["--layer", "nowhere"], "nowhere")):
        result = run("own_models:of_one_size", folder, *extra)
        assert result.exit_code == 2 and message in result.stderr and "Skipped" not in result.stderr


def test_errors_of_the_model_itself_are_told_with_their_type() -> None:
    report = run_json("own_models:Reader", folder_of(8, 10, 8), "-p", "samples=4", method="perturbation.rise")
    assert [record["input"] for record in report["samples"]] == ["0", "2"]
    assert "KeyError: 'a size that nobody thought of'" in report["skipped"][0]["reason"]


def test_images_of_several_sizes_are_explained_in_the_order_of_their_names() -> None:
    sizes = (8, 11, 8, 9, 11, 11)
    folder = folder_of(*sizes)
    report = run_json("own_models:of_any_size", folder, "--batch-size", "2", "-t", "[0, 1, 2, 3, 4, 0]")
    assert [record["input"] for record in report["samples"]] == [str(number) for number in range(6)]
    model = load_model("own_models:of_any_size").model
    for number, record in enumerate(report["samples"]):
        x = pixels_of(folder / f"{number}.png")
        expected = xaicore.explain(model, x, method="lrp.epsilon", target=number % 5)
        found = xaicore.load_explanation(record["files"][0])
        assert record["target"] == str(number % 5)
        torch.testing.assert_close(found.relevance, expected.relevance)


def test_diagnostics_count_samples_in_the_order_of_the_inputs() -> None:
    folder = folder_of(8, 11, 11, 11)
    text = run("own_models:of_any_size", folder, "--batch-size", "3").stdout
    gaps = [each["conservation_gap"] for each in run_json("own_models:of_any_size", folder)["samples"]]
    assert f"(sample {int(np.argmax(gaps))})" in text


def test_one_target_a_sample_stays_with_its_sample_where_others_are_skipped() -> None:
    folder = folder_of(8, -1, 8)
    report = run_json("own_models:of_one_size", folder, "-t", "[4, 3, 2]")
    assert [record["target"] for record in report["samples"]] == ["4", "2"]
    result = run("own_models:of_one_size", folder, "-t", "[4, 2]")
    assert result.exit_code == 2 and "2 targets for 3 samples" in result.stderr


@pytest.mark.parametrize("suffix", ["npy", "pt", "csv"])
def test_arrays_are_read_a_batch_at_a_time(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    if suffix == "npy":
        np.save("a.npy", values)
    elif suffix == "pt":
        torch.save(torch.from_numpy(values), "a.pt")
    else:
        np.savetxt("a.csv", values, delimiter=",", fmt="%.9g")
    pieces = list(Stream([Path(f"a.{suffix}")], ImageOptions(), 4, _never))
    assert [len(piece.names) for piece in pieces] == [4, 4, 2]
    assert [number for piece in pieces for number in piece.numbers] == list(range(10))
    torch.testing.assert_close(torch.cat([piece.inputs for piece in pieces]), torch.from_numpy(values))
    report = run_json("own_models:of_numbers", f"a.{suffix}", "--batch-size", "4", "-t", "1")
    expected = xaicore.explain(
        load_model("own_models:of_numbers").model, torch.from_numpy(values), method="lrp.epsilon", target=1
    )
    assert [record["input"] for record in report["samples"]] == [f"a_{number}" for number in range(10)]
    found = relevance_in(report)
    torch.testing.assert_close(found, expected.relevance)


def _never(path: Path, error: Exception) -> None:
    raise error


def test_no_more_images_wait_in_memory_than_a_batch_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    import weakref

    folder = folder_of(*[8, 9, 10, 8, 11] * 6)
    alive: weakref.WeakSet[torch.Tensor] = weakref.WeakSet()
    most = 0

    def counted(path: Path, options: ImageOptions) -> torch.Tensor:
        nonlocal most
        most = max(most, len(alive))
        image = read_image(path, options)
        alive.add(image)
        return image

    monkeypatch.setattr("xaicore.cli.stream.read_image", counted)
    seen: list[Piece] = []
    for piece in Stream(sorted(folder.iterdir()), ImageOptions(), 4, _never):
        seen.append(Piece(None, piece.names, piece.files, piece.numbers))
        del piece
    assert sorted(number for piece in seen for number in piece.numbers) == list(range(30))
    assert 2 < most <= 5


def test_a_bad_sample_among_arrays_is_left_out_alone() -> None:
    values = np.ones((5, 3), np.float32)
    np.save("good.npy", values)
    values[2, 1] = np.nan
    np.save("part.npy", values)
    Path("bad.csv").write_text("1,2,3\n4,5\n")
    report = run_json("own_models:of_numbers", "part.npy", "bad.csv", "good.npy")
    names = [f"part_{n}" for n in (0, 1, 3, 4)] + [f"good_{n}" for n in range(5)]
    assert [record["input"] for record in report["samples"]] == names
    assert sorted(each["input"] for each in report["skipped"]) == ["bad.csv", "part_2"]
    alone = run("own_models:of_numbers", "part.npy")
    assert alone.exit_code == 2 and "NaN" in alone.stderr


def test_standard_error_stays_empty_where_all_is_well_and_nobody_watches() -> None:
    assert run("own_models:of_one_size", folder_of(*[8] * 5), "--batch-size", "2").stderr == ""


def test_ctrl_c_keeps_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []

    def interrupted(*arguments: Any) -> list[str]:
        written.append(arguments[1])
        if len(written) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return write(*arguments)

    monkeypatch.setattr("xaicore.cli.explain.write", interrupted)
    report = run_json("own_models:of_one_size", folder_of(*[8] * 4), "--batch-size", "1", exit_code=130)
    assert report["interrupted"] and [record["input"] for record in report["samples"]] == ["0", "1"] == written
    assert all(Path(file).is_file() for record in report["samples"] for file in record["files"])


def test_ctrl_c_while_the_model_runs_keeps_the_batches_before() -> None:
    folder = folder_of(*[8] * 20)
    arguments = ["--batch-size", "2", "-p", "samples=4", "-o", "out"]
    result = run("own_models:Interrupted", folder, *arguments, method="perturbation.rise")
    assert result.exit_code == 130, result.output
    written = sorted(int(file.stem) for file in Path("out").glob("*.safetensors"))
    assert 0 < len(written) < 20 and f"Wrote {len(written)} explanation" in result.stdout
    assert result.stdout.rstrip().endswith("interrupted")
