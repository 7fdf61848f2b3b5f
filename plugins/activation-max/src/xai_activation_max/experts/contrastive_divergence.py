"""Contrastive divergence for a restricted Boltzmann machine with Gaussian visible units."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from xaicore.engine import generator

_START_WEIGHTS = 0.01  # small: hidden units are told apart, and the density begins as a single Gaussian
_OFFSET_RATE = 0.01  # how far the offsets of the hidden units move at each step to their mean in the batch


@dataclass
class Machine:
    """A machine whose hidden units count from an offset m, which makes training better conditioned.

    ``E(x, h) = |x - a|^2 / (2 sigma^2) - b h - (x - a) W (h - m) / sigma^2``: near the mean state of the hidden units,
    the mean of the visible ones does not change with W (Montavon and Müller 2012, "Deep Boltzmann machines and the
    centering trick"; Melchior, Fischer and Wiskott 2016, "How to center deep Boltzmann machines").

    Attributes
    ----------
    weights, visible_bias, hidden_bias, log_sigma, offset
        W (D, H), a (D,), b (H,), log sigma () and m (H,).
    """

    weights: Tensor
    visible_bias: Tensor
    hidden_bias: Tensor
    log_sigma: Tensor
    offset: Tensor

    @property
    def trained(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.weights, self.visible_bias, self.hidden_bias, self.log_sigma

    @property
    def variance(self) -> Tensor:
        return (2 * self.log_sigma).exp()

    def hidden(self, x: Tensor) -> Tensor:
        """Probability that each hidden unit is on, (n, H)."""
        return torch.sigmoid(self.hidden_bias + (x - self.visible_bias) @ self.weights / self.variance)

    def gibbs_step(self, x: Tensor, random: torch.Generator) -> Tensor:
        """Sample the hidden units given x, and then x given them."""
        probabilities = self.hidden(x)
        on = torch.rand(probabilities.shape, generator=random, dtype=x.dtype, device=x.device) < probabilities
        noise = torch.randn(x.shape, generator=random, dtype=x.dtype, device=x.device)
        return self.visible_bias + (on.to(x.dtype) - self.offset) @ self.weights.T + self.log_sigma.exp() * noise

    def derivatives(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Of -E with respect to what is trained, averaged over the samples x and over the hidden units given x."""
        from_bias, on = x - self.visible_bias, self.hidden(x)
        from_offset = on - self.offset
        pull = from_offset @ self.weights.T
        weights = from_bias.T @ from_offset / len(x) / self.variance
        visible_bias = (from_bias - pull).mean(0) / self.variance
        log_sigma = (from_bias * (from_bias - 2 * pull)).sum(1).mean() / self.variance
        return weights, visible_bias, on.mean(0), log_sigma

    def move_offset(self, to: Tensor) -> None:
        """Count the hidden units from somewhere else, and change the biases so that the density stays as it is."""
        change = self.weights @ (to - self.offset)
        self.visible_bias += change
        self.hidden_bias += change @ self.weights / self.variance
        self.offset = to


@dataclass(frozen=True)
class Schedule:
    """How to train; the attributes are the parameters of `GaussianRBM`."""

    gibbs_steps: int
    persistent: bool
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    seed: int


def train(samples: Tensor, hidden: int, schedule: Schedule, sigma: float | None) -> Machine:
    """Train a machine on samples (N, D) with zero mean and unit variance; sigma is learnt where it is None.

    Its offset is zero at the end: the energy is that of `GaussianRBM`.
    """
    random = generator(schedule.seed, device=samples.device)
    weights = torch.randn(samples.shape[1], hidden, generator=random, dtype=samples.dtype, device=samples.device)
    machine = Machine(
        weights=_START_WEIGHTS * weights,
        visible_bias=samples.new_zeros(samples.shape[1]),
        hidden_bias=samples.new_zeros(hidden),
        log_sigma=samples.new_tensor(0.0 if sigma is None else math.log(sigma)),
        offset=samples.new_full((hidden,), 0.5),
    )
    steps = schedule.epochs * math.ceil(len(samples) / schedule.batch_size)
    optimizer = torch.optim.Adam(machine.trained, lr=schedule.learning_rate, maximize=True)
    falling = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=1.0, end_factor=1 / steps, total_iters=steps)
    chains = samples[: schedule.batch_size]
    for _ in range(schedule.epochs):
        order = torch.randperm(len(samples), generator=random, device=samples.device)
        for rows in order.split(schedule.batch_size):
            batch = samples[rows]
            chains = chains if schedule.persistent else batch
            for _ in range(schedule.gibbs_steps):
                chains = machine.gibbs_step(chains, random)
            up, down = machine.derivatives(batch), machine.derivatives(chains)
            for parameter, towards, away in zip(machine.trained, up, down, strict=True):
                parameter.grad = towards - away
            if schedule.weight_decay:
                machine.weights.grad = up[0] - down[0] - schedule.weight_decay * machine.weights
            if sigma is not None:
                machine.log_sigma.grad = None  # it stays as given
            optimizer.step()
            falling.step()
            machine.move_offset(torch.lerp(machine.offset, machine.hidden(batch).mean(0), _OFFSET_RATE))
    machine.move_offset(torch.zeros_like(machine.offset))
    return machine
