"""What the benchmarks share: models, the clock, the memory."""

from __future__ import annotations

import ctypes
import gc
import statistics
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import zoo

Run = Callable[[], Any]


def build(name: str) -> nn.Module:
    """Return a torchvision model with seeded weights that do not require a gradient."""
    with zoo.seeded():
        model = getattr(zoo.import_torchvision().models, name)(weights=None)
        zoo.randomise_constants(model)
        zoo.calibrate_batch_norm(model, torch.randn(2, 3, 224, 224))
    return model.eval().requires_grad_(False)


def medians(runs: Mapping[str, Run], repeats: int) -> dict[str, float]:
    """Return the median seconds of each run; they take turns, so that whatever else happens slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            times[name].append(timed(run))
    return {name: statistics.median(each) for name, each in times.items()}


def timed(run: Run) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def peak_memory(run: Run) -> float | None:
    """Return how far the resident memory of the process rises during a run, in MiB; None off Linux."""
    pages = Path("/proc/self/statm")
    if not pages.exists():
        return None

    def resident() -> float:
        return int(pages.read_text().split()[1]) * 4096 / 2**20

    # What earlier runs freed is given back to the system first, or nothing would seem to be needed.
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    done, before = threading.Event(), resident()
    highest = [before]

    def watch() -> None:
        while not done.wait(0.002):
            highest[0] = max(highest[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    run()
    done.set()
    watcher.join()
    return highest[0] - before
