"""Models with a soft threshold: a small one for the conformance kit, and one for images of digits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xai_absolute.shrinkage import Shrinkage


def small() -> tuple[nn.Module, Tensor]:
    """An untrained model, and a batch of inputs for it."""
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(nn.Conv2d(2, 3, 3), Shrinkage(3), nn.Flatten(), nn.Linear(3 * 4 * 4, 3))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3, generator=generator)
    return model.eval(), torch.randn(2, 2, 6, 6, generator=generator)


class DigitNet(nn.Module):
    """Images (B, 1, 8, 8) to ten logits, with soft thresholds for activations in a residual block."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.second = nn.Conv2d(8, 8, 3, padding=1)
        self.shrink = Shrinkage(8)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(8 * 4 * 4, 10)

    def forward(self, image: Tensor) -> Tensor:
        """Logits (B, 10)."""
        x = torch.relu(self.stem(image))
        x = torch.relu(x + self.shrink(self.second(torch.relu(self.first(x)))))
        logits: Tensor = self.head(self.pool(x).flatten(1))
        return logits
