"""A small variational autoencoder, whose decoder makes inputs from codes. It can be trained on any data of one shape.

    from decoder import train
    autoencoder = train(data, code_size=10, bounds=(0, 1))      # data: (N, ...)
    CodeSpace(autoencoder.decoder, 10, strength=0.5)            # codes are standard normal

After Kingma and Welling 2014, "Auto-encoding variational Bayes". The deviation of the data from what the decoder makes
is normal, with a variance that is learnt (Rybkin, Daniilidis and Levine 2021, "Simple and effective VAE training with
calibrated decoders"), so that there is no weight between its two losses to be tuned.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class Autoencoder(nn.Module):
    """Data of any shape, flattened, to codes and back, with two hidden layers each way.

    Parameters
    ----------
    shape
        Of a sample.
    code_size, hidden
        How many values a code and a hidden layer have.
    bounds
        The lowest and the highest value of the data: what is made stays between them. Default: any values.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        code_size: int = 10,
        hidden: int = 128,
        bounds: tuple[float, float] | None = None,
    ) -> None:
        super().__init__()
        size = math.prod(shape)
        self.encoder = nn.Sequential(
            nn.Flatten(), nn.Linear(size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
            nn.Linear(hidden, 2 * code_size),
        )  # fmt: skip
        self.decoder = nn.Sequential(
            nn.Linear(code_size, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, size),
            nn.Identity() if bounds is None else Between(*bounds), nn.Unflatten(1, shape),
        )  # fmt: skip
        self.log_sigma = nn.Parameter(torch.zeros(()))

    def codes(self, data: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of the codes of each sample, (N, code_size)."""
        mean, log_variance = self.encoder(data).chunk(2, dim=1)
        return mean, log_variance

    def loss(self, data: Tensor) -> Tensor:
        """The negative evidence lower bound a sample, in nats, up to a constant."""
        mean, log_variance = self.codes(data)
        code = mean + torch.randn_like(mean) * (log_variance / 2).exp()
        error = (data - self.decoder(code)).square() / (2 * (2 * self.log_sigma).exp()) + self.log_sigma
        divergence = (mean.square() + log_variance.exp() - 1 - log_variance) / 2
        return error.flatten(1).sum(1).mean() + divergence.sum(1).mean()


class Between(nn.Module):
    """Any numbers to numbers between two bounds."""

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: Tensor) -> Tensor:
        return self.low + (self.high - self.low) * torch.sigmoid(x)


def train(
    data: Tensor,
    *,
    code_size: int = 10,
    hidden: int = 128,
    bounds: tuple[float, float] | None = None,
    epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 2e-3,
    seed: int = 0,
) -> Autoencoder:
    """Return an autoencoder trained on samples (N, ...), in evaluation mode."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = Autoencoder(tuple(data.shape[1:]), code_size, hidden, bounds).to(data.device, data.dtype)
        optimizer = torch.optim.Adam(model.parameters(), lr=learning_rate)
        for _ in range(epochs):
            for batch in torch.randperm(len(data)).split(batch_size):
                optimizer.zero_grad()
                model.loss(data[batch]).backward()
                optimizer.step()
    return model.eval()
