"""The Gaussian restricted Boltzmann machine, an expert trained by contrastive divergence."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

from xai_activation_max.experts.base import Expert
from xai_activation_max.experts.contrastive_divergence import Schedule, train
from xai_activation_max.parameters import check_integer, check_number
from xaicore.errors import InputError, ParameterError


class GaussianRBM(Expert):
    """A restricted Boltzmann machine with Gaussian visible and Bernoulli hidden units.

    Of visible units x and hidden units h in {0, 1} the energy is::

        E(x, h) = sum_i (x_i - a_i)^2 / (2 sigma^2) - sum_j b_j h_j - sum_ij (x_i - a_i) W_ij h_j / sigma^2

    so that x given h is normal with mean a + W h and variance sigma^2, and h_j given x is one with the probability
    sigmoid(b_j + (x - a) W_j / sigma^2). Summed over all states of the hidden units::

        log p(x) = - |x - a|^2 / (2 sigma^2) + sum_j softplus(b_j + (x - a) W_j / sigma^2) - log Z

    `log_density` leaves out log Z, which is the same for all inputs. The sum is that of 2^hidden normal densities with
    the means a + W h: an expert with few parameters and many modes. Krizhevsky (2009) writes x in place of x - a in
    the last term of the energy, which moves the b_j by - a W_j / sigma^2 and is the same model otherwise; as here,
    training is better conditioned. All visible units share one sigma, which is learnt too unless it is given.

    Training climbs the likelihood with the gradient of contrastive divergence: the derivatives of -E averaged over
    the data, minus those averaged over samples that a few Gibbs steps make from the data, or, where persistent, from
    the samples of the batch before. The step sizes are Adam's, and fall to zero linearly.

    Parameters
    ----------
    hidden : int
        How many hidden units.
    gibbs_steps : int
        Steps of Gibbs sampling for each batch: the k of CD-k.
    persistent : bool
        Continue the Gibbs chains from batch to batch (persistent contrastive divergence).
    epochs : int
        How often the data is gone through.
    batch_size : int
        Samples for each step of training.
    learning_rate : float
        At the beginning of training.
    weight_decay : float
        Weight of -|W|^2 / 2 beside the mean log likelihood, with W in units of the data's standard deviation.
    sigma : float, optional
        Standard deviation of the visible units given the hidden ones, in the units of the data. Default: learnt.
    seed : int
        The same seed gives the same density, on the same device.

    Attributes
    ----------
    weights_, visible_bias_, hidden_bias_, sigma_ : Tensor
        W (D, hidden), a (D,), b (hidden,) and sigma (), with D the number of values of a sample.
    centres : Tensor
        The mean of the data, (1, *shape).

    References
    ----------
    Hinton 2002, "Training products of experts by minimizing contrastive divergence". Tieleman 2008 (persistent
    chains). Krizhevsky 2009, "Learning multiple layers of features from tiny images". Melchior, Wang and
    Wiskott 2017, "Gaussian-binary restricted Boltzmann machines for modeling natural image statistics" (the mixture).
    As an expert: Montavon, Samek and Müller 2018, section 3.2.
    """

    learnt = ("weights_", "visible_bias_", "hidden_bias_", "sigma_", "mean_")
    weights_: Tensor
    visible_bias_: Tensor
    hidden_bias_: Tensor
    sigma_: Tensor
    mean_: Tensor

    def __init__(
        self,
        *,
        hidden: int = 128,
        gibbs_steps: int = 5,
        persistent: bool = False,
        epochs: int = 60,
        batch_size: int = 64,
        learning_rate: float = 0.005,
        weight_decay: float = 0.0,
        sigma: float | None = None,
        seed: int = 0,
    ) -> None:
        self.hidden, self.gibbs_steps, self.persistent = hidden, gibbs_steps, persistent
        self.epochs, self.batch_size, self.learning_rate = epochs, batch_size, learning_rate
        self.weight_decay, self.sigma, self.seed = weight_decay, sigma, seed
        check_integer("hidden", hidden, least=1)
        check_integer("gibbs_steps", gibbs_steps, least=1)
        if not isinstance(persistent, bool):
            raise ParameterError(f"persistent={persistent!r} must be True or False")
        check_integer("epochs", epochs, least=1)
        check_integer("batch_size", batch_size, least=1)
        check_number("learning_rate", learning_rate, open_=True)
        check_number("weight_decay", weight_decay)
        check_number("sigma", sigma, open_=True, optional=True)
        check_integer("seed", seed, least=0)

    def _learn(self, samples: Tensor) -> dict[str, Tensor]:
        mean = samples.mean(0)
        # One scale for all values, because pixels at the border may be constant.
        scale = (samples - mean).square().mean().sqrt()
        if not bool(scale > 0):
            raise InputError(
                f"a {type(self).__name__} cannot be fitted to {len(samples)} samples that are all the same: "
                "there is no spread to learn"
            )
        schedule = Schedule(
            gibbs_steps=self.gibbs_steps,
            persistent=self.persistent,
            epochs=self.epochs,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            seed=self.seed,
        )
        sigma = None if self.sigma is None else self.sigma / float(scale)
        machine = train((samples - mean) / scale, self.hidden, schedule, sigma)
        if not all(bool(torch.isfinite(each).all()) for each in machine.trained):
            raise ParameterError(
                f"training of the {type(self).__name__} diverged with learning_rate={self.learning_rate!r}: "
                "give a lower one"
            )
        return {
            "weights_": scale * machine.weights,
            "visible_bias_": mean + scale * machine.visible_bias,
            "hidden_bias_": machine.hidden_bias,
            "sigma_": scale * machine.log_sigma.exp(),
            "mean_": mean,
        }

    def _log_density(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        # In units of sigma: its square would soon underflow in single precision.
        distance = (x - tensors["visible_bias_"]) / tensors["sigma_"]
        fields = tensors["hidden_bias_"] + distance @ (tensors["weights_"] / tensors["sigma_"])
        return -distance.square().sum(1) / 2 + F.softplus(fields).sum(1)

    def _centres(self) -> Tensor:
        return self.mean_[None]
