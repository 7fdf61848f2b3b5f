"""`compile=True`: the forward and the walks as one compiled function, with the same numbers.

One run is traced to the operators that it calls. Inputs, target indices and every value that depends on no input (the
parameters, folded weights, what rules derive from them) are arguments of the traced function; nothing that can change
between calls is baked in. PyTorch's compiler makes it fast where it can.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from xaicore.analyzers.jobs import Options
from xaicore.analyzers.keys import key_of
from xaicore.analyzers.passes import Passes, Plan, Walked
from xaicore.analyzers.quantities import Difference, Picked, Predicted, Target
from xaicore.errors import ParameterError, TargetError, XaicoreError, nearest
from xaicore.graph import Graph, Layer, Part, Ref
from xaicore.graph.autocast import autocast_state, without_autocast
from xaicore.graph.capture import quiet
from xaicore.graph.constants import Constants, Stamp
from xaicore.propagation import Notes

_MOST_PROGRAMS = 8
_HOLE = object()  # where a tensor stands among the leaves of a result
# The weights are arguments: in another memory layout they would be copied at every call.
_KEEP_LAYOUT = {"layout_optimization": False, "comprehensive_padding": False}
_programs: weakref.WeakKeyDictionary[Graph, dict[Hashable, _Program]] = weakref.WeakKeyDictionary()


def run_compiled(passes: Passes, tensors: Sequence[Tensor], options: Options) -> list[Walked]:
    """What ``passes.run(tensors)`` returns, from a compiled function; compiled on the first call.

    The functions last used with a graph are remembered, eight of them.

    Raises
    ------
    ParameterError, TargetError
        What was asked for cannot be compiled.
    XaicoreError
        The compiler failed; the message has its reason.
    """
    _check(options)
    shapes = [(tuple(tensor.shape), tensor.stride(), tensor.dtype, tensor.device) for tensor in tensors]
    plans = [(type(p.analyzer), key_of(_settings(p)), p.output, _kind_of(p.target)) for p in passes.plans]
    known = _programs.setdefault(passes.graph, {})
    key = (tuple(shapes), tuple(plans), key_of(vars(options)), autocast_state())
    program = known.pop(key, None) or _Program(passes, tensors, options)
    known[key] = program
    while len(known) > _MOST_PROGRAMS:
        del known[next(iter(known))]
    return program.run(passes, tensors)


def _check(options: Options) -> None:
    modes = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
    if options.compile is not True and options.compile not in modes:
        raise ParameterError(
            f"compile={options.compile!r}: choose True or a mode of torch.compile ({', '.join(modes)})."
            f"{nearest(str(options.compile), modes)}"
        )
    if options.create_graph or options.ledger:
        asked = "create_graph=True" if options.create_graph else "ledger=True"
        raise ParameterError(f"compile and {asked} exclude each other: a compiled walk keeps no record of its layers.")
    for name, chosen in (options.filter or {}).items():
        if callable(chosen) and not isinstance(chosen, Part):
            raise ParameterError(
                f"compile takes filters that are channels, parts or masks; that of '{name}' is a function, which could "
                "do something else at every call. Leave compile out with it."
            )


def _settings(plan: Plan) -> dict[str, Any]:
    return {name: value for name, value in vars(plan.analyzer).items() if name != "model"}


def _copy_instead_of_out(graph: torch.fx.Graph) -> None:
    """Write ``op(..., out=t)`` as ``t.copy_(op(...))``: the compiler takes no ``out=`` that is not contiguous."""
    for node in list(graph.nodes):
        if isinstance(node.target, torch._ops.OpOverload) and "out" in node.kwargs:
            others = {name: value for name, value in node.kwargs.items() if name != "out"}
            with graph.inserting_before(node):
                result = graph.call_function(node.target.overloadpacket, node.args, others)
                copied = graph.call_function(torch.ops.aten.copy_.default, (node.kwargs["out"], result))
            node.replace_all_uses_with(copied)
            graph.erase_node(node)


class _Program:
    """One traced and compiled function, with the constants that it is called with."""

    def __init__(self, passes: Passes, tensors: Sequence[Tensor], options: Options) -> None:
        self._observe(passes, tensors)
        indices = _all_indices(passes, tensors)
        names = list(self._constants)

        def traced(tensors: list[Tensor], constants: list[Any], indices: list[Tensor]) -> list[Tensor]:
            # A plan stands for its target's kind; the indices come as arguments.
            remaining = iter(indices)
            plans = [replace(plan, target=_located(plan.target, remaining)) for plan in passes.plans]
            given = _Given(dict(zip(names, constants, strict=True)))
            found, self._structure = pytree.tree_flatten(_plain(replace(passes, plans=plans).run(tensors, given)))
            self._leaves = [_HOLE if isinstance(leaf, Tensor) else leaf for leaf in found]
            return [leaf for leaf in found if isinstance(leaf, Tensor)]

        arguments = (list(tensors), list(self._constants.values()), indices)
        with quiet():
            module = make_fx(traced)(*arguments)
            _copy_instead_of_out(module.graph)
            module.graph.eliminate_dead_code()
            module.recompile()
            how = {"mode": options.compile} if isinstance(options.compile, str) else {"options": _KEEP_LAYOUT}
            self._function = torch.compile(module, fullgraph=True, dynamic=False, **how)
            self._call(arguments)

    def run(self, passes: Passes, tensors: Sequence[Tensor]) -> list[Walked]:
        """The results for these inputs, with the weights as they are now."""
        constants = passes.graph.constants
        constants.refresh()
        if constants.version(passes.graph.layers) != self._version:
            # What rules derive from the weights is made by running them.
            return self._observe(passes, tensors)
        found = iter(self._call((list(tensors), list(self._constants.values()), _all_indices(passes, tensors))))
        leaves = [next(found) if leaf is _HOLE else leaf for leaf in self._leaves]
        return [
            Walked(output, scores, arrived, values, Notes(notes))
            for output, scores, arrived, values, notes in pytree.tree_unflatten(leaves, self._structure)
        ]

    def _observe(self, passes: Passes, tensors: Sequence[Tensor]) -> list[Walked]:
        """Run without compilation and remember the constants that were asked for."""
        seen = _Seen(passes.graph.constants)
        walked = passes.run(tensors, seen)
        self._constants = seen.asked
        self._version: Stamp = passes.graph.constants.version(passes.graph.layers)
        return walked

    def _call(self, arguments: tuple[list[Any], ...]) -> list[Tensor]:
        try:
            with torch.no_grad(), without_autocast():  # what autocast does was traced
                results: list[Tensor] = self._function(*arguments)
        except Exception as error:  # whatever the compiler or what it made raises
            raise XaicoreError(_explain(error)) from error
        return results


class _Seen(Constants):
    """What another has, and a list of what was asked for."""

    def __init__(self, source: Constants) -> None:
        super().__init__()
        self.source = source
        self.asked: dict[Hashable, Any] = {}

    def value(self, ref: Ref, sizes: Mapping[Any, int]) -> Tensor:
        found: Tensor = self.asked.setdefault(ref, self.source.value(ref, sizes))
        return found

    def derived(self, key: Hashable, sources: Iterable[Layer], make: Callable[[], Any]) -> Any:
        return self.asked.setdefault((key,), self.source.derived(key, sources, make))

    def refresh(self) -> None:
        self.source.refresh()


class _Given(Constants):
    """Constants that are arguments of the function that is traced."""

    def __init__(self, given: Mapping[Hashable, Any]) -> None:
        super().__init__()
        self.given = given

    def value(self, ref: Ref, sizes: Mapping[Any, int]) -> Tensor:
        found: Tensor = self.given[ref]
        return found

    def derived(self, key: Hashable, sources: Iterable[Layer], make: Callable[[], Any]) -> Any:
        return self.given[(key,)]

    def refresh(self) -> None:
        """Nothing to look at: whoever calls the traced function has looked."""


class _Located(Picked):
    """An element of each sample's output whose index is an argument of the traced function."""

    def __init__(self, index: Tensor) -> None:
        super().__init__()
        self.index = index

    def positions(self, output: Tensor) -> Tensor:
        return self.index


def _plain(walks: Sequence[Walked]) -> list[tuple[Any, ...]]:
    return [(each.output, each.scores, each.found, each.values, each.notes.pending) for each in walks]


def _kind_of(target: Target) -> Hashable:
    """What the traced code of a target depends on; its indices are arguments."""
    if isinstance(target, Difference):
        return (_kind_of(target.first), _kind_of(target.second))
    if isinstance(target, Picked):
        return "predicted" if isinstance(target, Predicted) else "index"
    raise TargetError(
        f"compile takes targets that are classes, indices or contrasts, not {type(target).__name__.lower()}s of the "
        "user: what a function does could change from call to call. Leave compile out for this target."
    )


def _all_indices(passes: Passes, tensors: Sequence[Tensor]) -> list[Tensor]:
    sizes = passes.graph.sizes(tensors)
    found: list[Tensor] = []
    for plan in passes.plans:
        info = passes.graph.outputs[plan.output].info
        shape = [size if isinstance(size, int) else size.evaluate(sizes) for size in info.shape]
        found += _indices(plan.target, tensors[0].new_zeros((), dtype=info.dtype).expand(shape))
    return found


def _indices(target: Target, output: Tensor) -> Iterator[Tensor]:
    if isinstance(target, Difference):
        yield from _indices(target.first, output)
        yield from _indices(target.second, output)
    elif isinstance(target, Picked) and not isinstance(target, Predicted):
        yield target.positions(output)


def _located(target: Target, indices: Iterator[Tensor]) -> Target:
    """The target with the next of these indices in place of its own."""
    if isinstance(target, Difference):
        return Difference(_located(target.first, indices), _located(target.second, indices), target.output)
    return target if isinstance(target, Predicted) else _Located(next(indices))


def _explain(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reason = f"{type(error).__name__}: {' '.join(lines[:2])}"
    if "InvalidCxxCompiler" in reason or "C++ compiler" in reason:
        return (
            f"compile: PyTorch's compiler needs a C++ compiler and found none ({reason}). Install one (Debian, Ubuntu: "
            "apt-get install g++; macOS: xcode-select --install) or name it in the environment variable CXX, or leave "
            "compile out."
        )
    return f"compile: PyTorch's compiler failed ({reason}). Leave compile out: the explanation is the same without it."
