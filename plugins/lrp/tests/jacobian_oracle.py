"""A slow derivation of every rule, in float64, from the Jacobian matrix of a layer.

Any layer that is affine in its input is a matrix W (outputs x inputs) and a vector b. Here both are found by
differentiating the layer as a black box, and each rule is written out as its published equation over the dense table of
contributions ``z_ij = x_i w_ij``. Nothing is shared with the package under test.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from xaicore.testing import Affine


@dataclass
class Shares:
    """Which part of output j's relevance goes to input i, to the bias, and to neither."""

    inputs: Tensor  # (outputs, inputs)
    bias: Tensor  # (outputs,)

    @property
    def stabilizer(self) -> Tensor:
        """What is neither the inputs' nor the bias's."""
        return 1 - self.inputs.sum(1) - self.bias


def quotient(numerator: Tensor, denominator: Tensor) -> Tensor:
    """Divide row by row; rows with a denominator of zero are zero."""
    if numerator.dim() == 2:
        denominator = denominator[:, None]
    return (numerator / denominator.masked_fill(denominator == 0, 1)).masked_fill(denominator == 0, 0)


def stabilized(z: Tensor, epsilon: float) -> Tensor:
    return torch.where(z < 0, z - epsilon, z + epsilon)


def zero(w: Tensor, b: Tensor, x: Tensor) -> Shares:
    """Bach et al. 2015, eq. 56."""
    z = (x * w).sum(1) + b
    return Shares(quotient(x * w, z), quotient(b, z))


def epsilon(w: Tensor, b: Tensor, x: Tensor, epsilon: float = 1e-6) -> Shares:
    """Bach et al. 2015, eq. 58."""
    z = stabilized((x * w).sum(1) + b, epsilon)
    return Shares(quotient(x * w, z), quotient(b, z))


def gamma(w: Tensor, b: Tensor, x: Tensor, gamma: float = 0.25, epsilon: float = 1e-6) -> Shares:
    """Montavon et al. 2019, by contributions: z_ij + gamma z_ij+."""
    favoured = x * w + gamma * (x * w).clamp(min=0)
    bias = b + gamma * b.clamp(min=0)
    z = stabilized(favoured.sum(1) + bias, epsilon)
    return Shares(quotient(favoured, z), quotient(bias, z))


def generalized_gamma(w: Tensor, b: Tensor, x: Tensor, gamma: float = 0.25, epsilon: float = 1e-6) -> Shares:
    """Andeol et al. 2021: positive outputs favour positive contributions, negative outputs negative ones."""
    contributions = torch.cat([x * w, b[:, None]], dim=1)  # the bias as one more input
    positive_output = contributions.sum(1, keepdim=True) >= 0
    same_sign = (contributions > 0) == positive_output
    favoured = contributions + gamma * contributions * same_sign
    shares = quotient(favoured, stabilized(favoured.sum(1), epsilon))
    return Shares(shares[:, :-1], shares[:, -1])


def excitation_backprop(w: Tensor, b: Tensor, x: Tensor) -> Shares:
    """Zhang et al. 2016: positive weights, active inputs, no bias."""
    excitatory = x.clamp(min=0) * w.clamp(min=0)
    return Shares(quotient(excitatory, excitatory.sum(1)), torch.zeros_like(b))


def alpha_beta(w: Tensor, b: Tensor, x: Tensor, alpha: float = 2.0, beta: float = 1.0) -> Shares:
    """Bach et al. 2015, eq. 60, the bias split by sign."""
    positive, positive_bias = (x * w).clamp(min=0), b.clamp(min=0)
    negative, negative_bias = (x * w).clamp(max=0), b.clamp(max=0)
    z_positive = positive.sum(1) + positive_bias
    z_negative = negative.sum(1) + negative_bias
    return Shares(
        alpha * quotient(positive, z_positive) - beta * quotient(negative, z_negative),
        alpha * quotient(positive_bias, z_positive) - beta * quotient(negative_bias, z_negative),
    )


def z_plus(w: Tensor, b: Tensor, x: Tensor) -> Shares:
    """Montavon et al. 2017, with the positive part of the bias in the denominator."""
    positive = (x * w).clamp(min=0)
    z = positive.sum(1) + b.clamp(min=0)
    return Shares(quotient(positive, z), quotient(b.clamp(min=0), z))


def flat(w: Tensor, b: Tensor, x: Tensor) -> Shares:
    """Equal parts to the connected inputs."""
    connected = (w != 0).double()
    return Shares(quotient(connected, connected.sum(1)), torch.zeros_like(b))


def w_square(w: Tensor, b: Tensor, x: Tensor) -> Shares:
    """Montavon et al. 2017."""
    return Shares(quotient(w**2, (w**2).sum(1)), torch.zeros_like(b))


def z_box(w: Tensor, b: Tensor, x: Tensor, low: Tensor, high: Tensor, epsilon: float = 1e-6) -> Shares:
    """Montavon et al. 2017."""
    boxed = x * w - low * w.clamp(min=0) - high * w.clamp(max=0)
    return Shares(quotient(boxed, stabilized(boxed.sum(1), epsilon)), torch.zeros_like(b))


def distributed(shares: Shares, w: Tensor) -> Shares:
    """The same with the share of the bias spread evenly over the connected inputs; one without any keeps it."""
    connected = (w != 0).double()
    count = connected.sum(1)
    return Shares(
        shares.inputs + connected * quotient(shares.bias, count)[:, None],
        shares.bias.masked_fill(count != 0, 0),
    )


def conserving(shares: Shares, w: Tensor) -> Shares:
    """The same with the share of the bias and what the stabilizer keeps spread evenly (Arras et al. 2017)."""
    connected = (w != 0).double()
    even = connected * quotient(shares.stabilizer, connected.sum(1))[:, None]
    spread = distributed(shares, w)
    return Shares(spread.inputs + even, spread.bias)


def explain_every_output(layer: nn.Module, x: Tensor, rule: Callable[..., Shares], bias: str = "absorb") -> Explained:
    """Explain each output of the layer by itself, for one sample ``x`` without batch dimension."""
    x = x.double()
    affine, padding = _as_matrices(layer, tuple(x.shape))
    padded = x.flatten() if padding is None else padding.weight @ x.flatten()
    b = torch.zeros_like(affine.bias) if bias == "ignore" else affine.bias
    shares = rule(affine.weight, b, padded)
    if bias == "distribute":
        shares = distributed(shares, affine.weight)
    if bias == "conserve":
        shares = conserving(shares, affine.weight)
    outputs = affine.weight @ padded + affine.bias
    relevance = shares.inputs * outputs[:, None]
    if padding is not None:
        # Values were copied to the border: relevance goes back to where they came from.
        relevance = relevance @ padding.weight
    return Explained(
        outputs, relevance.reshape(len(outputs), *x.shape), shares.bias * outputs, shares.stabilizer * outputs
    )


@functools.cache
def _as_matrices(layer: nn.Module, shape: tuple[int, ...]) -> tuple[Affine, Affine | None]:
    """The layer, and where it pads by copying values that padding apart; found once for all rules."""
    padding, bare = _padding_apart(copy.deepcopy(layer).double().eval())
    if padding is None:
        return Affine.of(bare, shape), None
    padded = padding(torch.zeros(1, *shape)).shape[1:]
    return Affine.of(bare, tuple(padded)), Affine.of(padding, shape)


@dataclass
class Explained:
    """One row for each output of the layer."""

    outputs: Tensor
    relevance: Tensor
    bias: Tensor
    stabilizer: Tensor


def _padding_apart(layer: nn.Module) -> tuple[Callable[[Tensor], Tensor] | None, nn.Module]:
    """A convolution that pads by copying values is a padding and a convolution that does not pad."""
    mode = getattr(layer, "padding_mode", "zeros")
    if mode == "zeros":
        return None, layer
    sides = list(layer._reversed_padding_repeated_twice)
    bare = copy.deepcopy(layer)
    bare.padding_mode, bare.padding = "zeros", (0,) * len(layer.kernel_size)
    return lambda x: nn.functional.pad(x, sides, mode=mode), bare
