"""The numpy reference: its forward pass is torch's, and its relevance that of a second derivation, by autograd.

That derivation changes no value of the forward pass, only derivatives, so that input times gradient becomes LRP: a
nonlinearity becomes a multiplication with the constant ``f(a) / a``, a linear map and a sum have their derivative
divided by ``(z + epsilon sign(z)) / z``, and the factors of a product are differentiated with their shares as weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy_recurrent import Recurrent, Relevance
from recurrent_networks import HIDDEN, NETWORKS, example, make
from torch import Tensor, nn

EXACT = {"rtol": 1e-10, "atol": 1e-12}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("with_state", [False, True])
def test_the_forward_pass_is_that_of_torch(name: str, with_state: bool) -> None:
    module, reference = make(name)
    x, h0, c0 = example(module)
    y, h, c, _ = reference.forward(x, *((h0, c0) if with_state else ()))
    states = (torch.tensor(h0), torch.tensor(c0)) if module.mode == "LSTM" else torch.tensor(h0)
    with torch.no_grad():
        expected, last = module(torch.tensor(x), *((states,) if with_state else ()))
    np.testing.assert_allclose(y, expected, **EXACT)
    last_h, last_c = last if module.mode == "LSTM" else (last, None)
    np.testing.assert_allclose(h, last_h, **EXACT)
    if last_c is not None:
        np.testing.assert_allclose(c, last_c, **EXACT)


class ByAutograd:
    """The networks with derivatives changed so that input times gradient is LRP; biases absorb or are ignored."""

    def __init__(self, module: nn.RNNBase, product: str, epsilon: float, bias: str) -> None:
        self.module, self.product, self.epsilon, self.ignore = module, product, epsilon, bias == "ignore"

    def relevance(
        self, x: np.ndarray, h0: np.ndarray, c0: np.ndarray, at: tuple[np.ndarray, ...]
    ) -> tuple[np.ndarray, ...]:
        """Relevance of the input and both states, from as many times the outputs as `at` says."""
        given = [torch.tensor(each, requires_grad=True) for each in (x, h0, c0)]
        outputs = self.run(*given)
        score = sum((torch.tensor(weight) * output).sum() for weight, output in zip(at, outputs, strict=True))
        gradients = torch.autograd.grad(score, given, allow_unused=True)
        return tuple(
            np.zeros(each.shape) if gradient is None else (each * gradient).detach().numpy()
            for each, gradient in zip(given, gradients, strict=True)
        )

    def run(self, x: Tensor, h0: Tensor, c0: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        values, last_h, last_c = list(x), [], []
        for layer in range(self.module.num_layers):
            both = []
            for suffix in ("", "_reverse")[: 1 + self.module.bidirectional]:
                h, c, outputs = h0[len(last_h)], c0[len(last_h)], []
                for each in values[::-1] if suffix else values:
                    h, c = self.step(f"_l{layer}{suffix}", each, h, c)
                    outputs.append(h)
                both.append(outputs[::-1] if suffix else outputs)
                last_h.append(h)
                last_c.append(c)
            values = [torch.cat(each) for each in zip(*both, strict=True)]
        return torch.stack(values), torch.stack(last_h), torch.stack(last_c)

    def step(self, end: str, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        mode = self.module.mode
        w_ih, w_hh = (getattr(self.module, f"weight_{each}{end}") for each in ("ih", "hh"))
        zero = torch.zeros(len(w_ih), dtype=x.dtype)
        b_ih, b_hh = (getattr(self.module, f"bias_{each}{end}", zero) for each in ("ih", "hh"))
        if mode == "LSTM":
            i, f, g, o = self.linear(w_ih @ x + w_hh @ h, b_ih + b_hh).split(HIDDEN)
            new = self.product_of(self.constant(torch.sigmoid, f), c)
            new = self.damp(new + self.product_of(self.constant(torch.sigmoid, i), self.constant(torch.tanh, g)))
            out = self.product_of(self.constant(torch.sigmoid, o), self.constant(torch.tanh, new))
            if self.module.proj_size:
                weight = getattr(self.module, f"weight_hr{end}")
                out = self.linear(weight @ out, torch.zeros(len(weight), dtype=x.dtype))
            return out, new
        if mode == "GRU":
            two = 2 * HIDDEN
            r, z = self.linear(w_ih[:two] @ x + w_hh[:two] @ h, (b_ih + b_hh)[:two]).split(HIDDEN)
            inner = self.linear(w_hh[two:] @ h, b_hh[two:])
            inner = self.product_of(self.constant(torch.sigmoid, r), inner)
            n = self.constant(torch.tanh, self.damp(self.linear(w_ih[two:] @ x, b_ih[two:]) + inner))
            fresh = self.product_of(self.constant(torch.sigmoid, -z), n)
            return self.damp(fresh + self.product_of(self.constant(torch.sigmoid, z), h)), c
        function = torch.tanh if mode == "RNN_TANH" else torch.relu
        return self.constant(function, self.linear(w_ih @ x + w_hh @ h, b_ih + b_hh)), c

    def linear(self, z: Tensor, bias: Tensor) -> Tensor:
        """A linear map from its value without the bias."""
        return self.damp(z + bias, z if self.ignore else None)

    def damp(self, value: Tensor, denominator: Tensor | None = None) -> Tensor:
        """The value, its derivative multiplied with ``value / (z + epsilon sign(z))``."""
        z = (value if denominator is None else denominator).detach()
        factor = value.detach() / (z + self.epsilon * torch.where(z < 0, -1.0, 1.0).to(z))
        return value.detach() + (value - value.detach()) * factor

    @staticmethod
    def constant(function: Any, a: Tensor) -> Tensor:
        return a * (function(a) / a).detach()

    def product_of(self, gate: Tensor, signal: Tensor) -> Tensor:
        size = gate.abs() + signal.abs()
        share = {"all": 0 * size, "half": 0.5 + 0 * size, "prop": gate.abs() / size}[self.product].detach()
        return share * gate * signal.detach() + (1 - share) * gate.detach() * signal


def by_reference(
    name: str, weights: tuple[np.ndarray, ...] | None = None, **how: Any
) -> tuple[Relevance, tuple[np.ndarray, ...], tuple[np.ndarray, ...], nn.RNNBase]:
    """Relevance of all outputs, each counted with a weight, on an example; the weights, the example, the module."""
    module, reference = make(name)
    given = example(module)
    *outputs, trace = reference.forward(*given)
    numbers = np.random.default_rng(1)
    weights = weights or tuple(numbers.normal(size=each.shape) for each in outputs)
    start = [weight * output for weight, output in zip(weights, outputs, strict=True)]
    relevance = reference.relevance(trace, *start, **how)
    scale = 1 + np.abs(relevance.x).sum()  # what may round: shares of either sign, large where epsilon is zero
    assert relevance.total() == pytest.approx(sum(float(each.sum()) for each in start), abs=1e-11 * scale)
    return relevance, weights, given, module


@pytest.mark.parametrize("bias", ["absorb", "ignore"])
@pytest.mark.parametrize("epsilon", [0.0, 0.001, 0.3])
@pytest.mark.parametrize("product", ["all", "prop", "half"])
@pytest.mark.parametrize("name", NETWORKS)
def test_relevance_is_input_times_the_changed_gradient(name: str, product: str, epsilon: float, bias: str) -> None:
    seen, weights, given, module = by_reference(name, product=product, epsilon=epsilon, bias=bias)
    x, h0, c0 = ByAutograd(module, product, epsilon, bias).relevance(*given, weights)
    for got, expected in ((seen.x, x), (seen.h0, h0), (seen.c0, c0)):
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-10 * max(1, np.abs(x).max()))


@pytest.mark.parametrize("product", ["all", "prop", "half"])
@pytest.mark.parametrize("name", NETWORKS)
def test_a_bias_factor_of_one_leaves_nothing_to_biases_and_stabilizers(name: str, product: str) -> None:
    whole, *_ = by_reference(name, product=product, bias_factor=1.0)
    assert whole.bias == 0 and whole.stabilizer == 0
    none, *_ = by_reference(name, product=product, bias_factor=0.0)
    absorbed, *_ = by_reference(name, product=product)
    np.testing.assert_array_equal(none.x, absorbed.x)


def test_bias_is_spread_evenly_over_the_inputs_of_a_map() -> None:
    # One unit, one step: z = 2 * 1 + 3 * 0.5 + 1 + 0.5 = 5, of which the bias holds 1.5.
    one = Recurrent(
        "rnn",
        {
            "weight_ih_l0": np.array([[2.0]]),
            "weight_hh_l0": np.array([[3.0]]),
            "bias_ih_l0": np.array([1.0]),
            "bias_hh_l0": np.array([0.5]),
        },
        nonlinearity="relu",
    )
    y, _, _, trace = one.forward(np.array([[1.0]]), np.array([[0.5]]))
    assert y.item() == 5
    for how, x, h in (
        ({"epsilon": 0.0}, 2.0, 1.5),
        ({"epsilon": 0.0, "bias": "ignore"}, 5 * 2 / 3.5, 5 * 1.5 / 3.5),
        ({"epsilon": 0.0, "bias": "distribute"}, 2.75, 2.25),
        ({"epsilon": 5.0, "bias": "distribute"}, 1.375, 1.125),
        ({"epsilon": 5.0, "bias_factor": 1.0}, 1 + 3.25 / 2, 0.75 + 3.25 / 2),
        ({"epsilon": 5.0, "bias_factor": 0.5}, 1 + 3.25 / 4, 0.75 + 3.25 / 4),
    ):
        seen = one.relevance(trace, y, None, None, **how)
        assert (seen.x.item(), seen.h0.item()) == (pytest.approx(x), pytest.approx(h)), how
