"""Packed sequences in a graph: kept padded, with their lengths, and run by operators of our own.

`torch.export` cannot capture a `PackedSequence`: how much it holds depends on the values of the lengths. So while a
model is captured, packing leaves sequences as they lie, (time, batch, features), and remembers the lengths; a recurrent
module becomes one call of an operator that is given both, and that packs when it runs.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from xaicore.errors import InputError
from xaicore.graph.whole_sequences import CELLS, kept_whole

_VF = torch._VF


class Lengths:
    """What stands in a `PackedSequence` of a captured model in place of its batch sizes.

    Parameters
    ----------
    of_each : Tensor
        (batch,): the steps of each sequence.
    steps, batch : int or SymInt
        The sizes of the padded tensor.
    """

    device = torch.device("cpu")  # where torch asks for batch sizes to be

    def __init__(self, of_each: Tensor, steps: int, batch: int) -> None:
        self.of_each = of_each
        self.steps = steps
        self.batch = batch

    def __getitem__(self, step: int) -> int:
        if step != 0:
            raise IndexError("how many sequences reach a step depends on their lengths, which a graph does not know")
        return self.batch

    def size(self, dimension: int = 0) -> int:
        """The number of steps."""
        return self.steps


@contextlib.contextmanager
def whole_sequences() -> Iterator[None]:
    """Let this thread, for the time of the block, capture recurrent modules as one operator each, packed or not."""
    own = threading.get_ident()

    def here(replacement: Callable[..., Any], original: Callable[..., Any]) -> Callable[..., Any]:
        def chosen(*args: Any, **kwargs: Any) -> Any:
            return (replacement if threading.get_ident() == own else original)(*args, **kwargs)

        return chosen

    with contextlib.ExitStack() as changed:

        def put(owner: Any, name: str, replacement: Callable[..., Any]) -> None:
            original = getattr(owner, name)
            in_its_own = name in vars(owner)
            setattr(owner, name, here(replacement, original))
            changed.callback(lambda: setattr(owner, name, original) if in_its_own else delattr(owner, name))

        put(_VF, "_pack_padded_sequence", _pack)
        put(_VF, "_pad_packed_sequence", _pad)
        for kind in (nn.LSTM, nn.GRU, nn.RNN):
            put(kind, "forward", _forward_of(kind.forward))
        for cell in CELLS:
            put(_VF, cell, kept_whole(cell, getattr(_VF, cell)))
        yield


def _pack(x: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Lengths]:
    padded = x.transpose(0, 1) if batch_first else x
    return padded, Lengths(lengths, padded.shape[0], padded.shape[1])


def _pad(
    data: Tensor, sizes: Lengths, batch_first: bool, padding_value: float, total_length: int
) -> tuple[Tensor, Tensor]:
    lengths = sizes.of_each.to(data.device)
    if padding_value != 0:
        steps = torch.arange(sizes.steps, device=data.device).unsqueeze(1)
        data = data.masked_fill((steps >= lengths).unsqueeze(-1), padding_value)
    if total_length > sizes.steps:
        rest = data.new_full((total_length - sizes.steps, *data.shape[1:]), padding_value)
        data = torch.cat([data, rest])
    return data.transpose(0, 1) if batch_first else data, sizes.of_each


def _forward_of(original: Callable[..., Any]) -> Callable[..., Any]:
    """The forward of a recurrent module that also takes what `_pack` made."""

    def forward(self: nn.RNNBase, x: Any, hx: Any = None) -> Any:
        if not isinstance(x, PackedSequence):
            return original(self, x, hx)
        states = _initial(self, x.data) if hx is None else list(hx) if self.mode == "LSTM" else [hx]
        if hx is not None and x.sorted_indices is not None:
            states = [state.index_select(1, x.sorted_indices) for state in states]
        settings = (bool(self.bias), int(self.num_layers), bool(self.bidirectional))
        lengths: Any = x.batch_sizes
        weights = list(self._flat_weights)
        y, *final = OPERATORS[self.mode.lower()](x.data, lengths.of_each, states, weights, *settings)
        if x.unsorted_indices is not None:
            final = [state.index_select(1, x.unsorted_indices) for state in final]
        packed = PackedSequence(y, lengths, x.sorted_indices, x.unsorted_indices)
        return packed, tuple(final) if self.mode == "LSTM" else final[0]

    return forward


def _initial(module: nn.RNNBase, x: Tensor) -> list[Tensor]:
    count = module.num_layers * (2 if module.bidirectional else 1)
    sizes = [module.proj_size or module.hidden_size, module.hidden_size][: 2 if module.mode == "LSTM" else 1]
    # Made from sizes, as torch does it, and not from x: constants of the graph.
    return [torch.zeros(count, x.shape[1], size, dtype=x.dtype, device=x.device) for size in sizes]


def _run(cell: str, x: Tensor, lengths: Tensor, hx: Sequence[Tensor], *settings: Any) -> list[Tensor]:
    """Pack, run torch's own operator, and pad again; the states in the order of the batch."""
    if bool((lengths < 1).any()):
        raise InputError(
            f"sequence number {int((lengths < 1).nonzero()[0])} of the batch has no steps (its length is "
            f"{int(lengths.min())}): there is nothing to explain in it; leave it out"
        )
    order = lengths.argsort(descending=True, stable=True)
    back = order.argsort()
    order, back = order.to(x.device), back.to(x.device)
    data, sizes = _VF._pack_padded_sequence(x.index_select(1, order), lengths.sort(descending=True)[0].cpu(), False)
    params, has_biases, layers, bidirectional = settings
    states = [state.index_select(1, order) for state in hx]
    given = states if cell == "lstm" else states[0]
    # Training without dropout: the same, but that cuDNN keeps what a derivative needs.
    found = getattr(_VF, cell)(data, sizes, given, params, has_biases, layers, 0.0, True, bidirectional)
    y, _ = _VF._pad_packed_sequence(found[0], sizes, False, 0.0, x.shape[0])
    return [value.index_select(1, back) for value in (y, *found[1:])]


def _define(cell: str) -> Callable[..., Any]:
    """The operator ``xaicore::packed_<cell>``, with a fake for capture and a derivative."""

    def run(
        input: Tensor,
        lengths: Tensor,
        hx: list[Tensor],
        params: list[Tensor],
        has_biases: bool,
        num_layers: int,
        bidirectional: bool,
    ) -> list[Tensor]:
        return _run(cell, input, lengths, hx, params, has_biases, num_layers, bidirectional)

    def fake(
        input: Tensor, lengths: Tensor, hx: list[Tensor], params: Any, biases: bool, layers: int, both: bool
    ) -> list[Tensor]:
        width = hx[0].shape[-1] * (2 if both else 1)
        return [input.new_empty(*input.shape[:2], width), *(torch.empty_like(state) for state in hx)]

    def remember(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
        x, lengths, hx, params, *ctx.settings = inputs
        ctx.states = len(hx)
        ctx.save_for_backward(x, lengths, *hx, *params)

    def backward(ctx: Any, gradients: Sequence[Tensor | None]) -> tuple[Any, ...]:
        x, lengths, *rest = ctx.saved_tensors
        differentiated = torch.is_grad_enabled()  # whether anyone wants a derivative of the derivative
        with torch.enable_grad():
            # Views, so that the derivative is of this call alone, and can itself be differentiated.
            leaves = [each.view_as(each) if each.requires_grad else each.detach() for each in (x, *rest)]
            hx, params = leaves[1 : 1 + ctx.states], leaves[1 + ctx.states :]
            outputs = _run(cell, leaves[0], lengths, hx, params, *ctx.settings)
            pairs = [(y, r) for y, r in zip(outputs, gradients, strict=True) if r is not None and y.requires_grad]
            wanted = [leaf for leaf in leaves if leaf.requires_grad]
            found = torch.autograd.grad(
                [y for y, _ in pairs], wanted, [r for _, r in pairs], create_graph=differentiated, allow_unused=True
            )
        remaining = iter(found)
        of_all = [next(remaining) if leaf.requires_grad else None for leaf in leaves]
        return (of_all[0], None, of_all[1 : 1 + ctx.states], of_all[1 + ctx.states :], None, None, None)

    operator = torch.library.custom_op(f"xaicore::packed_{cell}", run, mutates_args=())
    operator.register_fake(fake)
    operator.register_autograd(backward, setup_context=remember)
    return operator


OPERATORS = {cell: _define(cell) for cell in CELLS}
"""By the mode of the module, in small letters."""
