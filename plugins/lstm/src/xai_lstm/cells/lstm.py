"""The LSTM: ``c = f * c' + i * g``, ``h = o * tanh(c)``, of which a projection may follow."""

from __future__ import annotations

import torch
from torch import Tensor

from xai_lstm.cells.base import CellPass, Returned
from xai_lstm.linear_maps import LinearMap, Terms, without


class LstmPass(CellPass):
    """Relevance of h goes to o and tanh(c), that of c to both terms of the sum, and these to gates and signals.

    Gates i, f, o and the candidate g are made by one linear map each, of input and state together; relevance passes
    their sigmoid and tanh unchanged (Arras et al. 2017, section 3).
    """

    def run(self) -> Tensor:
        """See `CellPass.run`."""
        tensors, biases = self.weights.tensors(), self.weights.bias is not None
        initial = [state[None] for state in self.initial]
        h: Tensor = torch.ops.aten.lstm.input(self.x, initial, tensors, biases, 1, 0.0, True, False, False)[0]
        return h

    def relevance(self, r_h: Tensor, r_c: Tensor | None) -> Returned:
        """See `CellPass.relevance`."""
        z = self.preactivations()
        z_i, z_f, z_g, z_o = z.chunk(4, -1)
        i, f, g = z_i.sigmoid(), z_f.sigmoid(), z_g.tanh()
        written = i * g
        cells = self._cells(f, written)
        earlier = torch.cat([self.initial[1].unsqueeze(0), cells[:-1]])
        projection = self._projection(z_o, cells)
        show = self.product(z_o.sigmoid, cells.tanh)
        keep, write = self.product(lambda: f, lambda: earlier), self.product(lambda: i, lambda: g)
        add = self.sum(f * earlier, written)
        gates = self._gates(z if self.gates_carry else z_g)

        arrived = r_h.unbind(0)
        arrived_at_cell = None if r_c is None else r_c.unbind(0)
        of_state, of_cell = torch.zeros_like(arrived[0]), torch.zeros_like(self.initial[1])
        for step in reversed(range(len(arrived))):
            of_state = arrived[step] + of_state
            of_output = of_state if projection is None else projection.back(step, of_state)
            of_o, of_shown = show.share(step, of_output)
            of_cell = of_cell + of_shown
            if arrived_at_cell is not None:
                of_cell = of_cell + arrived_at_cell[step]
            of_kept, of_written = add.share(step, of_cell)
            of_f, of_cell = keep.share(step, of_kept)
            of_i, of_g = write.share(step, of_written)
            carried = [each for each in (of_i, of_f, of_g, of_o) if each is not None]
            of_state = gates.back(step, torch.cat(carried, -1) if self.gates_carry else of_g)
        if projection is not None:
            projection.of_inputs()  # it has none, but its books are kept there
        return Returned(gates.of_inputs(), [of_state, of_cell])

    def _cells(self, f: Tensor, written: Tensor) -> Tensor:
        """The states c of all steps."""
        cell, found = self.initial[1], []
        for forget, new in zip(f.unbind(0), written.unbind(0), strict=True):
            cell = torch.addcmul(new, forget, cell)
            found.append(cell)
        return torch.stack(found)

    def _projection(self, z_o: Tensor, cells: Tensor) -> LinearMap | None:
        weight = self.weights.projection
        if weight is None:
            return None
        output = z_o.sigmoid() * cells.tanh()
        return self.linear(Terms("projection", self.h, without(output), without(weight), output, weight))

    def _gates(self, z: Tensor) -> LinearMap:
        """The maps that relevance passes: of the candidate alone where no gate gets any."""
        w, size = self.weights, self.initial[1].shape[-1]
        rows = slice(None) if self.gates_carry else slice(2 * size, 3 * size)
        bias = None if w.bias is None else w.bias[rows]
        name = "gates" if self.gates_carry else "candidate"  # weights are remembered by it
        return self.linear(Terms(name, z, self.x, w.to_input[rows], self.before, w.to_state[rows], bias))
