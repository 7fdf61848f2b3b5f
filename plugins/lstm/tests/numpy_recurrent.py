"""LRP through recurrent networks, written out from the published equations: one sequence at a time, in float64.

Slow and plain on purpose, and without torch: it is what the fast implementation is tested against, and what the
benchmark compares it with. The cells are those of the documentation of ``torch.nn``. Relevance follows Bach et al.
2015, eq. 58 (linear maps and sums), Arras et al. 2017, eq. 2 (shares of bias and stabilizer), Arras et al. 2017 and
2019 (products of a gate and a signal); what the papers leave open:

* The maps of the input and of the hidden state into one pre-activation are one linear layer with one denominator, and
  its bias is the sum of both biases. In the candidate of a GRU the reset gate stands between them: there they are two
  layers, each with its own bias, and a sum of two terms joins them.
* A linear map with d inputs spreads bias and stabilizer over d units, a sum of two terms over these two.
* LRP-prop shares by absolute values, in halves where both factors are zero.
* Both gates of a GRU's last sum, z and 1 - z, are sigmoids of one pre-activation, of either sign: both hand their
  relevance on to it.
* A unit whose denominator is zero, with an epsilon of zero, passes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Step = dict[str, Array]
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


@dataclass
class Rules:
    """How relevance is shared; and, while it is, the sums of what biases and stabilizers kept.

    ``bias`` is 'absorb', 'ignore', 'distribute' or 'conserve': spread over the inputs is nothing, nothing, the share of
    the bias, or that of the stabilizer too. ``bias_factor``, if given, is the part of both that is spread.
    """

    product: str = "all"
    epsilon: float = 0.001
    bias: str = "absorb"
    bias_factor: float | None = None
    kept: dict[str, float] = field(default_factory=lambda: {"bias": 0.0, "stabilizer": 0.0})

    def linear(self, xs: Sequence[Array], weights: Sequence[Array], bias: Array, r: Array) -> list[Array]:
        """Relevance of the inputs of ``z_j = sum_i w_ji x_i + b_j``, which come in several vectors."""
        x, w = np.concatenate(xs), np.concatenate(weights, 1)
        b = np.zeros_like(bias) if self.bias == "ignore" else bias
        z = w @ x + b
        ratio = self.ratio(r, z)
        messages = w * x * ratio[:, None]  # from unit j to unit i
        messages += self.spread(b * ratio, r - z * ratio)[:, None] / len(x)
        return np.split(messages.sum(0), np.cumsum([len(each) for each in xs])[:-1])

    def sum(self, a: Array, b: Array, r: Array) -> tuple[Array, Array]:
        """Relevance of both terms of ``a + b``."""
        z = a + b
        ratio = self.ratio(r, z)
        spread = self.spread(np.zeros_like(z), r - z * ratio) / 2
        return a * ratio + spread, b * ratio + spread

    def multiply(self, gate: Array, signal: Array, r: Array) -> tuple[Array, Array]:
        """Relevance of the gate and of the signal of a product."""
        if self.product == "all":
            share = np.zeros_like(r)
        elif self.product == "half":
            share = np.full_like(r, 0.5)
        else:
            size = np.abs(gate) + np.abs(signal)
            share = np.where(size > 0, np.abs(gate) / np.where(size > 0, size, 1), 0.5)
        return share * r, (1 - share) * r

    def ratio(self, r: Array, z: Array) -> Array:
        """``R_j / (z_j + epsilon sign(z_j))`` with sign(0) = +1."""
        denominator = z + self.epsilon * np.where(z < 0, -1.0, 1.0)
        alive = denominator != 0
        return np.where(alive, r / np.where(alive, denominator, 1), 0)

    def spread(self, of_bias: Array, of_stabilizer: Array) -> Array:
        """What of both shares goes to the inputs; the rest is entered in the account of what was kept."""
        for_bias, for_stabilizer = float(self.bias in ("distribute", "conserve")), float(self.bias == "conserve")
        if self.bias_factor is not None:
            for_bias = for_stabilizer = self.bias_factor
        self.kept["bias"] += float((1 - for_bias) * of_bias.sum())
        self.kept["stabilizer"] += float((1 - for_stabilizer) * of_stabilizer.sum())
        return for_bias * of_bias + for_stabilizer * of_stabilizer


@dataclass(frozen=True)
class Relevance:
    """Relevance of the input and of the initial states; what biases and stabilizers kept of it."""

    x: Array
    h0: Array
    c0: Array
    bias: float
    stabilizer: float

    def total(self) -> float:
        return float(self.x.sum() + self.h0.sum() + self.c0.sum() + self.bias + self.stabilizer)


class Recurrent:
    """An ``nn.LSTM``, ``nn.GRU`` or ``nn.RNN``, of the kind 'lstm', 'gru' or 'rnn', from its state dict as arrays."""

    def __init__(
        self,
        kind: str,
        weights: Mapping[str, Array],
        num_layers: int = 1,
        bidirectional: bool = False,
        proj_size: int = 0,
        nonlinearity: str = "tanh",
    ) -> None:
        self.kind, self.num_layers, self.nonlinearity = kind, num_layers, nonlinearity
        self.suffixes = ("", "_reverse") if bidirectional else ("",)
        self.cells = [
            self._weights_of(weights, f"_l{layer}{suffix}") for layer in range(num_layers) for suffix in self.suffixes
        ]
        self.hidden = len(self.cells[0]["b_ih"]) // GATES[kind]
        self.out = proj_size or self.hidden

    @staticmethod
    def _weights_of(weights: Mapping[str, Array], end: str) -> Step:
        given = {key.removesuffix(end): value for key, value in weights.items() if key.endswith(end)}
        none = np.zeros(len(given["weight_ih"]))
        cell = {"w_ih": given["weight_ih"], "w_hh": given["weight_hh"]}
        cell |= {"b_ih": given.get("bias_ih", none), "b_hh": given.get("bias_hh", none)}
        return cell | ({"w_hr": given["weight_hr"]} if "weight_hr" in given else {})

    def forward(self, x: Array, h0: Array | None = None, c0: Array | None = None) -> tuple[Array, Array, Array, Any]:
        """Run one sequence ``x`` of shape (T, d); the states have one row for each layer and direction.

        Returns the outputs (T, directions * out), the last states h and c, and the steps of each cell as it took them.
        """
        h = list(np.zeros((len(self.cells), self.out)) if h0 is None else h0)
        c = list(np.zeros((len(self.cells), self.hidden)) if c0 is None else c0)
        trace, values = [], x
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(len(self.suffixes)):
                number = layer * len(self.suffixes) + direction
                steps = []
                for each in self._in_order(values, direction):
                    step = self._step(self.cells[number], each, h[number], c[number])
                    h[number], c[number] = step["h"], step["c"]
                    steps.append(step)
                trace.append(steps)
                outputs.append(self._in_order(np.stack([step["h"] for step in steps]), direction))
            values = np.concatenate(outputs, 1)
        return values, np.stack(h), np.stack(c), trace

    def relevance(
        self, trace: Any, r_y: Array, r_h: Array | None, r_c: Array | None, rules: Rules | None = None, **how: Any
    ) -> Relevance:
        """Relevance of the input and of the initial states, from that of the outputs and of the last states.

        By ``rules``, or those that ``how`` gives the parameters of.
        """
        rules = rules or Rules(**how)
        at_h = np.zeros((len(self.cells), self.out)) if r_h is None else r_h.copy()
        at_c = np.zeros((len(self.cells), self.hidden)) if r_c is None else r_c.copy()
        r_values = r_y
        for layer in reversed(range(self.num_layers)):
            parts = np.split(r_values, len(self.suffixes), 1)
            r_values = np.zeros((len(r_y), self.cells[layer * len(self.suffixes)]["w_ih"].shape[1]))
            for direction, part in enumerate(parts):
                number = layer * len(self.suffixes) + direction
                into = self._in_order(r_values, direction)  # a view
                r_outputs = self._in_order(part, direction)
                for t in reversed(range(len(r_y))):
                    r_x, at_h[number], at_c[number] = self._step_back(
                        self.cells[number], trace[number][t], r_outputs[t] + at_h[number], at_c[number], rules
                    )
                    into[t] += r_x
        return Relevance(r_values, at_h, at_c, **rules.kept)

    @staticmethod
    def _in_order(values: Array, direction: int) -> Array:
        return values[::-1] if direction else values

    def _step(self, w: Step, x: Array, h: Array, c: Array) -> Step:
        return {"lstm": _lstm, "gru": _gru, "rnn": self._rnn}[self.kind](w, x, h, c)

    def _step_back(self, w: Step, s: Step, r_h: Array, r_c: Array, rules: Rules) -> tuple[Array, Array, Array]:
        return {"lstm": _lstm_back, "gru": _gru_back, "rnn": _rnn_back}[self.kind](w, s, r_h, r_c, rules)

    def _rnn(self, w: Step, x: Array, h: Array, c: Array) -> Step:
        a = w["w_ih"] @ x + w["b_ih"] + w["w_hh"] @ h + w["b_hh"]
        return {"x": x, "before": h, "c": c, "h": np.tanh(a) if self.nonlinearity == "tanh" else np.maximum(a, 0)}


def _sigmoid(a: Array) -> Array:
    return 1 / (1 + np.exp(-a))


def _lstm(w: Step, x: Array, h: Array, c: Array) -> Step:
    i, f, g, o = np.split(w["w_ih"] @ x + w["b_ih"] + w["w_hh"] @ h + w["b_hh"], 4)
    i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
    new = f * c + i * g
    step = {"x": x, "before": h, "c_before": c, "i": i, "f": f, "g": g, "o": o, "c": new}
    out = o * np.tanh(new)
    return step | {"out": out, "h": w["w_hr"] @ out if "w_hr" in w else out}


def _lstm_back(w: Step, s: Step, r_h: Array, r_c: Array, rules: Rules) -> tuple[Array, Array, Array]:
    if "w_hr" in w:
        (r_h,) = rules.linear([s["out"]], [w["w_hr"]], np.zeros(len(r_h)), r_h)
    r_o, r_signal = rules.multiply(s["o"], np.tanh(s["c"]), r_h)
    r_kept, r_new = rules.sum(s["f"] * s["c_before"], s["i"] * s["g"], r_c + r_signal)
    r_f, r_c_before = rules.multiply(s["f"], s["c_before"], r_kept)
    r_i, r_g = rules.multiply(s["i"], s["g"], r_new)
    r_gates = np.concatenate([r_i, r_f, r_g, r_o])
    r_x, r_h_before = rules.linear([s["x"], s["before"]], [w["w_ih"], w["w_hh"]], w["b_ih"] + w["b_hh"], r_gates)
    return r_x, r_h_before, r_c_before


def _gru(w: Step, x: Array, h: Array, c: Array) -> Step:
    r_x, z_x, n_x = np.split(w["w_ih"] @ x + w["b_ih"], 3)
    r_h, z_h, n_h = np.split(w["w_hh"] @ h + w["b_hh"], 3)
    r, z = _sigmoid(r_x + r_h), _sigmoid(z_x + z_h)
    n = np.tanh(n_x + r * n_h)
    new = (1 - z) * n + z * h
    return {"x": x, "before": h, "c": c, "r": r, "z": z, "n": n, "n_x": n_x, "n_h": n_h, "h": new}


def _gru_back(w: Step, s: Step, r_h: Array, r_c: Array, rules: Rules) -> tuple[Array, Array, Array]:
    (w_x, w_xn), (w_h, w_hn), (b_x, b_xn), (b_h, b_hn) = (
        np.split(w[name], [2 * len(r_h)]) for name in ("w_ih", "w_hh", "b_ih", "b_hh")
    )
    r_new, r_kept = rules.sum((1 - s["z"]) * s["n"], s["z"] * s["before"], r_h)
    r_open, r_n = rules.multiply(1 - s["z"], s["n"], r_new)
    r_z, r_before = rules.multiply(s["z"], s["before"], r_kept)
    r_n_x, r_n_h = rules.sum(s["n_x"], s["r"] * s["n_h"], r_n)
    r_r, r_n_h = rules.multiply(s["r"], s["n_h"], r_n_h)
    (x_of_n,) = rules.linear([s["x"]], [w_xn], b_xn, r_n_x)
    (h_of_n,) = rules.linear([s["before"]], [w_hn], b_hn, r_n_h)
    r_gates = np.concatenate([r_r, r_open + r_z])
    x_of_gates, h_of_gates = rules.linear([s["x"], s["before"]], [w_x, w_h], b_x + b_h, r_gates)
    return x_of_n + x_of_gates, r_before + h_of_n + h_of_gates, r_c


def _rnn_back(w: Step, s: Step, r_h: Array, r_c: Array, rules: Rules) -> tuple[Array, Array, Array]:
    r_x, r_before = rules.linear([s["x"], s["before"]], [w["w_ih"], w["w_hh"]], w["b_ih"] + w["b_hh"], r_h)
    return r_x, r_before, r_c
