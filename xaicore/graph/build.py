"""Exported program -> layers."""

from __future__ import annotations

import linecache
import os
import re
from pathlib import Path
from typing import Any

import torch
from torch import fx
from torch.export.graph_signature import InputKind, OutputKind, TensorArgument
from torch.utils import _pytree as pytree

from xaicore.errors import CaptureError
from xaicore.graph.graph import Graph
from xaicore.graph.kinds import Kind, kind_of
from xaicore.graph.layer import Layer, Ref, TensorInfo
from xaicore.graph.returned import without_prefix
from xaicore.graph.rewrite import is_of_others, operator_name
from xaicore.graph.sizes import SizeExpression, size_of
from xaicore.graph.writing import on_copies

_NOT_THE_USERS = tuple(f"{Path(module).parent}{os.sep}" for module in (torch.__file__, Path(__file__).parent))
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+), in (?P<function>\S+)')
_REPEATED = re.compile(r"@(?P<number>\d+)$")


def build_graph(program: torch.export.ExportedProgram) -> Graph:
    """The layers of an exported program that has only plain operations."""
    builder = _Builder(program)
    for node in program.graph.nodes:
        builder.add(node)
    return Graph(builder.layers, builder.inputs, builder.outputs(), leaf_inputs=builder.leaf_inputs)


class _Builder:
    def __init__(self, program: torch.export.ExportedProgram) -> None:
        self.program = program
        self.layers: list[Layer] = []
        self.inputs: list[Layer] = []
        self.leaf_inputs: list[Layer | None] = []  # one for each leaf of the call's arguments
        self.values: dict[fx.Node, Any] = {}  # node -> Ref, list of Ref, size or plain value
        self._specs = {getattr(s.arg, "name", None): s for s in program.graph_signature.input_specs}
        # A layer is never called like a parameter or a module, so that a name means one thing.
        self._taken = set(self._specs) | {str(s.target) for s in program.graph_signature.input_specs}
        self._taken |= {path for node in program.graph.nodes for path, _ in _modules_of(node)}
        self._counts: dict[str, int] = {}
        self._results: tuple[Any, ...] = ()

    def add(self, node: fx.Node) -> None:
        match node.op:
            case "placeholder":
                self._add_placeholder(node)
            case "get_attr":
                self._add_attribute(node)
            case "call_function":
                self._add_call(node)
            case "output":
                self._results = tuple(node.args[0])  # type: ignore[arg-type]

    def _add_placeholder(self, node: fx.Node) -> None:
        spec = self._specs[node.name]
        if spec.kind == InputKind.USER_INPUT:
            if not isinstance(spec.arg, TensorArgument):
                self.leaf_inputs.append(None)
                self.values[node] = size_of(node.meta.get("val"))
                return
            layer = Layer(node.name, Kind.INPUT, _no_operation, "input", {}, (_info(node.meta["val"]),))
            self.inputs.append(layer)
            self.leaf_inputs.append(layer)
        else:
            store = self.program.state_dict if spec.target in self.program.state_dict else self.program.constants
            value = store[spec.target]
            if not isinstance(value, torch.Tensor):
                raise CaptureError(
                    f"the model's forward uses a {type(value).__name__} ({spec.target}), which is no tensor and can be "
                    "no part of a graph. Model-agnostic methods (the perturbation family) still work: they only call "
                    "the model."
                )
            layer = _stored(without_prefix(spec.target or node.name), value, spec.kind == InputKind.PARAMETER)
        self._keep(node, layer)

    def _add_attribute(self, node: fx.Node) -> None:
        value: Any = self.program.graph_module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        if isinstance(value, torch.Tensor):
            self._keep(node, _stored(str(node.target), value, False))
        else:
            self.values[node] = value  # a subgraph, handed whole to the operator that runs it

    def _add_call(self, node: fx.Node) -> None:
        name = operator_name(node.target)
        if name == "getitem":
            self.values[node] = self.values[node.args[0]][node.args[1]]  # type: ignore[index]
            return
        value = node.meta.get("val")
        if isinstance(value, (torch.SymInt, torch.SymFloat, torch.SymBool, int, float, bool)):
            self.values[node] = self._size(node, value)
            return
        outputs = list(value) if isinstance(value, (tuple, list)) else [value]
        op, (arguments, positional) = node.target, self._arguments(node)
        nothing: list[None] = []  # what stands first where an operator only writes
        if functional := on_copies(node):
            op, given = functional
            name = operator_name(op.op)
            arguments, positional = {key: self._value(each) for key, each in given.items()}, 0
            nothing = [None] * (op.own == 0)
            outputs = outputs[len(nothing) :]
        path, module_type = _module_of(node)
        layer = Layer(
            name=self._layer_name(name),
            kind=kind_of(name),
            op=op,  # type: ignore[arg-type]
            op_name=name,
            arguments=arguments,
            outputs=tuple(_info(output) for output in outputs),
            positional=positional,
            module_path=path,
            module_type=module_type,
            calls=_calls_of(node),
            source=_source_of(node),
        )
        layer.constant = not layer.inputs
        if layer.constant:
            layer.kind = Kind.CONSTANT
        self._keep(node, layer)
        if isinstance(value, (tuple, list)):
            self.values[node] = [*nothing, *(Ref(layer, index) for index in range(len(outputs)))]

    def _layer_name(self, op_name: str) -> str:
        """``conv2d``, ``conv2d_1``, ...: the operator, without its namespace, and how often it came before."""
        op_name = op_name.rpartition("::")[2]
        count = self._counts[op_name] = self._counts.get(op_name, -1) + 1
        name = f"{op_name}_{count}" if count else op_name
        return name if name not in self._taken else f"{name}_"

    def _size(self, node: fx.Node, value: Any) -> Any:
        size = size_of(value)
        if isinstance(size, SizeExpression) and any(str(symbol).startswith(("u", "zu")) for symbol in size.symbols):
            raise CaptureError(
                f"the value of a tensor decides a size at {_source_of(node) or node.name}.\n"
                "Propagation methods need a graph whose shapes follow from the shapes of the inputs. Compute the size "
                "from a shape, or use a model-agnostic method (the perturbation family), which only calls the model."
            )
        return size

    def _arguments(self, node: fx.Node) -> tuple[dict[str, Any], int]:
        """The arguments by the names of the operator's schema, and how many of them go by position."""
        schema = getattr(node.target, "_schema", None)
        given = [self._value(value) for value in node.args]
        names = [a.name for a in schema.arguments] if schema is not None else [f"arg{i}" for i in range(len(given))]
        arguments = dict(zip(names, given, strict=False))
        positional = len(arguments)
        arguments.update({key: self._value(value) for key, value in node.kwargs.items()})
        if schema is not None and is_of_others(operator_name(node.target)):  # a mapping is told the defaults as well
            arguments |= {a.name: a.default_value for a in schema.arguments if a.name not in arguments}
        return arguments, positional

    def _value(self, value: Any) -> Any:
        if isinstance(value, fx.Node):
            return self.values[value]
        if isinstance(value, (list, tuple)):
            return [self._value(item) for item in value]
        return value

    def _keep(self, node: fx.Node, layer: Layer) -> None:
        self.layers.append(layer)
        self.values[node] = Ref(layer)

    def outputs(self) -> dict[str, Ref]:
        """The tensors the model returns, by name; what is a plain value or a constant cannot be explained."""
        # Beside what the model returns, a program may return what it wrote to its inputs and buffers.
        specs = zip(self.program.graph_signature.output_specs, self._results, strict=True)
        returned = [node for spec, node in specs if spec.kind == OutputKind.USER_OUTPUT]
        names = _output_names(self.program, len(returned))
        refs = ((name, self.values.get(node)) for name, node in zip(names, returned, strict=True))
        return {name: ref for name, ref in refs if isinstance(ref, Ref)}


def _no_operation() -> None:
    raise AssertionError("inputs and parameters are given, not computed")


def _stored(name: str, tensor: torch.Tensor, parameter: bool) -> Layer:
    kind = Kind.PARAMETER if parameter else Kind.CONSTANT
    info = TensorInfo(tuple(tensor.shape), tensor.dtype)
    return Layer(name, kind, _no_operation, "parameter", {}, (info,), constant=True, tensor=tensor)


def _info(value: Any) -> TensorInfo:
    if not isinstance(value, torch.Tensor):  # an operator may return numbers or nothing beside its tensors
        return TensorInfo((), torch.int64)
    return TensorInfo(tuple(size_of(size) for size in value.shape), value.dtype)


def _module_of(node: fx.Node) -> tuple[str, str]:
    path, module_type = _modules_of(node)[-1] if _modules_of(node) else ("", "")
    return path, module_type if path else ""


def _modules_of(node: fx.Node) -> list[tuple[str, str]]:
    """Path and type of the modules in whose forward the node is, the innermost last."""
    stack = (node.meta.get("nn_module_stack") or {}).values()
    return [(without_prefix(path), str(kind).rsplit(".", 1)[-1].removesuffix("'>")) for path, kind in stack if path]


def _calls_of(node: fx.Node) -> dict[str, int]:
    """Which call of each module the node is in: export marks the keys of repeated calls ``@1``, ``@2``, ..."""
    found: dict[str, int] = {}
    for key, (path, _) in (node.meta.get("nn_module_stack") or {}).items():
        repeated = _REPEATED.search(key)
        if without_prefix(path):
            found[without_prefix(path)] = int(repeated["number"]) if repeated else 0
    return found


def _source_of(node: fx.Node) -> str:
    """The innermost line that is not torch's own: the user's forward."""
    frames = [match.groupdict() for match in _FRAME.finditer(node.meta.get("stack_trace") or "")]
    frames = [frame for frame in frames if not frame["file"].startswith(_NOT_THE_USERS)] or frames
    if not frames:
        return ""
    file, line = frames[-1]["file"], int(frames[-1]["line"])
    return f"{Path(file).name}:{line}: {linecache.getline(file, line).strip()}"


def _output_names(program: torch.export.ExportedProgram, count: int) -> list[str]:
    """The keys of the dict that `Returning` makes."""
    returned = pytree.tree_unflatten(list(range(count)), program.call_spec.out_spec)
    return [name for name, _ in sorted(returned.items(), key=lambda item: item[1])]
