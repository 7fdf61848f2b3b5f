"""The gated recurrent unit: ``h = (1 - u) * n + u * h'``, ``n = tanh(W x + b + r * (U h' + b'))``."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from xai_lstm.cells.base import CellPass, Returned
from xai_lstm.linear_maps import LinearMap, Terms, without


class GruPass(CellPass):
    """Relevance of h goes to both terms of the sum, and these to gates and signals.

    The update gate is u for the old state and 1 - u for the new: both are sigmoids of the same map, which relevance
    passes unchanged. The candidate n is a sum of what the input brings and of what the reset gate r lets through; each
    of these two linear maps shares by an output of its own.
    """

    def run(self) -> Tensor:
        """See `CellPass.run`."""
        tensors, biases = self.weights.tensors(), self.weights.bias is not None
        h: Tensor = torch.ops.aten.gru.input(
            self.x, self.initial[0][None], tensors, biases, 1, 0.0, True, False, False
        )[0]
        return h

    def relevance(self, r_h: Tensor, r_c: Tensor | None) -> Returned:
        """See `CellPass.relevance`."""
        w, size = self.weights, self.h.shape[-1]
        of_gates, of_candidate = slice(0, 2 * size), slice(2 * size, None)
        from_x = F.linear(self.x, w.to_input, w.input_bias)
        from_h = F.linear(self.before, w.to_state, w.state_bias)
        z = from_x[..., of_gates] + from_h[..., of_gates]
        reset, update = z.sigmoid().chunk(2, -1)
        seen, recalled = from_x[..., of_candidate], from_h[..., of_candidate]
        let_through = reset * recalled
        candidate = (seen + let_through).tanh()

        blend = self.sum((1 - update) * candidate, update * self.before)
        renew = self.product(lambda: 1 - update, lambda: candidate)
        keep = self.product(lambda: update, lambda: self.before)
        compose, recall = self.sum(seen, let_through), self.product(lambda: reset, lambda: recalled)
        x, h = (self.x, w.to_input), (self.before, w.to_state)
        gates = self._linear("gates", z, x, h, w.bias, of_gates)
        see = self._linear("seen", seen, x, None, w.input_bias, of_candidate)
        remember = self._linear("recalled", recalled, None, h, w.state_bias, of_candidate)

        arrived = r_h.unbind(0)
        of_state = torch.zeros_like(arrived[0])
        for step in reversed(range(len(arrived))):
            of_new, of_old = blend.share(step, arrived[step] + of_state)
            of_renewal, of_candidate_n = renew.share(step, of_new)
            of_update, of_state = keep.share(step, of_old)
            of_seen, of_let_through = compose.share(step, of_candidate_n)
            of_reset, of_recalled = recall.share(step, of_let_through)
            see.back(step, of_seen)
            of_state = of_state + remember.back(step, of_recalled)
            if of_reset is not None and of_update is not None and of_renewal is not None:
                of_state = of_state + gates.back(step, torch.cat([of_reset, of_update + of_renewal], -1))
        remember.of_inputs()  # it has none, but its books are kept there
        of_inputs = see.of_inputs()
        if self.gates_carry:
            of_inputs = of_inputs + gates.of_inputs()
        return Returned(of_inputs, [of_state])

    def _linear(
        self,
        name: str,
        z: Tensor,
        from_input: tuple[Tensor, Tensor] | None,
        from_state: tuple[Tensor, Tensor] | None,
        bias: Tensor | None,
        rows: slice,
    ) -> LinearMap:
        """The map with these rows of the weights; either part may be missing."""
        w = self.weights
        x, to_x = from_input or (without(self.x), without(w.to_input))
        h, to_h = from_state or (without(self.before), without(w.to_state))
        return self.linear(Terms(name, z, x, to_x[rows], h, to_h[rows], None if bias is None else bias[rows]))
