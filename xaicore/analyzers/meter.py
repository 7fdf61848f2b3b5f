"""How much memory a model needs, seen while it runs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Meter(TorchDispatchMode):
    """Watches one forward of a model that is not captured as a graph.

    Attributes
    ----------
    total : int
        The bytes of all that was computed. Less lives at once, but this is what a batch should be measured by.
    largest : int
        The bytes of the largest tensor among that.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known = {_storage(each) for each in (*model.parameters(), *model.buffers()) if _is_dense(each)}
        self.total: int = 0
        self.largest: int = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = {_storage(leaf) for leaf in pytree.tree_leaves((args, kwargs)) if _is_dense(leaf)}
        made = {_storage(leaf): leaf for leaf in pytree.tree_leaves(result) if _is_dense(leaf)}
        # A view of what there was takes no memory.
        sizes = [leaf.nbytes for storage, leaf in made.items() if storage not in given | self._known]
        self.total += sum(sizes)
        self.largest = max(self.largest, *sizes, 0)
        return result


def _is_dense(leaf: Any) -> bool:
    """Whether it is a tensor whose memory can be told; that of a sparse one cannot."""
    return isinstance(leaf, Tensor) and leaf.layout is torch.strided


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
