"""Passes over the exported program itself: plain operations only, none of them in place."""

from __future__ import annotations

from typing import Any

import torch
from torch import fx

_NO_VALUE = (
    "_assert_scalar _assert_async _assert_tensor_metadata sym_constrain_range sym_constrain_range_for_size"
).split()
# Elsewhere an operator may be called as one of torch's, and do something else.
_KNOWN_NAMESPACES = ("aten", "prims", "xaicore")
# What puts a changed part of a tensor back: a new tensor, the same but for that part.
_PUTS_BACK: dict[Any, Any] = {
    torch.ops.aten.slice.Tensor: torch.ops.aten.slice_scatter.default,
    torch.ops.aten.select.int: torch.ops.aten.select_scatter.default,
}
_MAY_RETURN_INPUT = "getitem dropout feature_dropout alpha_dropout feature_alpha_dropout".split()


def operator_name(target: Any) -> str:
    """``conv2d`` for ``torch.ops.aten.conv2d.default``; with its namespace if others define it: ``mylib::shrink``."""
    packet = getattr(target, "overloadpacket", None)
    if packet is None:
        return str(getattr(target, "__name__", target))
    return packet.__name__ if target.namespace in _KNOWN_NAMESPACES else f"{target.namespace}::{packet.__name__}"


def is_of_others(op_name: str) -> bool:
    """Whether an operator is neither torch's nor the core's own: a custom operation."""
    return "::" in op_name


def plain_program(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program without regions, assertions and in-place operations."""
    _inline_regions(program.graph_module)
    _drop_assertions(program.graph)
    _put_parts_back(program.graph)
    if _make_functional(program.graph):
        return program
    # Some view of a tensor is written to: torch's own functionalization follows the aliases, and takes as long as the
    # capture did. Operators stay whole.
    program = program.run_decompositions({})
    _inline_regions(program.graph_module)
    _drop_assertions(program.graph)
    return program


def _inline_regions(module: fx.GraphModule) -> None:
    """Regions under ``torch.no_grad()`` or a disabled autocast become part of the graph.

    What leaves a ``no_grad`` region passes a ``detach``, so that no gradient flows where none did.
    """
    for node in list(module.graph.nodes):
        name = operator_name(node.target) if node.op == "call_function" else ""
        if name == "wrap_with_set_grad_enabled":
            enabled, region, *operands = node.args
        elif name == "wrap_with_autocast" and node.args[2] is False:
            _, _, _, _, region, *operands = node.args
            enabled = True
        else:
            continue
        inner = getattr(module, region.target)
        _inline_regions(inner)
        _inline(module, node, inner, operands, detach=not enabled)
    module.graph.eliminate_dead_code()


def _inline(outer: fx.GraphModule, call: fx.Node, region: fx.GraphModule, operands: list[Any], *, detach: bool) -> None:
    graph, inner = outer.graph, region.graph
    placeholders = [node for node in inner.nodes if node.op == "placeholder"]
    mapping: dict[fx.Node, Any] = dict(zip(placeholders, operands, strict=True))
    with graph.inserting_before(call):
        for node in inner.nodes:
            if node.op == "call_function":
                mapping[node] = graph.node_copy(node, lambda n: mapping[n])
            elif node.op == "get_attr":  # what the region owns gets a name of its own outside
                name = f"{call.name}_{node.target}"
                setattr(outer, name, getattr(region, str(node.target)))
                mapping[node] = graph.get_attr(name)
                mapping[node].meta.update(node.meta)
        (output,) = [node for node in inner.nodes if node.op == "output"]
        results = []
        for value in output.args[0]:
            result = mapping[value] if isinstance(value, fx.Node) else value
            if detach and isinstance(result, fx.Node) and isinstance(result.meta.get("val"), torch.Tensor):
                meta = dict(result.meta)
                result = graph.call_function(torch.ops.aten.detach.default, (result,))
                result.meta.update(meta)
            results.append(result)
    for user in list(call.users):
        position = user.args[1]
        assert isinstance(position, int)
        user.replace_all_uses_with(results[position])
        graph.erase_node(user)
    graph.erase_node(call)


def _drop_assertions(graph: fx.Graph) -> None:
    for node in reversed(list(graph.nodes)):
        if node.op == "call_function" and operator_name(node.target) in _NO_VALUE:
            graph.erase_node(node)


def _put_parts_back(graph: fx.Graph) -> None:
    """Replace ``x[1:3].mul_(2)`` by a new tensor ``x`` with ``x[1:3] * 2`` in its place.

    Only where no other name for the same memory is read later, and what is written has the type of the tensor.
    """
    writes = [node for node in graph.nodes if _is_in_place(node)]
    if not writes:
        return
    order = {node: number for number, node in enumerate(graph.nodes)}
    memory = _memory_of(graph)
    for write in writes:
        views = _views_written(write)
        if not views or memory[views[0][0]] is not (whole := views[-1][1]):
            continue
        now, part = order[write], views[0][0]
        names = [node for node in memory if memory[node] is whole]
        others = [node for node in names if order[node] < now and node not in (whole, part)]
        if any(order[user] > now for node in others for user in node.users):
            continue
        made = _put_back(graph, write, views)
        order |= dict.fromkeys(made, now)
        memory |= {node: node for node in made} | {node: made[-1] for node in names if order[node] > now}
        for old, new in ((whole, made[-1]), (part, made[0]), (write, made[0])):
            later = {user for user in old.users if order[user] > now}
            old.replace_all_uses_with(new, lambda user, later=later: user in later)  # type: ignore[misc]
        del memory[write]
        graph.erase_node(write)


def _put_back(graph: fx.Graph, write: fx.Node, views: list[tuple[fx.Node, fx.Node]]) -> list[fx.Node]:
    """What is written as a value, then each tensor that it is a part of with that part replaced, the whole last."""
    with graph.inserting_before(write):
        made = [graph.call_function(_functional_overload(write.target), write.args, write.kwargs)]
        made[0].meta.update(write.meta)
        for view, viewed in views:
            made.append(
                graph.call_function(_PUTS_BACK[view.target], (viewed, made[-1], *view.args[1:]), dict(view.kwargs))
            )
            made[-1].meta.update(write.meta | {"val": viewed.meta["val"]})
    return made


def _views_written(write: fx.Node) -> list[tuple[fx.Node, fx.Node]]:
    """The slice that is written to and what it is a slice of, and so on; none where this has no simple form."""
    view, views = write.args[0], []
    while isinstance(view, fx.Node) and view.target in _PUTS_BACK and isinstance(view.args[0], fx.Node):
        views.append((view, view.args[0]))
        view = view.args[0]
    values = [node.meta.get("val") for node in write.all_input_nodes]
    of_one_type = len({value.dtype for value in values if isinstance(value, torch.Tensor)}) == 1
    return views if of_one_type and _functional_overload(write.target) is not None else []


def _make_functional(graph: fx.Graph) -> bool:
    """Replace ``relu_(x)`` by ``relu(x)`` and what read ``x`` afterwards by its result.

    False, with nothing changed, where another name for the same memory is read later.
    """
    order = {node: number for number, node in enumerate(graph.nodes)}
    writes = [node for node in graph.nodes if _is_in_place(node)]
    if not writes:
        return True
    memory = _memory_of(graph)
    for write in writes:
        if _functional_overload(write.target) is None or not isinstance(write.args[0], fx.Node):
            return False
        target = write.args[0]
        others = [node for node in memory if node is not target and memory[node] is memory[target]]
        others = [node for node in others if order[node] < order[write] and not _is_chain(node, target, writes)]
        if any(order[user] > order[write] for node in others for user in node.users):
            return False
    for write in writes:
        target = write.args[0]
        later = {user for user in target.users if order[user] > order[write]}
        write.target = _functional_overload(write.target)
        target.replace_all_uses_with(write, delete_user_cb=lambda user, later=later: user in later)
    return True


def _is_chain(name: fx.Node, target: fx.Node, writes: list[fx.Node]) -> bool:
    """Whether ``name`` is an earlier value that ``target`` itself was written over (relu_(add_(x)))."""
    while target in writes:
        target = target.args[0]  # type: ignore[assignment]
        if target is name:
            return True
    return False


def _is_in_place(node: fx.Node) -> bool:
    schema = getattr(node.target, "_schema", None)
    return node.op == "call_function" and schema is not None and bool(schema.is_mutable)


def _functional_overload(target: Any) -> Any:
    name = operator_name(target)
    ours = name.endswith("_") and not is_of_others(name)
    packet = getattr(torch.ops.aten, name[:-1], None) if ours else None
    overload = getattr(packet, target._overloadname, None) if packet is not None else None
    if overload is None:
        return None
    # The first argument may go by another name (dropout_'s self is dropout's input); the types must agree.
    types = [[str(argument.type) for argument in each._schema.arguments] for each in (overload, target)]
    return overload if types[0] == types[1] else None


def _memory_of(graph: fx.Graph) -> dict[fx.Node, fx.Node]:
    """For every node the node that owns the memory it may share."""
    memory: dict[fx.Node, fx.Node] = {}
    for node in graph.nodes:
        owner = node
        if node.op == "call_function" and node.args and isinstance(node.args[0], fx.Node):
            schema = getattr(node.target, "_schema", None)
            returns = schema.returns if schema is not None else ()
            name = operator_name(node.target)
            if name in _MAY_RETURN_INPUT or any(r.alias_info is not None for r in returns):
                owner = memory[node.args[0]]
        memory[node] = owner
    return memory
