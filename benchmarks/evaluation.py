"""What pixel flipping costs, beside its bare forward passes and beside Quantus: ``python benchmarks/evaluation.py``.

Everything runs in one process, on the same model, images and relevance, and the contenders take turns. The unit is the
same number of forwards at the batch size that is best for them: for each image one for each patch, and one of the image
as it is. We run with ``batch_size="auto"``; the relevance is given, so that no explanation is in anyone's time. Quantus
replaces patches by the same constant, and takes as many images at once as the best forwards do. Ratios are of processor
time, which says more than the clock on a machine that others use too.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measuring import Run, build, timed, zoo
from torch import Tensor, nn

import xaicore
from xaicore.analyzers import GivenRelevance
from xaicore.scoring import Case

SIZES = (8, 16, 32, 64)
FILL = 0.0


def forwards_of(model: nn.Module, images: Tensor, runs: int, size: int) -> Run:
    """So many forwards of each image, so many rows at a time, of rows that are there already."""

    def run() -> None:
        with torch.no_grad():
            for _ in range(runs):
                for part in images.split(size):
                    model(part)

    return run


def best_size(model: nn.Module, images: Tensor) -> int:
    """The batch size at which forwards are fastest, from a few of them."""
    runs = {size: forwards_of(model, images, 2, size) for size in SIZES if size <= len(images)}
    for run in runs.values():
        run()
    seconds = {size: min(timed(run), timed(run)) for size, run in runs.items()}
    return min(seconds, key=lambda size: seconds[size])


def ours(model: nn.Module, images: Tensor, relevance: Tensor, patch: int) -> dict[str, Callable[[], Tensor]]:
    """The values of our metrics: of the curve's area, and of the mean loss over all steps."""

    def call(name: str, **parameters: Any) -> Callable[[], Tensor]:
        metric = xaicore.create_metric(name, patch=patch, **parameters)
        analyzer = GivenRelevance(model, relevance=relevance)
        explanation = analyzer.analyze(images, 0)
        return lambda: metric.score(Case(analyzer, images, 0, explanation=explanation)).values

    return {
        "evaluation.pixel_flipping": call("evaluation.pixel_flipping", fill=FILL),
        "evaluation.region_perturbation": call("evaluation.region_perturbation", fill=FILL),
    }


def quantus_values(model: nn.Module, images: Tensor, relevance: Tensor, patch: int, size: int) -> dict[str, Run]:
    """Quantus' metrics of the same patches and fill; each returns its curves."""
    try:
        import quantus
    except ImportError:
        return {}
    settings: dict[str, Any] = {
        "abs": False, "normalise": False, "perturb_baseline": FILL, "disable_warnings": True,
        "display_progressbar": False, "return_aggregate": False,
    }  # fmt: skip
    arrays = {"x_batch": images.numpy(), "a_batch": relevance.sum(1, keepdim=True).numpy()}
    classes = torch.zeros(len(images), dtype=torch.long).numpy()

    def call(metric: Any) -> Run:
        def run() -> Any:
            with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
                warnings.simplefilter("ignore")
                return metric(model=model, y_batch=classes, batch_size=size, softmax=False, device="cpu", **arrays)

        return run

    regions = quantus.RegionPerturbation(patch_size=patch, regions_evaluation=10**6, order="morf", **settings)
    return {"quantus RegionPerturbation": call(regions)}


def measure(name: str, samples: int, side: int, patches: int, repeats: int, others: bool) -> dict[str, Any]:
    """Time all contenders on one model."""
    model = build(name)
    images = torch.randn(samples, 3, side * patches, side * patches)
    relevance = xaicore.explain(model, images, method="gradients.input_x_gradient", target=0).relevance
    assert isinstance(relevance, Tensor)
    runs_each = patches**2 + 1
    size = best_size(model, images)
    mine = ours(model, images, relevance, side)
    theirs = quantus_values(model, images, relevance, side, size) if others else {}
    runs: dict[str, Run] = {f"{runs_each} forwards": forwards_of(model, images, runs_each, size), **mine, **theirs}
    wall, spent, values = taking_turns(runs, repeats)
    rows = [
        {"name": each, "seconds": wall[each], "cpu": spent[each], "ratio": spent[each] / spent[f"{runs_each} forwards"]}
        | {"value": _value(values[each])}
        for each in runs
    ]
    return {"model": name, "samples": samples, "side": side * patches, "patches": patches**2, "repeats": repeats,
            "best batch": size, "rows": rows}  # fmt: skip


def taking_turns(runs: dict[str, Run], repeats: int) -> tuple[dict[str, float], dict[str, float], dict[str, Any]]:
    """Median seconds by the clock and of the processor, and what each run returned; the model is warm already."""
    wall: dict[str, list[float]] = {name: [] for name in runs}
    spent: dict[str, list[float]] = {name: [] for name in runs}
    values: dict[str, Any] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            clock, processor = time.perf_counter(), time.process_time()
            values[name] = run()
            wall[name].append(time.perf_counter() - clock)
            spent[name].append(time.process_time() - processor)
    medians = ({name: statistics.median(each) for name, each in times.items()} for times in (wall, spent))
    return *medians, values  # type: ignore[return-value]


def _value(found: Any) -> float | None:
    """The mean score over samples."""
    if found is None:
        return None
    return float(np.mean(found if isinstance(found, list) else found.numpy()))


def table(result: dict[str, Any]) -> str:
    """Write a result as text."""
    lines = [
        f"{result['model']}, {result['samples']} images of {result['side']}x{result['side']}, {result['patches']} "
        f"patches, float32, {torch.get_num_threads()} threads, median of {result['repeats']}; forwards at their best "
        f"batch of {result['best batch']}",
        f"{'':36}{'seconds':>9}{'of CPU':>9}{'ratio':>8}{'mean score':>13}",
    ]
    for row in result["rows"]:
        value = "" if row["value"] is None else f"{row['value']:.6f}"
        lines.append(f"{row['name']:36}{row['seconds']:9.2f}{row['cpu']:9.2f}{row['ratio']:8.2f}{value:>13}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet18"], help="names of torchvision models")
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--patches", type=int, default=7, help="along each side of an image")
    parser.add_argument("--side", type=int, default=10, help="of a patch, in pixels")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="leave Quantus out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    zoo.import_torchvision()  # before Quantus, which imports it too
    results = []
    for name in options.models:
        results.append(
            measure(name, options.samples, options.side, options.patches, options.repeats, not options.alone)
        )
        print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
