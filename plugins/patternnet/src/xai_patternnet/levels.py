"""Powers of two that are taken out of signals on their way back, so that they stay within the numbers of a model.

The walk is linear in what arrives. So each tensor of the graph can have a power of its own by which all that arrives
there is kept smaller, whichever branch it comes by: shares of branches, and the direction of the result, stay exact.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from xaicore.graph import Graph, Layer, Ref

if TYPE_CHECKING:
    from collections.abc import Callable

    from xaicore.propagation import State


class Levels:
    """The power of two of each tensor; none where signals are not expected to leave the middle of the range.

    They follow from patterns and types, not from what is explained: a sample has the same in every batch.

    Parameters
    ----------
    growth : callable
        How many times larger a signal is expected to become on its way back through a layer of a graph.
    autocast_to : torch.dtype, optional
        The type of autocast, where it is on.
    """

    def __init__(self, growth: Callable[[Layer, Graph], float], autocast_to: torch.dtype | None = None) -> None:
        self._growth = growth
        self._autocast_to = autocast_to
        self._of: dict[Ref, int] = {}
        self.note = ""

    def prepare(self, graph: Graph) -> None:
        """Find the powers for a graph that is about to be walked through."""
        sizes = self._sizes(graph)
        dtype = self._narrowest(graph)
        room = math.log2(torch.finfo(dtype).max) / 2
        if max(sizes.values(), default=0.0) <= room:
            return
        found = {ref: round(size) for ref, size in sizes.items()}
        inputs = {
            name: max((found[ref] for ref in refs if ref in found), default=0) for name, refs in graph.sources.items()
        }
        # Inputs of similar size stay comparable; others would come out as zeros.
        common = max(inputs.values(), default=0)
        inputs = {name: common if common - power <= room else power for name, power in inputs.items()}
        self._of.update(found)
        self._of.update({ref: power for name, power in inputs.items() for ref in graph.sources[name]})
        self.note = _told(dtype, inputs)

    def of(self, ref: Ref) -> int:
        """The power that is taken out of what arrives at a tensor."""
        return self._of.get(ref, 0)

    def _sizes(self, graph: Graph) -> dict[Ref, float]:
        """The size, in powers of two, that what arrives at a tensor is expected to have, by its largest branch."""
        sizes = dict.fromkeys(graph.outputs.values(), 0.0)
        for layer in reversed(graph.layers):
            arriving = [sizes[ref] for ref in _outputs(layer) if ref in sizes]
            if layer in graph.path and arriving:
                growth = self._growth(layer, graph)
                size = max(arriving) + (math.log2(growth) if growth > 0 else 0.0)
                for ref in layer.inputs:
                    sizes[ref] = max(size, sizes.get(ref, -math.inf))
        return sizes

    def _narrowest(self, graph: Graph) -> torch.dtype:
        types = {info.dtype for layer in graph.layers if layer in graph.path for info in layer.outputs}
        types = {dtype for dtype in types if dtype.is_floating_point}
        if self._autocast_to is not None:
            types.add(self._autocast_to)
        return min(types, key=lambda dtype: torch.finfo(dtype).max, default=torch.float32)


class Levelled:
    """A mapping between levels: what arrives at the level of the outputs is sent at the levels of the inputs."""

    def __init__(self, mapping: Any, levels: Levels) -> None:
        self.mapping, self.levels = mapping, levels
        self.needs: Collection[str] = mapping.needs

    def __call__(
        self, xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: State
    ) -> list[Tensor | None]:
        if not self.levels.note:
            return list(self.mapping(xs, ys, rs, state))
        state.note(self.levels.note)
        above = [self.levels.of(ref) for ref in _outputs(state.layer)]
        base = max(level for level, r in zip(above, rs, strict=True) if r is not None)
        sent = self.mapping(xs, ys, [_times(r, level - base) for level, r in zip(above, rs, strict=True)], state)
        below = [self.levels.of(ref) for ref in state.layer.inputs]
        return [_times(r, base - level) for level, r in zip(below, sent, strict=True)]

    def __repr__(self) -> str:
        return getattr(self.mapping, "__name__", None) or repr(self.mapping)


def _told(dtype: torch.dtype, inputs: dict[str, int]) -> str:
    powers = sorted(set(inputs.values()), reverse=True)
    named = [f"2**{power} times what is shown" for power in powers]
    if len(powers) > 1:
        named = [
            f"{words} for {', '.join(name for name in inputs if inputs[name] == power)}"
            for words, power in zip(named, powers, strict=True)
        ]
    return (
        f"signals outgrow {str(dtype).removeprefix('torch.')} in this model: powers of two are taken out of them, "
        f"which is exact. At the inputs the signal is {', '.join(named)}; at inner layers the power is another"
    )


def _outputs(layer: Layer) -> list[Ref]:
    return [Ref(layer, index) for index in range(len(layer.outputs))]


def _times(r: Tensor | None, power: int) -> Tensor | None:
    # Sizes of branches may differ by more than there are numbers: the smaller one counts for nothing then.
    return r if r is None or power == 0 else r * 2.0 ** min(max(power, -1000), 1000)
