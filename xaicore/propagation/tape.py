"""The tape: what one forward run leaves behind for backward walks."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from xaicore.graph import Graph, Kind, Layer, Ref
from xaicore.graph.autocast import autocast_state
from xaicore.graph.constants import Constants
from xaicore.propagation.direct import DirectRecord, pullback_of, relu_in_place
from xaicore.propagation.record import BOTH, Record, ValuesRecord, fresh_start, without_data


class Tape:
    """Runs the graph forward once and keeps what backward walks need.

    Several walks, for several targets or methods, may share a tape.

    Parameters
    ----------
    graph : Graph
    tensors : sequence of Tensor
        One for each of ``graph.inputs``.
    create_graph : bool
        Keep the connection to inputs and parameters that require gradients, so that what a walk returns can be
        differentiated.
    starts : sequence of Ref, optional
        Where walks will end; layers before these leave no record. Default: all sources of the graph.
    needs : callable, optional
        ``needs(layer)`` says which values of a layer walks will read: "xs", "ys", both or neither. Default: both.
    differentiates : callable, optional
        ``differentiates(layer)``: whether walks may ask for the derivative of a layer; else it runs without a record of
        autograd's. Default: they may.
    in_place : collection of Layer
        ReLU layers that may write over their input: see `relus_in_place`.
    constants : Constants, optional
        Where the values that depend on no input come from. Default: the graph's own.
    """

    def __init__(
        self,
        graph: Graph,
        tensors: Sequence[Tensor],
        *,
        create_graph: bool = False,
        starts: Sequence[Ref] | None = None,
        needs: Callable[[Layer], Collection[str]] = lambda layer: BOTH,
        differentiates: Callable[[Layer], bool] = lambda layer: True,
        in_place: Collection[Layer] = (),
        constants: Constants | None = None,
    ) -> None:
        self.graph = graph
        self.create_graph = create_graph
        own = Constants(differentiable=True) if create_graph else graph.constants
        self.constants = own if constants is None else constants
        self.sizes = graph.sizes(tensors)
        if starts is None:
            starts = [ref for refs in graph.sources.values() for ref in refs]
        self.starts = tuple(starts)
        self._needs = needs
        self._differentiates = differentiates
        self._in_place = in_place
        # Under autocast a layer casts its weights itself, which only autograd knows.
        self._direct = not create_graph and not autocast_state()
        self.records: dict[Layer, Record] = {}
        self._values: dict[Ref, Tensor] = {}
        self.constants.refresh()
        self._run(tensors)

    @property
    def outputs(self) -> dict[str, Tensor]:
        """The model's outputs by name."""
        return {name: self.value(ref) for name, ref in self.graph.outputs.items()}

    def value(self, ref: Ref) -> Tensor:
        """The forward value of a tensor that the tape has kept: outputs, starts, and inputs of recorded layers."""
        if ref.layer.constant:
            return self.constants.value(ref, self.sizes)
        return self._values[ref]

    def _run(self, tensors: Sequence[Tensor]) -> None:
        alive = self.graph.after(self.starts)
        reached = alive - {ref.layer for ref in self.starts}
        kept = {*self.starts, *self.graph.outputs.values()}
        for layer, tensor in zip(self.graph.inputs, tensors, strict=True):
            self._values[layer.ref] = tensor if self.create_graph else tensor.detach()
        for layer in self.graph.layers:
            if layer.constant or layer.kind is Kind.INPUT:
                continue
            if layer in self._in_place and layer in reached:
                self._run_relu_in_place(layer)
            elif layer in reached:
                self._run_recorded(layer, alive)
            else:
                with torch.set_grad_enabled(self.create_graph):
                    self._keep(layer, layer.call(self.value, self.sizes))
            for ref in self.graph.last_uses.get(layer, ()):
                if ref not in kept:
                    self._values.pop(ref, None)

    def _run_recorded(self, layer: Layer, alive: set[Layer]) -> None:
        """Run a layer on its own record; ``alive`` are the layers whose outputs lead back to a start."""
        active = tuple(ref.layer in alive and ref.info.differentiable for ref in layer.inputs)
        values = [self.value(ref) for ref in layer.inputs]
        if self._direct and self._run_directly(layer, values, active):
            return
        if not (self.create_graph or self._differentiates(layer)):
            self._run_untracked(layer, values, active)
            return
        local = tuple(self._local(value, is_active) for value, is_active in zip(values, active, strict=True))
        remaining = iter(local)

        def lookup(ref: Ref) -> Tensor:
            return self.value(ref) if ref.layer.constant else next(remaining)

        # The fast kernels of attention have a first derivative only.
        twice = sdpa_kernel(SDPBackend.MATH) if self.create_graph and layer.kind is Kind.ATTENTION else nullcontext()
        with torch.enable_grad(), twice:
            ys = layer.call(lookup, self.sizes)
        self.records[layer] = Record.of(local, ys, active, BOTH if self.create_graph else self._needs(layer))
        self._keep(layer, ys if self.create_graph else tuple(_detached(y) for y in ys))

    def _run_directly(self, layer: Layer, xs: Sequence[Tensor], active: Sequence[bool]) -> bool:
        """Run a layer whose derivative is known without autograd; False: it is not."""
        pullback = pullback_of(layer, xs, lambda name: self._parameter(layer, name))
        if pullback is None:
            return False
        with torch.no_grad():
            (y,) = layer.call(self.value, self.sizes)
        needed = self._needs(layer)
        # A pullback holds what it reads; the record holds what the mapping reads.
        kept = xs if "xs" in needed else [without_data(x) for x in xs]
        self.records[layer] = DirectRecord.by(pullback(y), kept, y if "ys" in needed else without_data(y), active)
        self._keep(layer, (y,))
        return True

    def _run_untracked(self, layer: Layer, xs: Sequence[Tensor], active: Sequence[bool]) -> None:
        """Run a layer whose mapping works from values alone."""
        with torch.no_grad():
            ys = layer.call(self.value, self.sizes)
        self.records[layer] = ValuesRecord.of_values(layer, xs, ys, active, self._needs(layer))
        self._keep(layer, ys)

    def _parameter(self, layer: Layer, name: str) -> Tensor | None:
        ref = layer.parameters.get(name)
        return None if ref is None else self.value(ref)

    def _run_relu_in_place(self, layer: Layer) -> None:
        """Write over the input, which nothing else reads; memory that was just written is still at hand."""
        (ref,) = layer.inputs
        value, self.records[layer] = relu_in_place(self.value(ref))
        if ref.layer in self.records:
            self.records[ref.layer].overwritten = True
        self._keep(layer, (value,))

    def _local(self, value: Tensor, active: bool) -> Tensor:
        """The value under a name of its own, from which this one layer's record starts."""
        if not active:
            return value
        if self.create_graph and value.requires_grad:
            with torch.enable_grad():
                return value.view_as(value)
        return fresh_start(value)

    def _keep(self, layer: Layer, ys: tuple[Any, ...]) -> None:
        for index, y in enumerate(ys):
            if isinstance(y, Tensor):
                self._values[Ref(layer, index)] = y


def _detached(y: Any) -> Any:
    return y.detach() if isinstance(y, Tensor) else y
