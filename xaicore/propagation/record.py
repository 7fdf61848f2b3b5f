"""Records: what the forward of one layer leaves on the tape."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import GradientEdge, get_gradient_edge

from xaicore.errors import XaicoreError
from xaicore.graph import Layer

BOTH = frozenset({"xs", "ys"})


@dataclass
class Record:
    """One layer's share of the tape: its own inputs and outputs, joined by autograd's record of this one layer.

    Since the inputs are cut from the rest of the network, the vector-Jacobian product of a layer is that layer's
    alone: ``x + f(x)`` does not run into ``f``, and a tensor that is read twice is two inputs.

    Values that no mapping of a walk will read are given up at once; in their place stand tensors without data, of the
    same shape and type, so that memory holds only what the derivative itself needs.
    """

    xs: tuple[Tensor, ...]
    ys: tuple[Any, ...]
    active: tuple[bool, ...]  # which of xs lead back to what is explained
    starts: tuple[GradientEdge | None, ...]  # where autograd's record begins, for each of xs that is active
    ends: tuple[GradientEdge | None, ...]  # and where it ends, for each of ys that has a derivative
    overwritten: bool = False  # ys was clipped at zero by the ReLU that read it

    @classmethod
    def of(cls, xs: Sequence[Tensor], ys: Sequence[Any], active: Sequence[bool], needed: Collection[str]) -> Record:
        """The record of a layer that was just run; ``needed``: "xs" and "ys" where their values will be read."""
        return cls(
            tuple(xs if "xs" in needed else map(without_data, xs)),
            tuple(ys if "ys" in needed else map(without_data, ys)),
            tuple(active),
            tuple(get_gradient_edge(x) if is_active else None for x, is_active in zip(xs, active, strict=True)),
            tuple(get_gradient_edge(y) if isinstance(y, Tensor) and y.requires_grad else None for y in ys),
        )

    def vjp(self, rs: Sequence[Tensor | None], *, create_graph: bool) -> list[Tensor | None]:
        """The vector-Jacobian product of this one layer: one tensor, or None, for each of ``xs``."""
        pairs = [(end, r) for end, r in zip(self.ends, rs, strict=True) if end is not None and r is not None]
        starts = [start for start in self.starts if start is not None]
        if not pairs or not starts:
            return [None] * len(self.xs)
        found = iter(
            torch.autograd.grad(
                [end for end, _ in pairs],
                starts,
                [r for _, r in pairs],
                retain_graph=True,
                create_graph=create_graph,
                allow_unused=True,
            )
        )
        return [next(found) if start is not None else None for start in self.starts]


@dataclass
class ValuesRecord(Record):
    """The record of a layer whose derivative nobody asks for."""

    where: str = ""

    @classmethod
    def of_values(
        cls, layer: Layer, xs: Sequence[Tensor], ys: Sequence[Any], active: Sequence[bool], needed: Collection[str]
    ) -> ValuesRecord:
        """The record of a layer that gave ``ys`` for ``xs``."""
        plain = cls.of(xs, ys, [False] * len(xs), needed)
        return cls(plain.xs, plain.ys, tuple(active), plain.starts, plain.ends, where=layer.where())

    def vjp(self, rs: Sequence[Tensor | None], *, create_graph: bool) -> list[Tensor | None]:
        """Refuse: there is no record to take it from."""
        raise XaicoreError(
            f"the mapping of {self.where} calls state.vjp, although it says differentiates = False: leave that out."
        )


def fresh_start(x: Tensor) -> Tensor:
    """The same values under a name from which a new autograd record starts; the record itself does not hold them."""
    anchor = torch.empty((), dtype=x.dtype, device=x.device, requires_grad=True)
    started: Tensor = _Start.apply(x, anchor)  # type: ignore[no-untyped-call]
    return started


class _Start(torch.autograd.Function):
    """Joins a tensor to an anchor that requires a gradient, and to nothing else."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, anchor: Tensor) -> Tensor:
        return x.detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None]:
        return None, None  # never asked for: records are read at the edge that enters this node


def without_data(value: Any) -> Any:
    """A stand-in of the same shape and type that holds no memory."""
    return torch.empty_like(value, device="meta", requires_grad=False) if isinstance(value, Tensor) else value
