"""What comparing eight propagation methods costs, beside one forward and eight walks.

    python benchmarks/comparison.py

A method's walk is what it takes alone, less a forward pass of the bare model. All are timed in turns in one process;
the table has medians. A ratio of 1 or less says that the comparison runs one forward pass. Capture, once for a model,
is not in the times.
"""

from __future__ import annotations

import argparse
from functools import partial

import torch
from measuring import build, medians

import xaicore

METHODS = (
    "gradients.saliency",
    "gradients.input_x_gradient",
    "gradients.guided_backprop",
    "lrp.zero",
    "lrp.epsilon",
    "lrp.gamma",
    "lrp.epsilon_plus",
    "lrp.alpha_2_beta_1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="resnet18", help="a model of torchvision")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=224, help="height and width of the images")
    parser.add_argument("--repeats", type=int, default=5)
    chosen = parser.parse_args()
    torch.manual_seed(0)
    model, images = build(chosen.model), torch.randn(chosen.batch, 3, chosen.side, chosen.side)
    target = [0] * chosen.batch

    def forward() -> None:
        with torch.no_grad():
            model(images)

    runs = {"forward": forward, "compare": partial(xaicore.compare, model, images, methods=METHODS, target=target)}
    runs |= {name: partial(xaicore.explain, model, images, method=name, target=target) for name in METHODS}
    for run in runs.values():
        run()
    seconds = medians(runs, chosen.repeats)
    walks = {name: seconds[name] - seconds["forward"] for name in METHODS}
    bound = seconds["forward"] + sum(walks.values())
    print(
        f"{chosen.model}, {chosen.batch} images of {chosen.side} px, median of {chosen.repeats}, "
        f"{torch.get_num_threads()} threads"
    )
    print(f"{'forward':<36} {seconds['forward']:7.3f} s")
    for name, walk in walks.items():
        print(f"{'walk of ' + name:<36} {walk:7.3f} s")
    print(f"{'one forward and eight walks':<36} {bound:7.3f} s")
    print(f"{'compare':<36} {seconds['compare']:7.3f} s   ratio {seconds['compare'] / bound:.2f}")
    apart = sum(seconds[name] for name in METHODS)
    print(f"{'each method alone, added up':<36} {apart:7.3f} s   ratio {seconds['compare'] / apart:.2f}")


if __name__ == "__main__":
    main()
