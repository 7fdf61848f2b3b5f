"""A layer of the graph: one operation, its inputs, its parameters and what is known of its outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from xaicore.graph.kinds import Kind
from xaicore.graph.sizes import Size, SizeExpression

_ADDING_PRODUCTS = "addmm baddbmm addbmm addmv addr".split()


@dataclass(frozen=True)
class TensorInfo:
    """What is known of a tensor before anything runs."""

    shape: tuple[Size, ...]
    dtype: torch.dtype
    nonnegative: bool = False

    @property
    def differentiable(self) -> bool:
        """Whether a gradient can pass: floating-point or complex."""
        return self.dtype.is_floating_point or self.dtype.is_complex

    def describe(self) -> str:
        """The shape in words, the batch as ``B``."""
        return "x".join(str(size) for size in self.shape) or "scalar"


@dataclass(frozen=True, eq=False)
class Ref:
    """One output tensor of a layer."""

    layer: Layer
    index: int = 0

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ref) and other.layer is self.layer and other.index == self.index

    def __hash__(self) -> int:
        return hash((id(self.layer), self.index))

    def __repr__(self) -> str:
        return self.layer.name if len(self.layer.outputs) < 2 else f"{self.layer.name}[{self.index}]"

    @property
    def info(self) -> TensorInfo:
        """Shape, dtype and facts of this tensor."""
        return self.layer.outputs[self.index]


@dataclass(eq=False)
class Layer:
    """A node of the graph: one operation with its parameters.

    Attributes
    ----------
    name : str
        Unique in its graph, for example ``conv2d_3``.
    kind : Kind
        What backward mappings match on.
    op : callable
        Computes the layer; called with ``arguments``, the first ``positional`` of them by position.
    arguments : dict
        By the operator's own argument names. Tensors are `Ref`, also inside lists; sizes that follow the
        batch are `SizeExpression`.
    outputs : tuple of TensorInfo
        One for each output tensor.
    module_path, module_type : str
        The module whose forward calls the operation (``features.0``, ``Conv2d``).
    calls : dict of str to int
        The path of each module that it lies in, the innermost last: in which call of that module, counted from 0.
    source : str
        The line of the user's code: ``model.py:17: y = torch.relu(x)``.
    constant : bool
        True where no input of the model is involved.
    tensor : Tensor or None
        The model's own tensor, for parameters, buffers and lifted constants.
    parameters : dict of str to Ref
        The tensors among the arguments that depend on no input; of a list each by its place, ``params[3]``.
    gates : tuple of int
        For a product, a matrix product or attention: which of ``inputs`` only scale what the others bring.
    """

    name: str
    kind: Kind
    op: Callable[..., Any]
    op_name: str
    arguments: dict[str, Any]
    outputs: tuple[TensorInfo, ...]
    positional: int = -1
    module_path: str = ""
    module_type: str = ""
    calls: dict[str, int] = field(default_factory=dict)
    source: str = ""
    constant: bool = False
    tensor: torch.Tensor | None = None
    gates: tuple[int, ...] = ()
    inputs: tuple[Ref, ...] = field(init=False, default=())
    parameters: dict[str, Ref] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        if self.positional < 0:
            self.positional = len(self.arguments)
        self.refresh()

    def refresh(self) -> None:
        """Derive ``inputs`` and ``parameters`` from ``arguments``; called after those have changed."""
        self.inputs = tuple(ref for ref in self.refs() if not ref.layer.constant)
        named = [pair for name, value in self.arguments.items() for pair in _named_refs(name, value)]
        self.parameters = {name: ref for name, ref in named if ref.layer.constant}

    def refs(self) -> Iterator[Ref]:
        """All tensors among the arguments, in order; one that is used twice comes twice."""
        for value in self.arguments.values():
            yield from _refs_in(value)

    @property
    def options(self) -> dict[str, Any]:
        """The arguments that are plain values: stride, padding, dim, ..."""
        return {name: value for name, value in self.arguments.items() if not any(_refs_in(value))}

    @property
    def input_names(self) -> tuple[str, ...]:
        """The argument that each of ``inputs`` is given as."""
        pairs = [(name, ref) for name, value in self.arguments.items() for ref in _refs_in(value)]
        return tuple(name for name, ref in pairs if not ref.layer.constant)

    @property
    def factors(self) -> tuple[int, ...]:
        """Which of ``inputs`` are multiplied with each other; the rest (a bias) are added to the product."""
        return tuple(number for number, name in enumerate(self.input_names) if name != self.summand)

    @property
    def summand(self) -> str:
        """The argument that is added to the product of the others."""
        return "self" if self.op_name in _ADDING_PRODUCTS else "bias"

    @property
    def ref(self) -> Ref:
        """The layer's first output."""
        return Ref(self)

    def call(self, lookup: Callable[[Ref], torch.Tensor], sizes: Mapping[Any, int]) -> tuple[Any, ...]:
        """Compute the layer; ``lookup`` is asked for each tensor, in the order of `refs`."""
        values = [_fill(value, lookup, sizes) for value in self.arguments.values()]
        keywords = dict(zip(list(self.arguments)[self.positional :], values[self.positional :], strict=True))
        result = self.op(*values[: self.positional], **keywords)
        return tuple(result) if isinstance(result, (tuple, list)) else (result,)

    def where(self) -> str:
        """Name, module and source line, for messages."""
        module = f" in module '{self.module_path}' ({self.module_type})" if self.module_path else ""
        return f"{self.name}{module}" + (f", at {self.source}" if self.source else "")

    def __repr__(self) -> str:
        return f"Layer({self.name}: {self.kind.value}{', ' + self.module_path if self.module_path else ''})"


def _refs_in(value: Any) -> Iterator[Ref]:
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _refs_in(item)


def _named_refs(name: str, value: Any) -> Iterator[tuple[str, Ref]]:
    """Each tensor of an argument by name; of a list by its place in it, ``params[3]``."""
    if isinstance(value, Ref):
        yield name, value
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from _named_refs(f"{name}[{number}]", item)


def _fill(value: Any, lookup: Callable[[Ref], torch.Tensor], sizes: Mapping[Any, int]) -> Any:
    if isinstance(value, Ref):
        return lookup(value)
    if isinstance(value, SizeExpression):
        return value.evaluate(sizes)
    if isinstance(value, (list, tuple)):
        return [_fill(item, lookup, sizes) for item in value]
    return value


def substitute(value: Any, change: Callable[[Ref], Any]) -> Any:
    """The same argument with every `Ref` in it passed through ``change``."""
    if isinstance(value, Ref):
        return change(value)
    if isinstance(value, (list, tuple)):
        return [substitute(item, change) for item in value]
    return value


def refs_of(values: Sequence[Layer]) -> Iterator[Ref]:
    """Every output tensor of the layers."""
    for layer in values:
        for index in range(len(layer.outputs)):
            yield Ref(layer, index)
