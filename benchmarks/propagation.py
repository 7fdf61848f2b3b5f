"""What one explanation costs, in units of one gradient, beside zennit and Captum: ``python benchmarks/propagation.py``.

Everything runs in one process on the same images. The contenders take turns, so that whatever else the machine does
slows all of them; of each the median is printed. A gradient is plain autograd from the predicted logit to the image,
with weights that do not require one. Our times are those of the public call, ``analyzer.analyze(images)``, targets,
matching and diagnostics included. Capture, done once for a model, is in the first call and printed by itself.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
from pathlib import Path
from typing import Any

import torch
from measuring import Run, build, medians, peak_memory, timed, zoo
from torch import Tensor, nn

import xaicore

LOW, HIGH = -2.2, 2.7  # the range of a pixel after the usual normalization
OURS: dict[str, dict[str, Any]] = {
    "lrp.epsilon": {},
    "lrp.z_plus": {},
    "lrp.gamma": {},
    "lrp.alpha_2_beta_1": {},
    "lrp.epsilon_plus": {},
    "lrp.epsilon_gamma_box": {"low": LOW, "high": HIGH},
    "lrp.epsilon_alpha2_beta1": {},
}
CLASSES = range(10)  # of a call that explains several classes of one image


def forward_of(model: nn.Module, images: Tensor) -> Run:
    def run() -> Tensor:
        with torch.no_grad():
            return model(images)

    return run


def gradient_of(model: nn.Module, images: Tensor) -> Run:
    def run() -> Tensor:
        point = images.detach().requires_grad_()
        return torch.autograd.grad(model(point).amax(1).sum(), point)[0]

    return run


def ours(model: nn.Module, images: Tensor) -> dict[str, Run]:
    """Return one call for each of our methods."""
    analyzers = {name: xaicore.create_analyzer(name, model, **options) for name, options in OURS.items()}

    def call(analyzer: Any) -> Run:
        return lambda: analyzer.analyze(images)

    runs = {name: call(analyzer) for name, analyzer in analyzers.items()}
    several = analyzers["lrp.epsilon_plus"]
    runs[f"epsilon_plus, {len(CLASSES)} classes, 1 image"] = lambda: several.analyze_targets(images[:1], list(CLASSES))
    return runs


def captums(model: nn.Module, images: Tensor) -> dict[str, Run]:
    """Return one call for each rule of Captum's LRP, the same in all convolution and linear layers."""
    zoo.import_torchvision()  # before Captum, which imports it too
    try:
        from captum.attr import LRP
        from captum.attr._utils import lrp_rules
    except ImportError:
        return {}
    rules = {"EpsilonRule": lrp_rules.EpsilonRule, "GammaRule": lrp_rules.GammaRule}
    rules["Alpha1_Beta0_Rule"] = lrp_rules.Alpha1_Beta0_Rule
    with torch.no_grad():
        predicted = model(images).argmax(1)

    def call(rule: Any) -> Run:
        ruled = copy.deepcopy(model)
        for module in ruled.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                module.rule = rule()
        return lambda: LRP(ruled).attribute(images, target=predicted)

    return {f"captum {name}": call(rule) for name, rule in rules.items()}


def zennits(model: nn.Module, images: Tensor) -> dict[str, Run]:
    """Return one call for each of zennit's composites; hooks and merged batch norms are in place before the clock."""
    models = zoo.import_torchvision().models  # before zennit, which imports it too
    try:
        from zennit import composites
        from zennit.rules import Epsilon
        from zennit.torchvision import ResNetCanonizer, VGGCanonizer
        from zennit.types import Linear
    except ImportError:
        return {}
    canonizer = ResNetCanonizer if isinstance(model, models.ResNet) else VGGCanonizer
    shared: dict[str, Any] = {"canonizers": [canonizer()]}
    everywhere = [*composites.layer_map_base(), (Linear, Epsilon())]
    chosen = {
        "zennit Epsilon": composites.LayerMapComposite(everywhere, **shared),
        "zennit EpsilonPlus": composites.EpsilonPlus(**shared),
        "zennit EpsilonGammaBox": composites.EpsilonGammaBox(LOW, HIGH, **shared),
        "zennit EpsilonAlpha2Beta1": composites.EpsilonAlpha2Beta1(**shared),
    }

    def call(composite: Any) -> Run:
        hooked = copy.deepcopy(model)
        composite.register(hooked)

        def run() -> Tensor:
            point = images.detach().requires_grad_()
            output = hooked(point)
            relevance = output.detach() * nn.functional.one_hot(output.argmax(1), output.shape[1])
            return torch.autograd.grad(output, point, relevance)[0]

        run.composite = composite  # type: ignore[attr-defined]  # holds the only reference to the hooks
        return run

    return {name: call(composite) for name, composite in chosen.items()}


def measure(name: str, batch: int, repeats: int, others: bool) -> dict[str, Any]:
    """Time all contenders on one model."""
    model = build(name)
    images = torch.randn(batch, 3, 224, 224).clamp(LOW, HIGH)
    capture = timed(lambda: xaicore.trace(model, images))
    runs = {"forward": forward_of(model, images), "gradient": gradient_of(model, images)}
    runs |= ours(model, images)
    if others:
        runs |= zennits(model, images) | captums(model, images)

    first = {contender: timed(run) for contender, run in runs.items()}
    times = medians(runs, repeats)
    rows = [
        {
            "name": contender,
            "seconds": seconds,
            "gradients": seconds / times["gradient"],
            "first": first[contender],
            "memory": peak_memory(runs[contender]),
        }
        for contender, seconds in times.items()
    ]
    return {"model": name, "batch": batch, "repeats": repeats, "capture": capture, "rows": rows}


def table(result: dict[str, Any]) -> str:
    """Write a result as text."""
    lines = [
        f"{result['model']}, batch {result['batch']}, 224x224, float32, {torch.get_num_threads()} threads, "
        f"median of {result['repeats']}; capture, once: {result['capture']:.1f} s",
        f"{'':34}{'seconds':>9}{'gradients':>11}{'first call':>12}{'peak MiB':>10}",
    ]
    for row in result["rows"]:
        memory = "" if row["memory"] is None else f"{row['memory']:.0f}"
        seconds, ratio, first = row["seconds"], row["gradients"], row["first"]
        lines.append(f"{row['name']:34}{seconds:9.3f}{ratio:11.2f}{first:12.3f}{memory:>10}")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", nargs="+", default=["vgg16", "resnet50"], help="names of torchvision models")
    parser.add_argument("--batch", type=int, nargs="+", default=[4])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--alone", action="store_true", help="leave zennit and Captum out")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--json", type=Path, help="also write the numbers to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    results = []
    for name, batch in itertools.product(options.models, options.batch):
        results.append(measure(name, batch, options.repeats, not options.alone))
        print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"threads": options.threads, "results": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
