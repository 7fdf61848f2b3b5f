"""What tests of `xaicore explain` share: models, folders of images, and runs as a user types them."""

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

import xaicore
from xaicore.cli.main import cli

MODELS = """
import os, signal
import torch
from torch import nn

def of_one_size():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))

def of_any_size():
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 5))

def of_numbers():
    return nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))

class Interrupted(nn.Module):
    calls = 0

    def forward(self, x):
        type(self).calls += 1
        if self.calls == 12:
            os.kill(os.getpid(), signal.SIGINT)
        return x.mean((2, 3))

class Reader(nn.Module):
    def forward(self, x):
        if x.shape[-1] == 10:
            raise KeyError("a size that nobody thought of")
        return x.mean((2, 3))
"""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Stand in an empty folder with the models."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    Path("own_models.py").write_text(MODELS)
    yield
    sys.modules.pop("own_models", None)


def folder_of(*sizes: int, name: str = "images") -> Path:
    """A folder with square images 0.png, 1.png, ... of these sizes; -1 makes a file that is no image."""
    folder = Path(name)
    folder.mkdir()
    for number, size in enumerate(sizes):
        if size < 0:
            (folder / f"{number}.png").write_text("no image")
            continue
        pixels = np.random.default_rng(number).integers(0, 256, (size, size, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def pixels_of(path: Path) -> torch.Tensor:
    return torch.from_numpy(np.asarray(Image.open(path)).astype(np.float32) / 255).permute(2, 0, 1)[None]


def run(*arguments: str | Path, method: str = "lrp.epsilon") -> Result:
    return CliRunner().invoke(cli, ["explain", *map(str, arguments), "-m", method])


def run_json(*arguments: str | Path, method: str = "lrp.epsilon", exit_code: int = 0) -> Any:
    result = run(*arguments, "--json", method=method)
    assert result.exit_code == exit_code, result.output
    return json.loads(result.stdout)


def relevance_in(report: Any) -> torch.Tensor:
    """The relevance of all samples that a report names, read from their files."""
    found = [xaicore.load_explanation(record["files"][0]).relevance for record in report["samples"]]
    assert all(isinstance(relevance, torch.Tensor) for relevance in found)
    return torch.cat(found)  # type: ignore[arg-type]
