"""What LRP does on every classification model of torchvision: ``python benchmarks/architectures.py --all``.

Each model is built as torchvision ships it, with seeded random weights: its layers are matched with their mappings, the
ledger of LRP-0 is balanced in float64, and `lrp.epsilon_plus` is timed in float32 beside the plain gradient. A model
that is refused, or that is not run, is listed with the reason.
"""

from __future__ import annotations

import argparse
import gc
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
import zoo
from architectures_page import ABOUT, AIM, Ledger, Refusal, Row, line_of, page

import xaicore
from xaicore.errors import XaicoreError

# Models whose names begin alike are a family; its smallest member stands for it in a quick run.
FAMILIES = {
    "alexnet": "alexnet",
    "convnext": "convnext_tiny",
    "densenet": "densenet121",
    "efficientnet_b": "efficientnet_b0",
    "efficientnet_v2": "efficientnet_v2_s",
    "googlenet": "googlenet",
    "inception": "inception_v3",
    "maxvit": "maxvit_t",
    "mnasnet": "mnasnet0_5",
    "mobilenet_v2": "mobilenet_v2",
    "mobilenet_v3": "mobilenet_v3_small",
    "regnet_x": "regnet_x_400mf",
    "regnet_y": "regnet_y_400mf",
    "resnet": "resnet18",
    "resnext": "resnext50_32x4d",
    "shufflenet": "shufflenet_v2_x0_5",
    "squeezenet": "squeezenet1_1",
    "swin_": "swin_t",
    "swin_v2": "swin_v2_t",
    "vgg": "vgg11",
    "vit": "vit_b_32",
    "wide_resnet": "wide_resnet50_2",
}
SIZE = 64  # of the image; small, since layers and conservation are the same at every size
SIZES = {"inception_v3": 75, "maxvit_t": 224, "vit_h_14": 56}  # the smallest that these take
OPTIONS: dict[str, dict[str, Any]] = {
    "googlenet": {"init_weights": False, "transform_input": True},  # transformed as for its published weights
    "inception": {"init_weights": False},
    "vgg": {"init_weights": False},
}
BATCH = 4  # of the timing; the ledger is opened for zoo.BATCH images
REPEATS = 3
FORMS = 4  # of the weights in memory: the model's own, with batch norm folded in, a rule's positive, its negative ones
FORMS_OF = {"vit": 2}  # no batch norm, and linear layers that the composite gives to epsilon


def entry_of(name: str, size: int = 0) -> zoo.Entry:
    """Return a model of torchvision as an entry of the zoo: seeded weights, and images of `size` (0: a small one)."""
    size = size or SIZES.get(name, SIZE)
    options = dict(OPTIONS.get(family_of(name), {}))
    if name.startswith("vit"):
        options["image_size"] = size
    return zoo.Entry(name, lambda: getattr(zoo.import_torchvision().models, name)(weights=None, **options), size)


def family_of(name: str) -> str:
    """Return the longest beginning of a model's name that is a family; the name itself if there is none."""
    return max((family for family in FAMILIES if name.startswith(family)), key=len, default=name)


def measure(name: str, memory: float, timed_size: int = 0) -> Row | Refusal:
    """Measure one model, unless its weights need more than `memory` GiB."""
    forms = FORMS_OF.get(family_of(name), FORMS)
    needed = forms * 8 * published_parameters(name) / 2**30
    if needed > memory:
        return Refusal(name, f"not run: its weights in float64, in {forms} forms, take {needed:.0f} GiB")
    try:
        return measured(entry_of(name), entry_of(name, timed_size))
    except XaicoreError as error:
        return Refusal(name, f"{type(error).__name__}: {str(error).splitlines()[0]}")


def published_parameters(name: str) -> int:
    """Return how many parameters the model has, without building it."""
    return int(zoo.import_torchvision().models.get_model_weights(name).DEFAULT.meta["num_params"])


def measured(entry: zoo.Entry, timed: zoo.Entry) -> Row:
    model, images = entry.build(torch.float64), entry.inputs(torch.float64)
    matching = xaicore.create_analyzer("lrp.epsilon_plus", model).match(images, strict=False)
    zero = ledger_of("lrp.zero", model, images)
    epsilon_plus = ledger_of("lrp.epsilon_plus", model, images)
    epsilon = None if zero.gap <= AIM else ledger_of("lrp.epsilon", model, images)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    layers, missing = len(matching.matches), len(matching.missing)
    del model, matching
    gc.collect()
    coverage = 1 - missing / layers
    gradients = time_in_gradients(timed)
    return Row(entry.name, entry.size, parameters, layers, coverage, zero, epsilon_plus, epsilon, gradients)


def ledger_of(method: str, model: nn.Module, images: Tensor) -> Ledger:
    diagnostics = xaicore.explain(model, images, method=method, ledger=True).diagnostics
    output = float(diagnostics.explained.abs().sum())  # scores of either sign may cancel over the batch
    absorbed = math.fsum(row["bias"] + row["stabilizer"] for row in diagnostics.ledger)
    missing = float(diagnostics.explained.sum()) - float(diagnostics.relevance_sum.sum()) - absorbed
    columns = ("relevance_in", "relevance_out", "bias", "stabilizer")
    largest = max(abs(row[column]) for row in diagnostics.ledger for column in columns)
    worst = max(diagnostics.ledger, key=lambda row: abs(row["unaccounted"]))
    share = abs(worst["unaccounted"]) / output
    return Ledger(abs(missing) / output, largest / output, f"{worst['layer']} ({worst['module_path']}): {share:.0e}")


def time_in_gradients(entry: zoo.Entry) -> float:
    """Return the median time of `lrp.epsilon_plus` over that of the gradient; the two take turns."""
    model, images = entry.build().requires_grad_(False), entry.inputs(batch=BATCH)
    analyzer = xaicore.create_analyzer("lrp.epsilon_plus", model)

    def gradient() -> Tensor:
        point = images.detach().requires_grad_()
        return torch.autograd.grad(model(point).amax(1).sum(), point)[0]

    runs: dict[str, Callable[[], Any]] = {"gradient": gradient, "relevance": lambda: analyzer.analyze(images)}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(1 + REPEATS):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    # The first call captures the model and derives weights.
    gradients, relevances = times["gradient"][1:], times["relevance"][1:]
    return statistics.median(relevances) / statistics.median(gradients)


def about(command: str, timed_size: int) -> str:
    """Write what the page says before the table."""
    threads = torch.get_num_threads()
    return ABOUT.format(
        command=command,
        xaicore=xaicore.__version__,
        torch=torch.__version__,
        torchvision=zoo.import_torchvision().__version__,
        threads=f"{threads} thread{'s' * (threads > 1)}",
        images=zoo.BATCH,
        timed=f"{BATCH} images of {timed_size} x {timed_size}" if timed_size else f"{BATCH} images of the size listed",
        repeats=REPEATS,
    )


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the models to run: the representatives first, so that a long run shows early what each family does."""
    models = zoo.import_torchvision().models
    everything = models.list_models(module=models)
    if options.models:
        return list(options.models)
    if options.families:
        return [FAMILIES[family] for family in options.families]
    representatives = list(FAMILIES.values())
    return representatives + [name for name in everything if name not in representatives] * options.all


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--models", nargs="+", help="names of torchvision models")
    which.add_argument("--families", nargs="*", choices=FAMILIES, help="the smallest model of each; default: of all")
    which.add_argument("--all", action="store_true", help="every classification model")
    parser.add_argument("--memory", type=float, default=12, metavar="GIB", help="leave out models that need more")
    parser.add_argument("--timed-size", type=int, default=0, help="of the images for the time; default: as the ledger")
    parser.add_argument("--output", type=Path, help="the page to write; default: print it")
    options = parser.parse_args()
    command = " ".join(["python", "benchmarks/architectures.py", *sys.argv[1:]])
    results: list[Row | Refusal] = []
    for number, name in enumerate(names := chosen(options), start=1):
        start = time.perf_counter()
        results.append(measure(name, options.memory, options.timed_size))
        gc.collect()
        shown = line_of(results[-1]) if isinstance(results[-1], Row) else f"{name}: {results[-1].reason}"
        print(f"{number}/{len(names)} {shown} {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
        if options.output:  # after each model, so that an interrupted run leaves what it has
            options.output.write_text(page(results, about(command, options.timed_size)), encoding="utf-8")
    if not options.output:
        print(page(results, about(command, options.timed_size)), end="")


if __name__ == "__main__":
    main()
