"""How much memory a model needs, seen while it runs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import TorchDispatchMode


class Meter(TorchDispatchMode):
    """Watches one forward of a model that is not captured as a graph.

    Attributes
    ----------
    most : int
        Twice the bytes that the largest operation reads and writes, weights aside: about what lives at once.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._weights = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
        self.most = 1

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        seen: dict[int, int] = {}
        for leaf in pytree.tree_leaves((args, kwargs, result)):
            if isinstance(leaf, Tensor) and (storage := leaf.untyped_storage().data_ptr()) not in self._weights:
                seen[storage] = max(seen.get(storage, 0), leaf.numel() * leaf.element_size())
        self.most = max(self.most, 2 * sum(seen.values()))
        return result
