"""Models and inputs as they are named on the command line."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from xaicore.cli.images import ImageOptions, input_channels, read_image
from xaicore.cli.inputs import load_inputs
from xaicore.cli.models import load_model
from xaicore.errors import FileError, InputError, XaicoreError

FACTORY = """
import torch

def make():
    return torch.nn.Sequential(torch.nn.Linear(3, 2))

ready = make()
Class = torch.nn.Identity
number = 3

def other():
    return 3

def broken():
    return 1 / 0
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Stand in an empty folder, with what is imported from it forgotten afterwards."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    (tmp_path / "own_model.py").write_text(FACTORY)
    yield tmp_path
    for name in {"own_model", "half_a_model"} & (set(sys.modules) - before):
        del sys.modules[name]


@pytest.mark.parametrize("name", ["make", "ready", "Class"])
def test_a_factory_an_instance_or_a_class_in_the_current_folder_is_a_model(here: Path, name: str) -> None:
    assert isinstance(load_model(f"own_model:{name}").model, nn.Module)


def test_random_weights_are_the_same_in_every_run_and_leave_the_random_state_alone(here: Path) -> None:
    state = torch.get_rng_state()
    first, second = (load_model("own_model:make").model for _ in range(2))
    torch.testing.assert_close(first.state_dict(), second.state_dict(), rtol=0, atol=0)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("own_model", "names no model"),
        ("own_model:", "names no model"),
        ("own_mode:make", "no module 'own_mode'"),
        ("own_model:mak", "Did you mean 'make'"),
        ("own_model:number", "neither a torch.nn.Module nor a function"),
        ("own_model:other", "gives a int"),
    ],
)
def test_what_names_no_model_is_a_usage_error(here: Path, spec: str, message: str) -> None:
    with pytest.raises(click.BadParameter, match=message):
        load_model(spec)


def test_a_failure_in_the_users_code_is_reported_as_such(here: Path) -> None:
    with pytest.raises(XaicoreError, match=r"own_model:broken\(\) failed: ZeroDivisionError"):
        load_model("own_model:broken")
    (here / "half_a_model.py").write_text("import package_that_is_not_there")
    with pytest.raises(
        XaicoreError, match="Importing 'half_a_model' failed: No module named 'package_that_is_not_there'"
    ):
        load_model("half_a_model:make")


@pytest.mark.parametrize("file", ["w.safetensors", "w.pt"])
def test_weights_are_loaded_from_safetensors_and_state_dicts(here: Path, file: str) -> None:
    weights = {"0.weight": torch.arange(6.0).reshape(2, 3), "0.bias": torch.tensor([7.0, 8.0])}
    save_file(weights, here / file) if file == "w.safetensors" else torch.save({"state_dict": weights}, here / file)
    torch.testing.assert_close(dict(load_model("own_model:make", here / file).model.state_dict()), weights)


def test_weights_that_do_not_fit_are_refused_by_name(here: Path) -> None:
    save_file({"0.weight": torch.zeros(3, 3), "1.bias": torch.zeros(2)}, here / "w.safetensors")
    with pytest.raises(FileError) as caught:
        load_model("own_model:make", here / "w.safetensors")
    assert "1 missing (0.bias)" in str(caught.value)
    assert "1 unexpected (1.bias)" in str(caught.value)
    assert "0.weight (3, 3) instead of (2, 3)" in str(caught.value)


def test_a_weight_shared_under_two_names_may_be_saved_under_one(here: Path) -> None:
    (here / "own_model.py").write_text(
        "import torch\ndef make():\n    a = torch.nn.Linear(2, 2, bias=False)\n    return torch.nn.Sequential(a, a)\n"
    )
    save_file({"0.weight": torch.eye(2)}, here / "w.safetensors")
    model = load_model("own_model:make", here / "w.safetensors").model
    torch.testing.assert_close(model.get_parameter("1.weight").detach(), torch.eye(2))


class NotATensor:
    """Something that only unpickling could bring back."""


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("w.pt", NotATensor(), "could run code"),
        ("w.pt", [1, 2], "no state dict"),
        ("w.pt", b"nothing", "cannot be read as weights|could run code"),
        ("w.safetensors", b"nothing", "no safetensors file"),
        ("w.pt", None, "no file of weights"),
    ],
)
def test_files_that_hold_no_weights_are_refused(here: Path, file: str, content: Any, message: str) -> None:
    if isinstance(content, bytes):
        (here / file).write_bytes(content)
    elif content is not None:
        torch.save(content, here / file)
    with pytest.raises(FileError, match=message):
        load_model("own_model:make", here / file)


def test_an_exported_program_is_a_model_and_brings_an_example(here: Path) -> None:
    program = torch.export.export(nn.Conv2d(1, 2, 3).eval(), (torch.zeros(2, 1, 5, 5),))
    torch.export.save(program, here / "model.pt2")
    loaded = load_model("model.pt2")
    assert loaded.model(*loaded.example).shape == (2, 2, 3, 3)
    assert input_channels(loaded.model) == 1


def test_a_missing_or_damaged_exported_program_is_refused(here: Path) -> None:
    with pytest.raises(FileError, match="no file"):
        load_model("model.pt2")
    (here / "model.pt2").write_bytes(b"nothing")
    with pytest.raises(FileError, match="cannot be read as a program"):
        load_model("model.pt2")


def test_a_missing_library_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchvision.models", None)
    monkeypatch.setitem(sys.modules, "transformers", None)
    for source in ("torchvision", "transformers"):
        with pytest.raises(click.BadParameter, match=f"pip install {source}"):
            load_model(f"{source}:anything")


def test_a_torchvision_model_has_random_weights_and_says_so(tmp_path: Path) -> None:
    zoo = pytest.importorskip("zoo")
    zoo.import_torchvision()
    loaded = load_model("torchvision:squeezenet1_1")
    assert loaded.warning and "random weights" in loaded.warning
    assert loaded.model(loaded.example).shape == (1, 1000)
    save_file(loaded.model.state_dict(), tmp_path / "w.safetensors")
    assert load_model("torchvision:squeezenet1_1", tmp_path / "w.safetensors").warning is None
    with pytest.raises(click.BadParameter, match="Did you mean 'resnet18'"):
        load_model("torchvision:resnet-18")


def test_a_transformers_folder_is_loaded_with_its_head_from_safetensors_only(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    config = transformers.BertConfig(
        vocab_size=11, hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=8, num_labels=3
    )
    model = transformers.BertForSequenceClassification(config).eval()
    config.architectures = ["BertForSequenceClassification"]
    config.save_pretrained(tmp_path)
    loaded = load_model(f"transformers:{tmp_path}")
    assert loaded.warning and "random weights" in loaded.warning
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(FileError, match="pickled"):
        load_model(f"transformers:{tmp_path}")
    model.save_pretrained(tmp_path)
    loaded = load_model(f"transformers:{tmp_path}")
    assert loaded.warning is None
    torch.testing.assert_close(loaded.model.eval()(**loaded.example).logits, model(**loaded.example).logits)
    with pytest.raises(FileError, match=r"config\.json"):
        load_model(f"transformers:{tmp_path / 'nowhere'}")


def save_image(path: Path, mode: str = "RGB", size: tuple[int, int] = (4, 2)) -> Path:
    width, height = size
    ramp = np.linspace(0, 255, width * height).round().astype(np.uint8).reshape(height, width)
    Image.fromarray(ramp).convert(mode).save(path)
    return path


def test_pixels_lie_between_zero_and_one_and_are_normalised(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png")
    plain = read_image(path, ImageOptions())
    assert plain.shape == (3, 2, 4) and plain.min() == 0 and plain.max() == 1
    changed = read_image(path, ImageOptions(mean=(0.5, 0.0, 1.0), std=(2.0,)))
    torch.testing.assert_close(changed, (plain - torch.tensor([0.5, 0.0, 1.0])[:, None, None]) / 2)


def test_images_are_grey_where_the_model_takes_one_channel(tmp_path: Path) -> None:
    channels = input_channels(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Conv2d(2, 2, 3)))
    assert read_image(save_image(tmp_path / "a.png"), ImageOptions(channels=channels)).shape == (1, 2, 4)


def test_a_size_covers_and_crops_around_the_centre(tmp_path: Path) -> None:
    path = save_image(tmp_path / "a.png", "L", (8, 4))
    cropped = read_image(path, ImageOptions(size=(4, 4), channels=1))
    torch.testing.assert_close(cropped, read_image(path, ImageOptions(channels=1))[:, :, 2:6])


def test_image_options_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="--mean has 2 values"):
        ImageOptions(mean=(0.0, 1.0))
    with pytest.raises(InputError, match="--std must be positive"):
        ImageOptions(std=(0.0,))
    with pytest.raises(InputError, match="takes 4 channels"):
        ImageOptions(channels=4)


def test_images_that_would_be_clipped_or_are_none_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((2, 2), 40_000, dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(FileError, match="more than 8 bits"):
        read_image(tmp_path / "deep.png", ImageOptions())
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(FileError, match="cannot be read as an image"):
        read_image(tmp_path / "text.png", ImageOptions())


def test_a_folder_is_its_images_in_order_of_name(tmp_path: Path) -> None:
    for name in ("b.png", "a.jpg"):
        save_image(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    samples = load_inputs([tmp_path, tmp_path / "b.png"], ImageOptions())
    assert samples.names == ["a", "b", "b_2"]
    assert samples.inputs.shape == (3, 3, 2, 4)
    torch.testing.assert_close(samples.inputs[1], samples.inputs[2])


def test_images_of_several_sizes_need_a_common_one(tmp_path: Path) -> None:
    paths = [save_image(tmp_path / "a.png"), save_image(tmp_path / "b.png", size=(6, 6))]
    with pytest.raises(FileError, match="--size"):
        load_inputs(paths, ImageOptions())
    assert load_inputs(paths, ImageOptions(size=(3, 3))).inputs.shape == (2, 3, 3, 3)


def test_arrays_count_samples_in_their_first_dimension(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.arange(6).reshape(2, 3))
    torch.save(torch.arange(3)[None], tmp_path / "b.pt")
    samples = load_inputs([tmp_path / "a.npy", tmp_path / "b.pt"], ImageOptions())
    assert samples.inputs.tolist() == [[0, 1, 2], [3, 4, 5], [0, 1, 2]]
    assert samples.names == ["a_0", "a_1", "b"]


def test_a_pt_file_may_hold_several_inputs_of_a_model(tmp_path: Path) -> None:
    torch.save({"ids": torch.ones(2, 3), "mask": torch.ones(2, 3)}, tmp_path / "a.pt")
    torch.save([torch.ones(2, 3), torch.ones(2)], tmp_path / "b.pt")
    assert set(load_inputs([tmp_path / "a.pt"], ImageOptions()).inputs) == {"ids", "mask"}
    assert isinstance(load_inputs([tmp_path / "b.pt"], ImageOptions()).inputs, tuple)
    with pytest.raises(FileError, match="on its own"):
        load_inputs([tmp_path / "a.pt", tmp_path / "b.pt"], ImageOptions())


@pytest.mark.parametrize(
    "text", ["1,2.5\n-3,4e1\n", "height,width\n1,2.5\n-3,4e1", "\ufeffa;b\r\n1;2.5\r\n\r\n-3;40\r\n", "1\t2.5\n-3\t40"]
)
def test_a_csv_file_is_numbers_with_or_without_a_header(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    assert load_inputs([tmp_path / "a.csv"], ImageOptions()).inputs.tolist() == [[1.0, 2.5], [-3.0, 40.0]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"1,2\n3\n", "line 2: 1 columns where the first line has 2"),
        ("a.csv", b"a,b\n1,x\n", "line 2, column 2: 'x' is no finite number"),
        ("a.csv", b"1,2\n3,nan\n", "line 2, column 2: 'nan'"),
        ("a.csv", b"a,b\n", "no line of numbers"),
        ("a.csv", b"", "no line of numbers"),
        ("a.csv", b"0,1,2\n5,6,7\n", "counts columns"),
        ("a.csv", b"\xff\xfe\x00", "cannot be read as text"),
        ("a.npy", b"nothing", "cannot be read as an array"),
        ("a.pt", b"nothing", "cannot be read as tensors|could run code"),
        ("a.xyz", b"nothing", "of no type that can be read"),
    ],
)
def test_damaged_and_unknown_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match=message):
        load_inputs([tmp_path / name], ImageOptions())


def test_files_with_pickled_objects_without_numbers_or_without_a_batch_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object))
    np.save(tmp_path / "words.npy", np.array(["cat"]))
    np.save(tmp_path / "number.npy", np.array(1.0))
    torch.save({"x": NotATensor()}, tmp_path / "objects.pt")
    torch.save({"x": 1}, tmp_path / "numbers.pt")
    wanted = {
        "objects.npy": "array of numbers",
        "words.npy": "array of numbers",
        "number.npy": "must count samples",
        "objects.pt": "could run code",
        "numbers.pt": "must hold a tensor",
        "nowhere.npy": "no file",
    }
    for name, message in wanted.items():
        with pytest.raises(FileError, match=message):
            load_inputs([tmp_path / name], ImageOptions())
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match="holds no image"):
        load_inputs([tmp_path / "empty"], ImageOptions())
