"""Custom operations that write to their arguments, as layers that write to none of them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx

_WRAPPED = torch.ops.higher_order.auto_functionalized_v2


class OnCopies:
    """Calls an operator on copies of what it writes to, and returns these behind what it returns itself.

    Torch lets no such operator have a derivative, and hands gradients on as if nothing had been written. Here what
    is written requires no gradient, so that there is nothing to hand on.

    Parameters
    ----------
    op : OpOverload
    written : tuple of str, optional
        The arguments that it writes to. None: it writes to views, or to one tensor by several names, and is given the
        arguments of `_WRAPPED`.
    """

    def __init__(self, op: Any, written: tuple[str, ...] | None) -> None:
        self.op = op
        self.written = written
        self.own = len(op._schema.returns)  # how many tensors it returns itself

    def __call__(self, **arguments: Any) -> tuple[Any, ...]:
        with torch.no_grad():
            if self.written is None:
                returned = _WRAPPED(self.op, **arguments)
                return tuple(returned[1:] if self.own == 0 else returned)
            copies = {name: arguments[name].clone() for name in self.written}
            returned = self.op(**arguments | copies)
        own = () if self.own == 0 else (returned,) if isinstance(returned, Tensor) else tuple(returned)
        return (*own, *copies.values())


def on_copies(node: fx.Node) -> tuple[OnCopies, dict[str, Any]] | None:
    """The operator that a node of functionalization wraps, and its arguments by name; None where it is no such node."""
    if node.target is not _WRAPPED:
        return None
    op: Any = node.args[0]
    bases: Any = node.kwargs["_all_bases"]
    places = {argument.name: node.kwargs.get(f"_{argument.name}_base_index") for argument in op._schema.arguments}
    written = {name: place for name, place in places.items() if isinstance(place, int)}
    given = {name: value for name, value in node.kwargs.items() if not name.startswith("_")}
    plain = {"_all_bases", *(f"_{name}_{what}" for name in written for what in ("base_index", "alias"))}
    if set(node.kwargs) - set(given) - plain or sorted(written.values()) != list(range(len(bases))):
        return OnCopies(op, None), dict(node.kwargs)
    arguments = given | {name: bases[place] for name, place in written.items()}
    in_order = {name: arguments[name] for name in places if name in arguments}
    return OnCopies(op, tuple(sorted(written, key=written.__getitem__))), in_order  # as the node returns the bases
