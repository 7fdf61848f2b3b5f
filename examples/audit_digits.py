"""Digits where one class carries a mark in a corner: an audit finds the class, and the images with the mark.

    python examples/audit_digits.py --out audit_digits.png

Needs xaicore and xai-lrp. Takes about ten seconds on a CPU.

Most images of the digit 8 get a bright square in the upper left corner, as photographs of one class may carry the tag
of one agency. The network learns the mark beside the digit. Its accuracy tells nothing of that. The audit does: it
ranks class 8 first, by how little of the relevance lies on the digit, and finds the images with the mark as a cluster
of heatmaps. Without the mark the network misses many of them.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import xaicore

CLASS, SHARE = 8, 0.75


def marked_digits(seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return images (B, 1, 8, 8) with the mark, the same without it, classes, and which images are marked."""
    raw = load_digits()
    clean = torch.tensor(raw.images / 16, dtype=torch.float32)[:, None]
    classes = torch.tensor(raw.target)
    chance = torch.rand(len(classes), generator=torch.Generator().manual_seed(seed))
    is_marked = (classes == CLASS) & (chance < SHARE)
    images = clean.clone()
    images[is_marked, :, :2, :2] = 1
    return images, clean, classes, is_marked


def train(images: Tensor, classes: Tensor, seed: int, epochs: int = 8) -> nn.Module:
    """Return a network for images (B, 1, 8, 8), in evaluation mode."""
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(images[batch]), classes[batch]).backward()
            optimizer.step()
    return model.eval()


def accuracy(model: nn.Module, images: Tensor, classes: Tensor) -> float:
    with torch.no_grad():
        return float((model(images).argmax(1) == classes).double().mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("audit_digits.png"), help="the picture to write")
    parser.add_argument("--report", type=Path, help="the HTML page to write")
    parser.add_argument("--seed", type=int, default=0, help="of the marks and the network")
    arguments = parser.parse_args()

    images, clean, classes, is_marked = marked_digits(arguments.seed)
    model = train(images, classes, arguments.seed)
    found = xaicore.audit(model, (images, classes, clean > 0))  # the object is where the ink is
    print(found)

    suspect = found.clusters[0]
    members = is_marked[found.members(suspect)].double()
    print(
        f"\nThe most suspicious cluster is {suspect.title}: {100 * members.mean():.0f} % of its {suspect.size} images"
    )
    print(f"carry the mark, and they are {100 * members.sum() / is_marked.sum():.0f} % of all that do.")

    own = classes == CLASS
    before = accuracy(model, images[own], classes[own])
    after = accuracy(model, clean[own], classes[own])
    print(f"Accuracy of class {CLASS}: {before:.3f} with the mark, {after:.3f} where it is taken away.")

    found.plot().savefig(arguments.out, dpi=130)
    print(f"wrote {arguments.out}")
    if arguments.report:
        print(f"wrote {found.report(arguments.report, code=f'python {Path(__file__).name}')}")


if __name__ == "__main__":
    main()
