"""A mixture of normal densities, fitted by scikit-learn and evaluated in torch."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from xai_activation_max.experts.base import Expert
from xai_activation_max.parameters import check_integer, check_number, check_word
from xaicore.errors import InputError

_COVARIANCES = ("full", "tied", "diag", "spherical")
_MOST_COVARIANCES = 2**30  # entries of all matrices together: 8 GB, of which the fit needs several times as much


class GaussianMixture(Expert):
    """A mixture of normal densities, fitted by expectation maximization (``sklearn.mixture.GaussianMixture``)::

        log p(x) = log sum_k w_k N(x; m_k, C_k)

    `log_density` is exact, with the normalising constants. It is evaluated as the logarithm of the sum of the
    exponentials of log w_k - D log(2 pi) / 2 + log det L_k - |(x - m_k) L_k|^2 / 2, where L_k L_k' is the inverse of
    C_k and L_k a Cholesky factor.

    Parameters
    ----------
    components : int
        How many normal densities; at most as many as there are samples.
    covariance : {"full", "tied", "diag", "spherical"}
        Each component has a covariance matrix of its own; all share one; each has its own variances and no covariances;
        each has one variance.
    reg_covar : float
        What is added to all variances, in the squared units of the data. Where values of the data are constant, as
        pixels at a border, it is their variance, and a small one makes the density steep.
    restarts : int
        How many starts are tried; the best is kept.
    max_iterations : int
        Of expectation maximization.
    tolerance : float
        It stops where the mean log likelihood rises by less.
    seed : int
        The same seed gives the same density.

    Attributes
    ----------
    log_weights_, means_, precisions_cholesky_ : Tensor
        The log w_k (K,), m_k (K, D) and L_k, in scikit-learn's shapes: (K, D, D), (D, D), (K, D) or (K,).
    centres : Tensor
        The m_k as inputs, (K, *shape).
    """

    learnt = ("log_weights_", "means_", "precisions_cholesky_")
    log_weights_: Tensor
    means_: Tensor
    precisions_cholesky_: Tensor

    def __init__(
        self,
        *,
        components: int = 10,
        covariance: str = "full",
        reg_covar: float = 1e-3,
        restarts: int = 1,
        max_iterations: int = 500,
        tolerance: float = 1e-3,
        seed: int = 0,
    ) -> None:
        self.components, self.covariance, self.reg_covar = components, covariance, reg_covar
        self.restarts, self.max_iterations, self.tolerance, self.seed = restarts, max_iterations, tolerance, seed
        check_integer("components", components, least=1)
        check_word("covariance", covariance, _COVARIANCES)
        check_number("reg_covar", reg_covar)
        check_integer("restarts", restarts, least=1)
        check_integer("max_iterations", max_iterations, least=1)
        check_number("tolerance", tolerance)
        check_integer("seed", seed, least=0)

    def _learn(self, samples: Tensor) -> dict[str, Tensor]:
        import numpy as np
        from sklearn import mixture

        needed = max(self.components, 2)
        if len(samples) < needed:
            raise InputError(
                f"a {type(self).__name__} with components={self.components} needs at least {needed} samples, and the "
                f"data has {len(samples)}; give more data or fewer components"
            )
        entries = samples.shape[1] ** 2 * {"full": self.components, "tied": 1}.get(self.covariance, 0)
        if entries > _MOST_COVARIANCES:
            raise InputError(
                f"covariances of {samples.shape[1]} values are too many for covariance={self.covariance!r}: "
                f"{entries * 8 / 1e9:.0f} GB for components={self.components}. Choose 'diag', or a GaussianRBM"
            )
        fitted = mixture.GaussianMixture(
            self.components,
            covariance_type=self.covariance,
            reg_covar=self.reg_covar,
            n_init=self.restarts,
            max_iter=self.max_iterations,
            tol=self.tolerance,
            random_state=np.random.RandomState(np.random.MT19937(np.random.SeedSequence(self.seed))),
        )
        try:
            fitted.fit(samples.cpu().numpy())
        except ValueError as error:
            raise InputError(
                f"no mixture of {self.components} components with {self.covariance} covariance could be fitted to "
                f"{len(samples)} samples: {error} Raise reg_covar={self.reg_covar!r}, or take fewer components"
            ) from error
        return {
            "log_weights_": torch.from_numpy(fitted.weights_).log(),
            "means_": torch.from_numpy(fitted.means_),
            "precisions_cholesky_": torch.from_numpy(fitted.precisions_cholesky_),
        }

    def _log_density(self, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        factors = tensors["precisions_cholesky_"]
        from_means = x[:, None] - tensors["means_"]  # (N, K, D)
        if self.covariance == "full":
            whitened = torch.einsum("nkd,kde->nke", from_means, factors)
            log_determinants = factors.diagonal(dim1=1, dim2=2).log().sum(1)
        elif self.covariance == "tied":
            whitened = from_means @ factors
            log_determinants = factors.diagonal().log().sum()
        elif self.covariance == "diag":
            whitened = from_means * factors
            log_determinants = factors.log().sum(1)
        else:
            whitened = from_means * factors[:, None]
            log_determinants = factors.log() * x.shape[1]
        heights = tensors["log_weights_"] + log_determinants - x.shape[1] * math.log(2 * math.pi) / 2
        return torch.logsumexp(heights - whitened.square().sum(2) / 2, 1)

    def _centres(self) -> Tensor:
        return self.means_
