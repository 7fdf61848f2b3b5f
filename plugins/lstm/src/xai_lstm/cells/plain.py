"""The plain recurrent network: ``h = f(W x + U h' + b)``, with tanh or ReLU."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_lstm.cells.base import CellPass, Returned
from xai_lstm.linear_maps import Terms


class PlainPass(CellPass):
    """Relevance passes the activation unchanged, then the linear map of input and state together."""

    activation = "tanh"

    def run(self) -> Tensor:
        """See `CellPass.run`."""
        operator = torch.ops.aten.rnn_tanh if self.activation == "tanh" else torch.ops.aten.rnn_relu
        tensors, biases = self.weights.tensors(), self.weights.bias is not None
        h: Tensor = operator.input(self.x, self.initial[0][None], tensors, biases, 1, 0.0, True, False, False)[0]
        return h

    def relevance(self, r_h: Tensor, r_c: Tensor | None) -> Returned:
        """See `CellPass.relevance`."""
        w = self.weights
        linear = self.linear(Terms("state", self.preactivations(), self.x, w.to_input, self.before, w.to_state, w.bias))
        arrived = r_h.unbind(0)
        below = torch.zeros_like(arrived[0])
        for step in reversed(range(len(arrived))):
            below = linear.back(step, arrived[step] + below)
        return Returned(linear.of_inputs(), [below])


class ReluPass(PlainPass):
    """The plain recurrent network with ReLU."""

    activation = "relu"
