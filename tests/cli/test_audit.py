"""`xaicore audit`: folders with one sub-folder a class, and files of arrays."""

from __future__ import annotations

import csv
import json
import math
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

import xaicore
from xaicore.cli import labelled
from xaicore.cli.main import cli
from xaicore.cli.models import load_model

MODELS = """
from torch import nn

def of_one_size():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3))
"""
METHOD = "gradients.input_x_gradient"
CLASSES = ("cat", "cow", "dog")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_models.py").write_text(MODELS)
    yield
    sys.modules.pop("own_models", None)


def pixels(number: int, side: int = 8) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def folders(samples: int = 6, side: int = 8) -> Path:
    """Images and masks of three classes; the object is in other rows for each image."""
    for label, name in enumerate(CLASSES):
        for kind in ("data", "masks"):
            Path(kind, name).mkdir(parents=True)
        for number in range(samples):
            Image.fromarray(pixels(10 * label + number, side)).save(f"data/{name}/{number}.png")
            mask = np.zeros((side, side), np.uint8)
            mask[number : number + 2, 1:5] = 255
            Image.fromarray(mask).save(f"masks/{name}/{number}.png")
    return Path("data")


def tensors(samples: int = 6) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    images = [pixels(10 * label + number) for label in range(3) for number in range(samples)]
    x = torch.from_numpy(np.stack(images).astype(np.float32) / 255).permute(0, 3, 1, 2).contiguous()
    masks = torch.zeros(len(images), 8, 8, dtype=torch.bool)
    for place in range(len(images)):
        masks[place, place % samples : place % samples + 2, 1:5] = True
    return x, torch.arange(3).repeat_interleave(samples), masks


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(cli, ["audit", "own_models:of_one_size", *map(str, arguments), "-m", METHOD])


def run_json(*arguments: str | Path) -> Any:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def expected(data: Any, **options: Any) -> xaicore.Audit:
    return xaicore.audit(load_model("own_models:of_one_size").model, data, method=METHOD, **options)


def check_same(report: Any, audit: xaicore.Audit) -> None:
    assert [each["label"] for each in report["classes"]] == [record.label for record in audit.classes]
    for each, record in zip(report["classes"], audit.classes, strict=True):
        assert each["focus"] == (None if math.isnan(record.focus) else pytest.approx(record.focus, rel=1e-4))
        assert each["accuracy"] == record.accuracy and each["samples"] == record.samples


def test_folders_of_images_and_masks_come_to_what_the_function_says() -> None:
    report = run_json(folders(), "--masks", "masks")
    check_same(report, expected(tensors()))
    assert {each["name"] for each in report["classes"]} == set(CLASSES)
    members = sorted(name for each in report["clusters"] for name in each["members"])
    assert members[:2] == ["cat/0.png", "cat/1.png"] and len(members) == 18


def test_everything_is_written_and_told() -> None:
    result = run(folders(), "--masks", "masks", "-o", "out", "--report", "page.html", "--timing")
    assert result.exit_code == 0, result.output
    written = {file.name for file in Path("out").iterdir()}
    assert written == {"audit.png", "audit.json", "audit.safetensors", "classes.csv", "clusters.csv", "samples.csv"}
    assert "RANK" in result.stdout and "Wrote the report to page.html" in result.stdout
    text = Path("page.html").read_text(encoding="utf-8")
    assert (
        "xaicore audit own_models:of_one_size data --masks masks" in text
        and "What own_models:of_one_size looks at" in text
    )
    read = xaicore.Audit.load("out/audit.safetensors")
    assert len(read) == 18 and read.labels == list(CLASSES)
    with open("out/samples.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[7]["name"] == "cow/1.png" and rows[7]["true"] == "cow"
    assert float(rows[7]["inside"]) == pytest.approx(read.samples.inside[7])
    with open("out/classes.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == [record.name for record in read.classes]


@pytest.mark.parametrize("suffix", ["npz", "pt"])
def test_arrays_in_a_file(suffix: str) -> None:
    x, y, masks = tensors()
    if suffix == "npz":
        np.savez("data.npz", x=x.numpy(), y=y.numpy(), masks=masks.numpy())
    else:
        torch.save({"x": x, "y": y, "masks": masks}, "data.pt")
    check_same(run_json(f"data.{suffix}"), expected((x, y, masks)))
    np.save("boxes.npy", np.tile([0, 0, 4, 8], (18, 1)))
    boxes = {"x": x, "y": y, "boxes": [[0, 0, 4, 8]] * 18}
    check_same(run_json(f"data.{suffix}", "--boxes", "boxes.npy"), expected(boxes))


def test_boxes_of_files_may_be_several_or_missing() -> None:
    data = folders()
    lines = [f"{name}/{number}.png,0,0,4,8" for name in CLASSES for number in range(6) if (name, number) != ("cow", 3)]
    Path("boxes.csv").write_text("\n".join(["file,x1,y1,x2,y2", *lines, "dog/5.png,6,0,8,2"]))
    report = run_json(data, "--boxes", "boxes.csv")
    x, y, _ = tensors()
    boxes: list[Any] = [[0, 0, 4, 8]] * 18
    boxes[9], boxes[17] = [], [[0, 0, 4, 8], [6, 0, 8, 2]]
    check_same(report, expected({"x": x, "y": y, "boxes": boxes}))
    assert any("not given for 1 of 18 images" in note for note in report["notes"])


def test_images_and_masks_of_several_sizes_are_cropped_alike() -> None:
    for kind in ("data", "masks"):
        for name in CLASSES:
            Path(kind, name).mkdir(parents=True)
    for label, name in enumerate(CLASSES):
        for number in range(4):
            wide = 16 + 4 * number  # cropped to the square in its middle
            picture = np.zeros((16, wide, 3), np.uint8)
            left = (wide - 16) // 2
            picture[:8, left : left + 8] = 40 * (label + number + 1)
            mask = np.zeros((16, wide), np.uint8)
            mask[:8, left : left + 8] = 1
            Image.fromarray(picture).save(f"data/{name}/{number}.png")
            Image.fromarray(mask).save(f"masks/{name}/{number}.png")
    run_json("data", "--masks", "masks", "--size", "8")
    read = xaicore.Audit.load("audit/audit.safetensors")
    np.testing.assert_allclose(read.samples.chance, np.full(12, 0.25))
    assert read.samples.inside.min() > 0.8  # but for what interpolation spreads over the edge
    result = run("data")
    assert result.exit_code == 2 and "--size" in result.stderr


def test_images_of_a_size_that_the_model_does_not_take_are_told_of_and_left_out() -> None:
    data = folders()
    Image.fromarray(pixels(1, 12)).save("data/dog/6.png")
    result = run(data, "--json")
    assert result.exit_code == 0, result.output
    (skipped,) = json.loads(result.stdout)["skipped"]
    assert skipped["input"] == "dog/6.png" and "--size" in skipped["reason"]
    x, y, _ = tensors()
    check_same(json.loads(result.stdout), expected((x, y)))


def test_files_and_masks_that_cannot_be_read_are_told_of_and_left_out() -> None:
    data = folders()
    Path("data/cow/6.png").write_text("no image")
    Path("masks/dog/1.png").write_text("no image")
    Image.new("L", (4, 4)).save("masks/cat/2.png")
    result = run(data, "--masks", "masks", "--json")
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert sorted(each["input"] for each in report["skipped"]) == ["cat/2.png", "cow/6.png", "dog/1.png"]
    assert report["samples"] == 16
    assert sum(note.startswith(("cat/2", "cow/6", "dog/1")) for note in report["notes"]) == 3
    assert result.stderr.count("Skipped data") == 3
    kept = [place for place in range(18) if place not in (2, 13)]
    check_same(report, expected(tuple(part[kept] for part in tensors())))


def test_labels_say_in_which_order_the_model_knows_the_classes() -> None:
    data = folders()
    Path("labels.txt").write_text("dog\ncat\ncow\n")
    report = run_json(data, "--labels", "labels.txt", "--classes", "cat,0")
    x, y, _ = tensors()
    known = torch.tensor([1, 2, 0])[y]
    check_same(report, expected((x, known), classes=[0, 1]))
    Path("labels.txt").write_text("dog\ncat\ncaw\n")
    result = run(data, "--labels", "labels.txt")
    assert result.exit_code == 2 and "folder 'cow'" in result.stderr and "did you mean 'caw'" in result.stderr.lower()


def test_after_ctrl_c_what_is_finished_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    data = folders()
    read = labelled.LabelledFolders._with_masks

    def interrupted(self: Any, piece: Any) -> Any:
        if 12 in piece.numbers:
            os.kill(os.getpid(), signal.SIGINT)
        return read(self, piece)

    monkeypatch.setattr(labelled.LabelledFolders, "_with_masks", interrupted)
    result = run(data, "--batch-size", "6")
    assert result.exit_code == 130 and "interrupted: only the first 12 samples" in result.stdout
    assert len(xaicore.Audit.load("audit/audit.safetensors")) == 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere"], "no file or folder 'nowhere'"),
        (["flat"], "has no sub-folders"),
        (["flat", "a.npz"], "not both"),
        (["own_models.py"], "no folder and no file of arrays"),
        (["x.npz"], "it needs x, the inputs, and y"),
        (["broken.npz"], "cannot be read as arrays"),
        (["pickled.pt"], "could run code"),
        (["data", "--masks", "masks", "--boxes", "b.csv"], "not both"),
        (["data", "--boxes", "text.csv"], "needs the columns file, x1"),
        (["data", "--boxes", "masks"], "is a folder"),
        (["data", "--boxes", "others.csv"], "'others.csv' has nothing for any image"),
        (["data", "--masks", "flat"], "'flat' has nothing for any image"),
        (["data", "--clusters", "none"], "clusters='none'"),
        (["data", "--classes", "caw"], "did you mean 'cow'"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments: list[str], message: str) -> None:
    folders(2)
    Path("flat").mkdir()
    Image.fromarray(pixels(0)).save("flat/a.png")
    np.savez("a.npz", x=np.zeros(2), y=np.zeros(2))
    np.savez("x.npz", x=np.zeros(2))
    Path("others.csv").write_text("file,x1,y1,x2,y2\nelsewhere/0.png,0,0,4,8")
    Path("broken.npz").write_bytes(b"PK\x03\x04 broken")
    torch.save({"x": Path("a")}, "pickled.pt")
    Path("text.csv").write_text("a,b\n1,2\n")
    result = run(*arguments)
    assert result.exit_code == 2 and message.lower() in result.stderr.lower(), result.output
    assert not Path("audit").exists()
