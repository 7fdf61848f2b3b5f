"""How much memory an audit takes over the number of samples: from 100 to 10,000, each in a process of its own.

    python benchmarks/audit_memory.py --samples 100 1000 10000

Images are made batch by batch, so that what is measured is what the audit keeps. Printed are the highest resident
memory of the process (peak RSS), and how far it rises above that of the smallest audit.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

CLASSES, SIDE, BATCH = 10, 64, 50


@dataclass
class Images:
    """Random images (B, 3, 64, 64) with a bright square that says which class they are of, and where it is."""

    samples: int

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        random = torch.Generator().manual_seed(0)
        for start in range(0, self.samples, BATCH):
            count = min(BATCH, self.samples - start)
            images = 0.3 * torch.rand(count, 3, SIDE, SIDE, generator=random)
            classes = torch.randint(CLASSES, (count,), generator=random)
            masks = torch.zeros(count, SIDE, SIDE, dtype=torch.bool)
            for place, label in enumerate(classes.tolist()):
                masks[place, 6 * label : 6 * label + 8, 20:44] = True
            yield torch.where(masks[:, None], images + 0.6, images), classes, masks

    def __len__(self) -> int:
        return -(-self.samples // BATCH)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(16 * 16 * 16, CLASSES),
    ).eval()


def run(samples: int) -> None:
    """Audit so many samples in this process, and print peak RSS in MiB and seconds."""
    from xaicore.studies import audit

    started = time.perf_counter()
    found = audit(network(), Images(samples), progress=False)
    assert len(found) == samples
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(peak, time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, nargs="+", default=[100, 1000, 10000])
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        run(arguments.one)
        return
    print(f"{'samples':>8} {'peak RSS, MiB':>14} {'above the first':>16} {'a sample, KiB':>14} {'seconds':>8}")
    first = None
    for samples in arguments.samples:
        made = subprocess.run(
            [sys.executable, __file__, "--one", str(samples)], capture_output=True, text=True, check=True
        )
        peak, seconds = map(float, made.stdout.split())
        first = (samples, peak) if first is None else first
        more = peak - first[1]
        each = 1024 * more / (samples - first[0]) if samples > first[0] else 0
        print(f"{samples:>8} {peak:>14.0f} {more:>16.0f} {each:>14.2f} {seconds:>8.1f}")


if __name__ == "__main__":
    main()
