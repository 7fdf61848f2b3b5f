"""Explanations a second over batch sizes, as a fraction of gradients a second: ``python benchmarks/throughput.py``.

Meant for a GPU, where small batches wait for the launches of many small kernels; it runs anywhere. The eager walk and
the compiled one (``compile=True``) stand beside plain autograd.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from measuring import build
from propagation import gradient_of

import xaicore


def rate(run: Callable[[], Any], batch: int, device: str, repeats: int) -> float:
    """Samples a second, by the median of the repeats."""
    for _ in range(2):
        run()
    times = []
    for _ in range(repeats):
        wait(device)
        start = time.perf_counter()
        run()
        wait(device)
        times.append(time.perf_counter() - start)
    return batch / statistics.median(times)


def wait(device: str) -> None:
    """Wait until the device has done all it was given."""
    if device != "cpu":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="vgg16", help="name of a torchvision model")
    parser.add_argument("--methods", nargs="+", default=["lrp.epsilon", "lrp.z_plus", "lrp.epsilon_alpha2_beta1"])
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--compile", action="store_true", help="time the compiled walk too")
    options = parser.parse_args()
    model = build(options.model).to(options.device)
    print(f"{options.model} on {options.device}, explanations a second (fraction of gradients a second)")
    for batch in options.batch:
        images = torch.randn(batch, 3, 224, 224, device=options.device)
        gradients = rate(gradient_of(model, images), batch, options.device, options.repeats)
        cells = [f"batch {batch:4}  gradient {gradients:8.1f}"]
        for name in options.methods:
            analyzer = xaicore.create_analyzer(name, model)
            for compiled in (False, True) if options.compile else (False,):
                found = rate(
                    lambda a=analyzer, x=images, c=compiled: a.analyze(x, compile=c),
                    batch, options.device, options.repeats,
                )  # fmt: skip
                word = f"{name} compiled" if compiled else name
                cells.append(f"{word} {found:8.1f} ({found / gradients:.2f})")
        print("   ".join(cells), flush=True)


if __name__ == "__main__":
    main()
