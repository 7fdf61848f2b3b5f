"""The DAG of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import torch
from torch.utils import _pytree as pytree

from xaicore.errors import InputError
from xaicore.graph.constants import Constants
from xaicore.graph.kinds import VALUE_FREE, Kind
from xaicore.graph.layer import Layer, Ref, substitute
from xaicore.graph.lookup import find_layer, find_ref
from xaicore.graph.removed import among, names_of_removed
from xaicore.graph.sizes import SizeExpression
from xaicore.graph.tokens import embeddings_of

if TYPE_CHECKING:
    from xaicore.graph.conditions import Condition

Matched = TypeVar("Matched", covariant=True)


class Matchable(Protocol[Matched]):
    """Anything that can be matched with a graph, such as a composite."""

    def match(self, graph: Graph) -> Matched: ...


class Graph:
    """A model as a directed acyclic graph of layers.

    Get one from `xaicore.trace`. Calling it runs the model's forward on the graph.

    Attributes
    ----------
    layers : tuple of Layer
        In topological order.
    inputs : tuple of Layer
        The tensors the model takes, named as the arguments of its ``forward``.
    outputs : dict of str to Ref
        The tensors it returns: ``output`` where it returns one tensor, else by key or position.
    notes : tuple of str
        What was changed that a user should know, such as a softmax that was stripped.
    batch_norm : str
        The form that batch norm has: ``plain``, ``folded``, ``one`` or ``two``; see `form`.
    aliases : dict of str to Ref
        The tensors that the names of removed layers and modules stand for: the input of a dropout, for example.
    absorbed : dict of str to str
        The names of layers and modules whose output no tensor holds any more, and the layers they became part of.
    constants : Constants
        The values that depend on no input, and what is derived from them.
    """

    def __init__(
        self,
        layers: Iterable[Layer],
        inputs: Sequence[Layer],
        outputs: Mapping[str, Ref],
        *,
        leaf_inputs: Sequence[Layer | None] | None = None,
        notes: Sequence[str] = (),
        batch_norm: str = "plain",
        aliases: Mapping[str, Ref] | None = None,
        absorbed: Mapping[str, str] | None = None,
    ) -> None:
        self.layers = tuple(layers)
        self.inputs = tuple(inputs)
        self.outputs = dict(outputs)
        self.notes = tuple(notes)
        self.batch_norm = batch_norm
        self.aliases = dict(aliases or {})
        self.absorbed = dict(absorbed or {})
        self.leaf_inputs = tuple(inputs if leaf_inputs is None else leaf_inputs)
        self.constants = Constants()
        self._forms: dict[str, Graph] = {}

    # Structure

    def find(self, name: str | Layer) -> Layer:
        """The layer of this name, or the last layer of the module with this path.

        A module that is called more than once is named by its calls: ``path@0``, ``path@1``, ... A layer that does
        nothing (dropout in evaluation mode) is the layer that feeds it.

        Raises
        ------
        LayerError
            There is none, the module is called more than once, or it became part of another layer.
        """
        return find_layer(self, name)

    def find_ref(self, name: str | Layer) -> Ref:
        """The tensor that a layer or module of this name computes; what ``layer=``, ``record=``, ``filter=`` name.

        Of a layer with several outputs (split, LSTM) one is named by its number: ``chunk[1]``. A module path means
        the tensor of this module that is read outside it or returned by the model. Otherwise as `find`.

        Raises
        ------
        LayerError
            As in `find`; or there are several such tensors, and the message lists them.
        """
        return find_ref(self, name)

    def select(self, condition: Condition) -> list[Layer]:
        """The layers for which the condition holds, in order."""
        return [layer for layer in self.layers if not layer.constant and condition(layer, self)]

    @cached_property
    def consumers(self) -> dict[Ref, list[Layer]]:
        """Who reads a tensor; a layer that reads it twice comes once."""
        found: dict[Ref, list[Layer]] = {}
        for layer in self.layers:
            for ref in dict.fromkeys(layer.refs()):
                found.setdefault(ref, []).append(layer)
        return found

    @cached_property
    def sources(self) -> dict[str, tuple[Ref, ...]]:
        """Where each input is explained.

        A floating-point input at itself, an integer input at the embeddings that look it up. Inputs that lead to
        neither (masks, positions) are not explained and are missing here.
        """
        found: dict[str, tuple[Ref, ...]] = {}
        for layer in self.inputs:
            if layer.outputs[0].dtype.is_floating_point:
                found[layer.name] = (layer.ref,)
            elif lookups := embeddings_of(self, layer):
                found[layer.name] = lookups
        return found

    def after(self, starts: Iterable[Ref]) -> set[Layer]:
        """The layers that a gradient from one of these tensors can reach: floating-point and dependent on it."""
        reached = {ref.layer for ref in starts}
        for layer in self.layers:
            blocks = layer.op_name in VALUE_FREE or not any(info.differentiable for info in layer.outputs)
            if not blocks and any(ref.layer in reached and ref.info.differentiable for ref in layer.inputs):
                reached.add(layer)
        return reached

    def before(self, ends: Iterable[Ref]) -> set[Layer]:
        """The layers that these tensors are computed from, their own included."""
        needed = {ref.layer for ref in ends}
        for layer in reversed(self.layers):
            if layer in needed:
                needed.update(ref.layer for ref in layer.inputs)
        return needed

    @cached_property
    def path(self) -> frozenset[Layer]:
        """The layers between what is explained and any output."""
        starts = [ref for refs in self.sources.values() for ref in refs]
        return frozenset(self.after(starts) & self.before(self.outputs.values()))

    def match(self, composite: Matchable[Matched]) -> Matched:
        """Who handles which layer under this composite; see `Composite.match`."""
        return composite.match(self)

    def cut(self, layer: str | Layer) -> Graph:
        """The part of the graph from this layer's output on.

        The result takes that output as its first input, and after it whatever else the rest of the network still
        needs from before the cut (for example the other branch of a residual block), named as the layers it comes
        from.
        """
        from xaicore.graph.cut import cut_graph

        return cut_graph(self, self.find(layer))

    def opened(self, refs: Sequence[Ref]) -> Graph:
        """The graph with these tensors as inputs in place of what computes them; they come first, in this order.

        After them come those of its own inputs that the rest still needs, for example for the other branch of a
        residual block: unlike at a `cut`, that is computed again.

        Raises
        ------
        LayerError
            No output depends on one of the tensors.
        """
        from xaicore.graph.opening import opened_graph

        return opened_graph(self, refs)

    @property
    def folded(self) -> Graph:
        """The graph with each batch norm folded into a linear layer beside it, or made a linear layer of its own."""
        return self.form("folded")

    def form(self, batch_norm: str) -> Graph:
        """The graph with batch norm in this form; it computes the same.

        Parameters
        ----------
        batch_norm : {'plain', 'folded', 'one', 'two'}
            As the model has it; folded into the linear layers beside it where there are such, else as one; each one
            linear layer ``scale_shift`` of kind ``BATCH_NORM``; each two layers, ``scale`` of kind ``SCALE`` and
            ``shift`` of kind ``ADD``.

        Raises
        ------
        ParameterError
            There is no such form, or this graph is itself the result of bringing a graph to another form.
        """
        from xaicore.graph.batch_norm import with_batch_norm

        if batch_norm == self.batch_norm:
            return self
        if batch_norm not in self._forms:
            self._forms[batch_norm] = with_batch_norm(self, batch_norm)
        return self._forms[batch_norm]

    # Running

    def flatten(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[torch.Tensor]:
        """The call's arguments as one tensor for each of ``inputs``."""
        leaves, _ = pytree.tree_flatten((tuple(args), dict(sorted(kwargs.items()))))
        if len(leaves) != len(self.leaf_inputs):
            names = ", ".join(layer.name for layer in self.inputs)
            raise InputError(f"the graph takes {len(self.leaf_inputs)} inputs ({names}); {len(leaves)} were given")
        return [leaf for leaf, layer in zip(leaves, self.leaf_inputs, strict=True) if layer is not None]

    def sizes(self, tensors: Sequence[torch.Tensor]) -> dict[Any, int]:
        """The sizes of the batch symbols for these inputs.

        Raises
        ------
        InputError
            A tensor has another shape than the graph was captured for.
        """
        found: dict[Any, int] = {}
        for layer, tensor in zip(self.inputs, tensors, strict=True):
            expected = layer.outputs[0].shape
            fits = tensor.ndim == len(expected)
            for size, actual in zip(expected, tensor.shape, strict=False):
                if isinstance(size, SizeExpression):
                    for symbol, value in size.solve(actual).items():
                        fits &= found.setdefault(symbol, value) == value
                else:
                    fits &= size == actual
            if not fits:
                raise InputError(
                    f"input '{layer.name}' has shape {tuple(tensor.shape)}; this graph was captured for "
                    f"{layer.outputs[0].describe()}. Trace the model again with inputs of this shape."
                )
        return found

    def __call__(self, *args: Any, **kwargs: Any) -> torch.Tensor | dict[str, torch.Tensor]:
        """Run the forward: the output tensor, or a dict of them where there are several."""
        tensors = self.flatten(args, kwargs)
        with torch.no_grad():
            results = self.run(tensors)
        return next(iter(results.values())) if len(results) == 1 else results

    def run(self, tensors: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        """The outputs by name; each intermediate value is freed after its last use."""
        values = self.values(tensors, list(self.outputs.values()))
        return {name: values[ref] for name, ref in self.outputs.items()}

    def values(self, tensors: Sequence[torch.Tensor], wanted: Sequence[Ref]) -> dict[Ref, torch.Tensor]:
        """The values of these tensors; only what they need is computed, and freed after its last use."""
        sizes = self.sizes(tensors)
        self.constants.refresh()
        values: dict[Ref, torch.Tensor] = {
            layer.ref: tensor for layer, tensor in zip(self.inputs, tensors, strict=True)
        }

        def lookup(ref: Ref) -> torch.Tensor:
            return self.constants.value(ref, sizes) if ref.layer.constant else values[ref]

        needed = self.before(wanted)
        kept = set(wanted)
        for layer in self.layers:
            if layer.constant or layer.kind is Kind.INPUT or layer not in needed:
                continue
            for index, value in enumerate(layer.call(lookup, sizes)):
                values[Ref(layer, index)] = value
            for ref in self.last_uses.get(layer, ()):
                if ref not in kept:
                    values.pop(ref, None)
        return {ref: lookup(ref) for ref in wanted}

    @cached_property
    def last_uses(self) -> dict[Layer, list[Ref]]:
        last: dict[Ref, Layer] = {}
        for layer in self.layers:
            for ref in layer.inputs:
                last[ref] = layer
        for ref in self.outputs.values():
            last.pop(ref, None)
        uses: dict[Layer, list[Ref]] = {}
        for ref, layer in last.items():
            uses.setdefault(layer, []).append(ref)
        return uses

    # Copies, for passes

    def copy(self) -> Graph:
        """The same structure in new layers, over the same tensors."""
        twins: dict[Layer, Layer] = {}
        for layer in self.layers:
            twins[layer] = _twin(layer, lambda ref: Ref(twins[ref.layer], ref.index))
        return Graph(
            twins.values(),
            [twins[layer] for layer in self.inputs],
            {name: Ref(twins[ref.layer], ref.index) for name, ref in self.outputs.items()},
            leaf_inputs=[None if layer is None else twins[layer] for layer in self.leaf_inputs],
            notes=self.notes,
            batch_norm=self.batch_norm,
            aliases={name: Ref(twins[ref.layer], ref.index) for name, ref in self.aliases.items()},
            absorbed=self.absorbed,
        )

    def replaced(
        self,
        changes: Mapping[Ref, Ref],
        notes: Sequence[str] = (),
        *,
        absorbed: Mapping[Ref, Sequence[Layer]] | None = None,
    ) -> Graph:
        """This graph with some tensors read from elsewhere, and layers that nothing needs any more dropped.

        The tensors that are read instead have the same values, so that they take over the names; except for those
        ``absorbed``, with the layers that now do the work of both.
        """
        aliases, gone = names_of_removed(self, changes, absorbed or {})

        def final(ref: Ref) -> Ref:
            while ref in changes:
                ref = changes[ref]
            return ref

        for layer in self.layers:
            layer.arguments = {name: substitute(value, final) for name, value in layer.arguments.items()}
            layer.refresh()
        outputs = {name: final(ref) for name, ref in self.outputs.items()}
        graph = Graph(
            self.layers,
            self.inputs,
            outputs,
            leaf_inputs=self.leaf_inputs,
            notes=(*self.notes, *notes),
            batch_norm=self.batch_norm,
        )
        needed = {ref.layer for ref in outputs.values()} | set(self.inputs)
        for layer in reversed(self.layers):
            if layer in needed:
                needed.update(ref.layer for ref in layer.refs())
        graph.layers = tuple(layer for layer in self.layers if layer in needed)
        graph.aliases, graph.absorbed = among(aliases, needed), gone
        return graph

    # Looking

    def table(self) -> list[dict[str, str]]:
        """One row a layer, for people and scripts."""
        from xaicore.graph.drawing import rows

        return rows(self)

    def to_mermaid(self) -> str:
        """The graph as a Mermaid flowchart."""
        from xaicore.graph.drawing import mermaid

        return mermaid(self)

    def to_dot(self) -> str:
        """The graph in the DOT language of Graphviz."""
        from xaicore.graph.drawing import dot

        return dot(self)

    def __str__(self) -> str:
        from xaicore.graph.drawing import text_table

        return text_table(self)

    def __repr__(self) -> str:
        shown = sum(not layer.constant for layer in self.layers)
        return f"<Graph of {shown} layers: {', '.join(i.name for i in self.inputs)} -> {', '.join(self.outputs)}>"


def _twin(layer: Layer, move: Callable[[Ref], Ref]) -> Layer:
    return Layer(
        name=layer.name,
        kind=layer.kind,
        op=layer.op,
        op_name=layer.op_name,
        arguments={name: substitute(value, move) for name, value in layer.arguments.items()},
        outputs=layer.outputs,
        positional=layer.positional,
        module_path=layer.module_path,
        module_type=layer.module_type,
        calls=layer.calls,
        source=layer.source,
        constant=layer.constant,
        tensor=layer.tensor,
        gates=layer.gates,
    )
