"""Values that depend on no input: parameters, what the graph computes from them, and what rules derive from them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import torch

from xaicore.graph.autocast import without_autocast
from xaicore.graph.layer import Layer, Ref
from xaicore.graph.sizes import SizeExpression

Stamp = tuple[Hashable, ...]


class Constants:
    """The values of constant layers, each computed once and again when a parameter behind it changes.

    Parameters
    ----------
    differentiable : bool
        Compute within the autograd graph of the parameters and remember for this object's life only; for
        explanations that are themselves differentiated.
    """

    def __init__(self, *, differentiable: bool = False) -> None:
        self.differentiable = differentiable
        self._values: dict[Hashable, tuple[Stamp, Any]] = {}
        self._stamps: dict[Layer, Hashable] = {}
        self._leaves: dict[Layer, tuple[Layer, ...]] = {}
        self._symbols: dict[Layer, tuple[Any, ...]] = {}
        self._lock = threading.RLock()

    def value(self, ref: Ref, sizes: Mapping[Any, int]) -> torch.Tensor:
        """The tensor at ``ref``, which must belong to a constant layer."""
        layer = ref.layer
        if layer.tensor is not None:
            return layer.tensor if self.differentiable else layer.tensor.detach()
        if layer not in self._symbols:
            self._symbols[layer] = tuple(dict.fromkeys(s for value in _sizes_in(layer) for s in value.symbols))
        used = tuple(sorted((str(symbol), sizes[symbol]) for symbol in self._symbols[layer]))
        outputs = self.derived(
            (layer, used), [layer], lambda: layer.call(lambda argument: self.value(argument, sizes), sizes)
        )
        return outputs[ref.index]  # type: ignore[no-any-return]

    def derived(self, key: Hashable, sources: Iterable[Layer], make: Callable[[], Any]) -> Any:
        """What ``make`` returns, remembered under ``key`` until a parameter behind ``sources`` changes."""
        stamp: Stamp = ()
        if not self.differentiable:
            stamp = tuple(self._stamp(leaf) for source in sources for leaf in self._leaves_of(source))
        with self._lock:
            known = self._values.get(key)
            if known is not None and known[0] == stamp:
                return known[1]
            with torch.set_grad_enabled(self.differentiable), without_autocast():
                value = make()
            self._values[key] = (stamp, value)
            return value

    def refresh(self) -> None:
        """Look at the parameters again; called before each run, so that within one run they are looked at once."""
        self._stamps.clear()

    def version(self, layers: Iterable[Layer]) -> Stamp:
        """Changes when a parameter among these layers does; as of the last `refresh`."""
        return tuple(self._stamp(layer) for layer in layers if layer.tensor is not None)

    def _stamp(self, leaf: Layer) -> Hashable:
        if leaf not in self._stamps:
            self._stamps[leaf] = _stamp(leaf.tensor)
        return self._stamps[leaf]

    def clear(self) -> None:
        """Forget all derived values and free their memory."""
        self._values.clear()

    def _leaves_of(self, layer: Layer) -> tuple[Layer, ...]:
        if layer not in self._leaves:
            found: dict[Layer, None] = {layer: None} if layer.tensor is not None else {}
            for ref in layer.refs():
                if ref.layer.constant:
                    found.update(dict.fromkeys(self._leaves_of(ref.layer)))
            self._leaves[layer] = tuple(found)
        return self._leaves[layer]


def _stamp(tensor: torch.Tensor | None) -> Hashable:
    """Changes when the tensor is written to or given other memory.

    A write through ``tensor.data`` counts no version; a checksum of the memory shows those.
    """
    assert tensor is not None
    version = None if tensor.is_inference() else tensor._version
    return (id(tensor), version, tensor.data_ptr(), *_checksum(tensor.detach()))


def _checksum(tensor: torch.Tensor) -> tuple[Hashable, ...]:
    """The sum of all bits, in words of eight bytes where they come out even, and a few values as they lie."""
    # All of the memory between the first element and the last, in whatever order the dimensions lie in it.
    extent = 1 + sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.stride(), strict=True))
    flat = tensor.as_strided((extent if tensor.numel() else 0,), (1,))
    even = extent * tensor.element_size() % 8 == 0 and tensor.data_ptr() % 8 == 0
    words = flat.view(torch.int64 if even else torch.uint8)
    probe = flat[:: max(1, flat.numel() // _PROBES)]
    return (int(words.sum(dtype=torch.int64)), *probe.tolist())


_PROBES = 16


def _sizes_in(layer: Layer) -> Iterable[SizeExpression]:
    stack: list[Any] = list(layer.arguments.values())
    while stack:
        value = stack.pop()
        if isinstance(value, SizeExpression):
            yield value
        elif isinstance(value, Ref):
            stack.extend(value.layer.arguments.values())
        elif isinstance(value, (list, tuple)):
            stack.extend(value)
