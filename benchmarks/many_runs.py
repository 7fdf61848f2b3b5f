"""What methods cost that run the model many times, beside Captum: ``python benchmarks/many_runs.py``.

Everything runs in one process on the same images, and the contenders take turns. The unit is the same number of plain
gradients (autograd, weights that do not require one) or plain forwards, at the batch size that is best for them. Captum
runs at the batch size that is best for it, we with ``batch_size="auto"``. Capture, once for a model, is not in our
times.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from measuring import Run, build, medians, peak_memory, timed, zoo
from torch import Tensor, nn

import xaicore

SIZES = (2, 4, 8, 16)
PATCH = 32


def gradients_of(model: nn.Module, images: Tensor, runs: int, size: int) -> Run:
    """So many gradients of each image, so many rows at a time."""

    def run() -> None:
        rows = images.repeat_interleave(runs, 0)
        for part in rows.split(size):
            point = part.detach().requires_grad_()
            torch.autograd.grad(model(point)[:, 0].sum(), point)

    return run


def forwards_of(model: nn.Module, images: Tensor, runs: int, size: int) -> Run:
    """So many forwards of each image, so many rows at a time."""

    def run() -> None:
        with torch.no_grad():
            for part in images.repeat_interleave(runs, 0).split(size):
                model(part)

    return run


def fastest(make: Callable[[int], Run], rows: int) -> Run:
    """The run at the batch size at which it is fastest."""
    runs = {size: make(size) for size in SIZES if size <= rows}
    for run in runs.values():
        run()
    seconds = {size: min(timed(run), timed(run)) for size, run in runs.items()}
    return runs[min(seconds, key=lambda size: seconds[size])]


def ours(model: nn.Module, images: Tensor, steps: int) -> dict[str, Run]:
    """Return one call for each of our methods."""

    def call(method: str, **parameters: Any) -> Run:
        analyzer = xaicore.create_analyzer(method, model, **parameters)
        return lambda: analyzer.analyze(images, 0)

    return {
        "gradients.integrated": call("gradients.integrated", steps=steps),
        "gradients.smooth": call("gradients.smooth", samples=steps),
        "gradients.expected": call("gradients.expected", baseline=torch.zeros_like(images), samples=steps),
        "perturbation.occlusion": call("perturbation.occlusion", window=PATCH, stride=PATCH),
        "perturbation.occlusion, local": call("perturbation.occlusion", window=PATCH, stride=PATCH, local=True),
        "perturbation.rise": call("perturbation.rise", samples=steps),
        "perturbation.kernel_shap": call("perturbation.kernel_shap", features=PATCH, samples=steps),
    }


def captums(model: nn.Module, images: Tensor, steps: int) -> dict[str, Callable[[int], Run]]:
    """Return for each of Captum's methods its call at a batch size."""
    zoo.import_torchvision()  # before Captum, which imports it too
    try:
        from captum import attr
    except ImportError:
        return {}
    samples = len(images)

    def integrated(size: int) -> Run:
        method = attr.IntegratedGradients(model)
        return lambda: method.attribute(images, target=0, n_steps=steps, internal_batch_size=max(size, samples))

    def smooth(size: int) -> Run:
        method = attr.NoiseTunnel(attr.Saliency(model))
        at_once = max(1, size // samples)
        return lambda: method.attribute(
            images, target=0, nt_samples=steps, nt_samples_batch_size=at_once, stdevs=0.3, abs=False
        )

    def occlusion(size: int) -> Run:
        method, at_once = attr.Occlusion(model), max(1, size // samples)
        window, stride = (3, PATCH, PATCH), (3, PATCH, PATCH)
        return lambda: method.attribute(images, window, stride, target=0, perturbations_per_eval=at_once)

    return {"captum IntegratedGradients": integrated, "captum SmoothGrad": smooth, "captum Occlusion": occlusion}


def measure(name: str, batch: int, steps: int, repeats: int, others: bool) -> dict[str, Any]:
    """Time all contenders on one model."""
    model = build(name)
    images = torch.randn(batch, 3, 224, 224)
    windows = (224 // PATCH) ** 2
    capture = timed(lambda: xaicore.trace(model, images))
    runs = {
        f"{steps} gradients": fastest(lambda size: gradients_of(model, images, steps, size), batch * steps),
        f"{windows} forwards": fastest(lambda size: forwards_of(model, images, windows, size), batch * windows),
        f"{steps} forwards": fastest(lambda size: forwards_of(model, images, steps, size), batch * steps),
    }
    runs |= ours(model, images, steps)
    if others:
        runs |= {each: fastest(make, batch * steps) for each, make in captums(model, images, steps).items()}
    for run in runs.values():
        run()
    seconds = medians(runs, repeats)
    rows = [
        {"name": each, "seconds": seconds[each], "ratio": seconds[each] / seconds[unit], "unit": unit}
        | {"memory": peak_memory(runs[each])}
        for each in runs
        for unit in [_unit_of(each, steps, windows)]
    ]
    more = ours(model, images, 4 * steps)
    for row in rows:
        row["memory at 4 n"] = peak_memory(more[row["name"]]) if row["name"] in more else None
    return {"model": name, "batch": batch, "steps": steps, "repeats": repeats, "capture": capture, "rows": rows}


def _unit_of(name: str, steps: int, windows: int) -> str:
    """What a method is to be compared with."""
    if name.endswith(("gradients", "forwards")):
        return name
    if "cclusion" in name:
        return f"{windows} forwards"
    return f"{steps} forwards" if "perturbation" in name else f"{steps} gradients"


def table(result: dict[str, Any]) -> str:
    """Write a result as text."""
    lines = [
        f"{result['model']}, batch {result['batch']}, n = {result['steps']}, 224x224, float32, "
        f"{torch.get_num_threads()} threads, median of {result['repeats']}; capture, once: {result['capture']:.1f} s",
        f"{'':32}{'seconds':>9}{'ratio':>8}  {'to':14}{'peak MiB':>9}{'at 4 n':>9}",
    ]
    for row in result["rows"]:
        memory, at_more = ("" if row[key] is None else f"{row[key]:.0f}" for key in ("memory", "memory at 4 n"))
        lines.append(
            f"{row['name']:32}{row['seconds']:9.3f}{row['ratio']:8.2f}  {row['unit']:14}{memory:>9}{at_more:>9}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["resnet18", "vgg11"], help="names of torchvision models")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--steps", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--alone", action="store_true", help="leave Captum out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    results = []
    for name in options.models:
        results.append(measure(name, options.batch, options.steps, options.repeats, not options.alone))
        print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
