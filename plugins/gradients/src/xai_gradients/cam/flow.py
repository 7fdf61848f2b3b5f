"""Whether what the maps say still gets through, and whether all of it gets through one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xai_gradients.cam.positions import MIXES_ROWS, Positions, row_operand
from xaicore.graph import Layer, Ref


class Flow:
    """What flows from maps to the explained output.

    Parameters
    ----------
    path : sequence of Layer
        The layers between the inputs and the output, in topological order.
    output : Ref
        The explained output.
    positions : mapping of Ref to Positions

    Attributes
    ----------
    alive : set of Ref
        The tensors of which something at a position is still read. After the last attention of a vision transformer
        only the class token is read, so that what stands at the patches is dead.
    """

    def __init__(self, path: Sequence[Layer], output: Ref, positions: Mapping[Ref, Positions]) -> None:
        self.path, self.output, self.positions = path, output, positions
        self.alive = self._alive()

    def _alive(self) -> set[Ref]:
        without = {ref for ref, positions in self.positions.items() if positions.none}
        alive = {self.output}
        for layer in reversed(self.path):
            goes_on = any(ref in alive for ref in self._outputs(layer))
            rows = row_operand(layer) if layer.kind in MIXES_ROWS else None
            for place, ref in enumerate(layer.inputs):
                # Keys and values reach every query, those of class tokens included.
                mixed = rows is not None and (ref != rows or ref in layer.inputs[:place])
                if (goes_on or mixed) and ref not in without:
                    alive.add(ref)
        return alive

    def all_through(self, tensor: Ref, starts: Sequence[Ref]) -> bool:
        """Whether nothing gets from the starts to the output but through this tensor."""
        reached = {ref for ref in starts if ref != tensor}
        for layer in self.path:
            if not any(ref in reached for ref in layer.inputs):
                continue
            outputs = [ref for ref in self._outputs(layer) if ref != tensor]
            alive = [ref for ref in outputs if ref in self.alive]
            if outputs and not alive and layer.kind in MIXES_ROWS:
                rows = row_operand(layer)
                if any(ref in reached and ref != rows for ref in layer.inputs):
                    return False  # it got into the class token
            reached.update(alive)
        return self.output not in reached

    def reached(self, starts: Sequence[Ref]) -> set[Ref]:
        """All tensors that are computed from these, and these."""
        found = set(starts)
        for layer in self.path:
            if any(ref in found for ref in layer.inputs):
                found.update(self._outputs(layer))
        return found

    @staticmethod
    def _outputs(layer: Layer) -> list[Ref]:
        return [Ref(layer, index) for index in range(len(layer.outputs))]
