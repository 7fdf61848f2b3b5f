"""Which operand of a product only scales the other, however a user writes it."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from oracles import noise, shaken
from torch import Tensor, nn
from torch.nn import functional as F

import xaicore
from xaicore.graph import Graph, Kind, Layer

SCALE = noise(4, seed=4)


Function = Callable[[Tensor, Tensor], Tensor]


class Model(nn.Module):
    """A convolution ``h``, a squeezed branch ``s`` of it, and functions of both, each an output."""

    def __init__(self, functions: dict[str, Function]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3)
        self.down, self.up = nn.Conv2d(4, 2, 1), nn.Conv2d(2, 4, 1)
        self.functions = functions

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.conv(x)
        s = self.up(self.down(F.adaptive_avg_pool2d(h, 1)).relu())
        return {name: function(h, s) for name, function in self.functions.items()}


def graph_of(**functions: Function) -> Graph:
    return xaicore.trace(shaken(Model(functions)), noise(2, 2, 5, 5))


def product_at(graph: Graph, name: str) -> Layer:
    """The last product before this output."""
    layer = graph.outputs[name].layer
    while layer.kind not in (Kind.PRODUCT, Kind.MATMUL, Kind.ATTENTION):
        layer = layer.inputs[0].layer
    return layer


# The last product, and which of its operands is the gate.
GATED: dict[str, tuple[Function, int]] = {
    "squeeze-excite": (lambda h, s: s.sigmoid() * h, 0),
    "squeeze-excite with hardsigmoid": (lambda h, s: h * F.hardsigmoid(s), 1),
    "hardsigmoid by hand": (lambda h, s: h * (F.relu6(s + 3) / 6), 1),
    "hardsigmoid by clamping": (lambda h, s: h * ((s + 3).clamp(0, 6) / 6), 1),
    "reshaped and expanded": (lambda h, s: h * s.flatten(1).sigmoid()[:, :, None, None].expand_as(h), 1),
    "interpolated": (lambda h, s: h * F.interpolate(s.sigmoid(), size=h.shape[2:]), 1),
    "scaled": (lambda h, s: (2 * s.sigmoid()) * h, 0),
    "one minus a sigmoid": (lambda h, s: (1 - s.sigmoid()) * h, 0),
    "dropped out": (lambda h, s: F.dropout(s.sigmoid(), 0.5, False) * h, 0),
    "concatenated": (lambda h, s: h * torch.cat([s[:, :2].sigmoid(), s[:, 2:].sigmoid()], 1), 1),
    "product of gates": (lambda h, s: h * (s.sigmoid() * s.softmax(1)), 1),
    "softmax": (lambda h, s: h * s.softmax(1), 1),
    "self-gate": (lambda h, s: h * h.sigmoid(), 1),
    "tanh and sigmoid": (lambda h, s: h.sigmoid() * h.tanh(), 0),
    "mish": (lambda h, s: h * F.softplus(h).tanh(), 1),
    "hardswish": (lambda h, s: h * F.relu6(h + 3) / 6, 1),
    "gelu": (lambda h, s: 0.5 * h * (1 + torch.erf(h / math.sqrt(2))), 1),
    "gelu of GPT-2": (lambda h, s: 0.5 * h * (1.0 + torch.tanh(0.8 * (h + 0.045 * torch.pow(h, 3.0)))), 1),
    "gated linear unit": (lambda h, s: F.glu(h, 1), 1),
    "quotient": (lambda h, s: h / (1 + h.abs()), 1),
    "normalised": (lambda h, s: F.normalize(h, dim=1), 1),
    "root mean square": (lambda h, s: h * torch.rsqrt(h.pow(2).mean(1, keepdim=True) + 1e-6), 1),
    "standardised": (lambda h, s: (h - h.mean(1, keepdim=True)) * (h.var(1, keepdim=True) + 1e-5) ** -0.5, 1),
    "one over the deviation": (lambda h, s: h * (1 / (h.std(1, keepdim=True) + 1e-5)), 1),
    "mask": (lambda h, s: h * (h > 0).to(h.dtype), 1),
    "detached": (lambda h, s: h * s.detach(), 1),
    "attention by hand": (lambda h, s: (h[:, 0] @ h[:, 1]).softmax(-1) @ h[:, 2], 0),
    "attention by einsum": (lambda h, s: torch.einsum("bij,bjk->bik", h[:, 2], (h[:, 0] * 2).softmax(1)), 1),
    "masked attention": (lambda h, s: (h[:, 0] @ h[:, 1]).softmax(-1).masked_fill(h[:, 0] > 3, 0.0) @ h[:, 2], 0),
    "softmax by hand": (lambda h, s: _softmax(h[:, 0]) @ h[:, 2], 0),
}  # fmt: skip


def _softmax(x: Tensor) -> Tensor:
    positive = (x - x.amax(-1, keepdim=True)).exp()
    return positive / positive.sum(-1, keepdim=True)


UNGATED: dict[str, Function] = {
    "two signals": lambda h, s: h * s,
    "two gates": lambda h, s: h.sigmoid() * s.sigmoid(),
    "square": lambda h, s: h * h,
    "a sigmoid with a convolution behind it": lambda h, s: h * F.conv2d(s.sigmoid(), SCALE.view(4, 1, 1, 1), groups=4),
    "tanh": lambda h, s: h * s.tanh(),
    "relu6": lambda h, s: h * F.relu6(s),
    "relu6 of what has biases": lambda h, s: h * F.relu6(s + SCALE.view(-1, 1, 1)),
    "relu": lambda h, s: h * s.relu(),
    "shifted and rectified": lambda h, s: h * (s + 3).relu(),
    "silu": lambda h, s: h * F.silu(s),
    "a mean": lambda h, s: h * h.mean(1, keepdim=True),
    "scores": lambda h, s: h[:, 0] @ h[:, 1].mT,
}


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return shaken(Model({name: function for name, (function, _) in GATED.items()} | UNGATED))


@pytest.fixture(scope="module")
def graph(model: nn.Module) -> Graph:
    return xaicore.trace(model, noise(2, 2, 5, 5))


@pytest.mark.parametrize("name", GATED)
def test_the_operand_that_scales_the_other_is_the_gate(graph: Graph, name: str) -> None:
    assert product_at(graph, name).gates == (GATED[name][1],)


@pytest.mark.parametrize("name", UNGATED)
def test_without_one_gate_and_one_signal_there_is_no_gate(graph: Graph, name: str) -> None:
    assert product_at(graph, name).gates == ()


def test_the_graph_computes_the_same(graph: Graph, model: nn.Module) -> None:
    x = noise(3, 2, 5, 5, seed=8)
    expected, found = model(x), graph(x)
    assert isinstance(found, dict)
    for name in (*GATED, *UNGATED):
        torch.testing.assert_close(found[name], expected[name])


def test_gates_are_known_in_the_folded_graph_and_in_a_copy(graph: Graph) -> None:
    assert product_at(graph.folded, "squeeze-excite").gates == (0,)
    assert product_at(graph.copy(), "squeeze-excite").gates == (0,)


@pytest.mark.parametrize("form", ["plain", "folded", "one", "two"])
def test_a_clipped_batch_norm_is_a_signal_in_every_form_of_the_graph(form: str) -> None:
    class Excited(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(2, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x: Tensor) -> Tensor:
            h = F.relu6(self.norm(self.conv(x)))
            return h * h.mean((2, 3), keepdim=True).sigmoid()

    graph = xaicore.trace(shaken(Excited()), noise(2, 2, 5, 5)).form(form)
    assert product_at(graph, next(iter(graph.outputs))).gates == (1,)


def test_queries_keys_and_masks_are_the_gates_of_attention_and_values_the_signal() -> None:
    def attend(h: Tensor, s: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(h, h.relu(), h.abs(), attn_mask=s)

    layer = product_at(graph_of(attend=attend), "attend")
    names = layer.input_names
    assert [names[number] for number in layer.gates] == [name for name in names if name != "value"]
    assert "attn_mask" in names


def test_a_product_that_adds_a_tensor_counts_it_neither_as_gate_nor_as_factor() -> None:
    def adds(h: Tensor, s: Tensor) -> Tensor:
        return torch.baddbmm(h[:, 3], h[:, 0].softmax(-1), h[:, 1])

    layer = product_at(graph_of(adds=adds), "adds")
    assert [layer.input_names[number] for number in layer.factors] == ["batch1", "batch2"]
    assert [layer.input_names[number] for number in layer.gates] == ["batch1"]
