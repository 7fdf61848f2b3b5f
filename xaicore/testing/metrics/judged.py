"""Methods whose explanations are known in closed form, for metrics to judge."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from xaicore.analyzers import PropagationAnalyzer


class InputTimesGradient(PropagationAnalyzer):
    """Input times gradient; of a linear model the contribution of each input."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return relevance * value


class Everywhere(PropagationAnalyzer):
    """The same relevance everywhere, whatever the model."""

    family = "gradient"

    def __init__(self, model: nn.Module, *, value: float = 0.25) -> None:
        super().__init__(model)
        self.value = value

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        return torch.full_like(relevance, self.value)


class Broken(PropagationAnalyzer):
    """Input times gradient, of which the samples of a negative first entry are no number."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        wrong = value.flatten(1)[:, 0] < 0
        return (relevance * value).where(~wrong.reshape(-1, *[1] * (value.dim() - 1)), torch.nan)


class Noise(PropagationAnalyzer):
    """Relevance of any size and sign, which says nothing of the model; the same for the same values."""

    family = "gradient"

    def readout(self, relevance: Tensor, value: Tensor) -> Tensor:
        places = torch.arange(value[0].numel(), device=value.device).reshape(value.shape[1:])
        # Sines of large arguments scatter as random numbers do, and need no seed.
        return torch.sin(1e3 * value.double() + 12.9898 * (places + 1)).to(value.dtype)


class Spots(nn.Module):
    """A linear model of images, each of whose classes looks at one square of four pixels and at nothing else."""

    def __init__(self, classes: int = 4, size: int = 8) -> None:
        super().__init__()
        self.head = nn.Linear(size * size, classes)
        with torch.no_grad():
            self.head.weight.zero_()
            self.head.bias.zero_()
            for number in range(classes):
                row, column = 2 * (number // 2) + 2, 2 * (number % 2) + 2
                spot = self.head.weight[number].view(size, size)[row : row + 2, column : column + 2]
                spot.copy_(torch.tensor([[1.0, 0.8], [0.6, 0.9]]))

    def forward(self, image: Tensor) -> Tensor:
        scores: Tensor = self.head(image.flatten(1))
        return scores

    def masks(self, target: Tensor, size: int = 8) -> Tensor:
        """Where each sample's class looks, (B, H, W)."""
        return (self.head.weight.detach()[target] != 0).reshape(-1, size, size).float()
