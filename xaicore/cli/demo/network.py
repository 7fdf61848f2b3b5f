"""The network of the demo, written as anyone would write one: nothing in it knows of xaicore."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class DigitNet(nn.Module):
    """Tells apart ten digits in grey images of 8 x 8 pixels: (B, 1, 8, 8) to (B, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 3, padding=1)
        self.stem_norm = nn.BatchNorm2d(16)
        self.inner = nn.Conv2d(16, 16, 3, padding=1, bias=False)
        self.inner_norm = nn.BatchNorm2d(16)
        self.widen = nn.Conv2d(16, 32, 3, padding=1)
        self.head = nn.Linear(32 * 2 * 2, 10)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.stem_norm(self.stem(image)))
        x = F.relu(x + self.inner_norm(self.inner(x)))
        x = F.max_pool2d(x, 2)
        x = F.max_pool2d(F.relu(self.widen(x)), 2)
        logits: Tensor = self.head(torch.flatten(x, 1))
        return logits
