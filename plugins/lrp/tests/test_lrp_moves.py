"""Layers without weights, one by one: the books balance, and what is linear gets input times gradient."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import xaicore

Function = Callable[[Tensor], Tensor]

CONSTANT = torch.linspace(-1, 1, 8, dtype=torch.float64)
INDEX = torch.tensor([0, 3, 3, 1])

# Each takes a map of shape (batch, 4, 6, 8). All are linear in it, or choose among its values.
LINEAR: dict[str, Function] = {
    "add": lambda x: x + x.flip(1),
    "add scaled": lambda x: torch.add(x, x.relu(), alpha=2),
    "subtract": lambda x: x - 0.5 * x.roll(1, 2),
    "subtract scaled": lambda x: torch.sub(x, x.relu(), alpha=3),
    "subtract the other way": lambda x: torch.rsub(x, x.relu()),
    "add broadcast": lambda x: x + x.mean((2, 3), keepdim=True),
    "lerp": lambda x: torch.lerp(x, x.relu(), 0.3),
    "concat": lambda x: torch.cat([x, x.relu()], 1),
    "hstack": lambda x: torch.hstack([x, x]),
    "split": lambda x: x.split([1, 3], 1)[1],
    "chunk": lambda x: x.chunk(2, 2)[0] - x.chunk(2, 2)[1],
    "stack": lambda x: torch.stack([x, x.relu()], 2),
    "unbind": lambda x: x.unbind(1)[2],
    "tensor_split": lambda x: x.tensor_split(3, 2)[1],
    "mean": lambda x: x.mean((1, 3)),
    "sum": lambda x: x.sum(-1),
    "cumsum": lambda x: x.cumsum(2),
    "diff": lambda x: x.diff(dim=3),
    "constant pad": lambda x: F.pad(x, (1, 2, 0, 1)),
    "negative pad": lambda x: F.pad(x, (-1, 2)),
    "reflect pad": lambda x: F.pad(x, (2, 1, 1, 0), mode="reflect"),
    "replicate pad": lambda x: F.pad(x, (2, 1, 0, 1), mode="replicate"),
    "circular pad": lambda x: F.pad(x, (2, 1, 1, 3), mode="circular"),
    "nearest": lambda x: F.interpolate(x, scale_factor=1.5, mode="nearest"),
    "nearest exact": lambda x: F.interpolate(x, size=(4, 11), mode="nearest-exact"),
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "bilinear corners": lambda x: F.interpolate(x, size=(9, 5), mode="bilinear", align_corners=True),
    "bilinear antialiased": lambda x: F.interpolate(x, size=(3, 4), mode="bilinear", antialias=True),
    "bicubic": lambda x: F.interpolate(x, size=(9, 5), mode="bicubic"),
    "bicubic antialiased": lambda x: F.interpolate(x, size=(3, 4), mode="bicubic", antialias=True),
    "linear": lambda x: F.interpolate(x.flatten(2), size=31, mode="linear"),
    "trilinear": lambda x: F.interpolate(x.unsqueeze(1), size=(3, 5, 9), mode="trilinear"),
    "pixel shuffle": lambda x: F.pixel_shuffle(x, 2),
    "pixel unshuffle": lambda x: F.pixel_unshuffle(x, 2),
    "channel shuffle": lambda x: F.channel_shuffle(x, 2),
    "slice": lambda x: x[:, 1:, ::2, -3:],
    "select": lambda x: x[:, 2],
    "narrow": lambda x: x.narrow(2, 1, 3),
    "index_select": lambda x: x.index_select(1, INDEX),
    "gather": lambda x: x.gather(1, INDEX.view(1, 4, 1, 1).expand_as(x)),
    "advanced index, repeated": lambda x: x[:, INDEX],
    "two advanced indices": lambda x: x[:, INDEX, INDEX],
    "masked_fill": lambda x: x.masked_fill(CONSTANT > 0, 0.0),
    "where": lambda x: torch.where(x > 0, x, x.flip(1)),
    "where with a constant": lambda x: torch.where(CONSTANT > 0, x, 0.0),
    "permute": lambda x: x.permute(0, 3, 1, 2),
    "transpose": lambda x: x.transpose(1, 3),
    "reshape": lambda x: x.reshape(len(x), 8, 24),
    "roll": lambda x: x.roll((1, -2), (2, 3)),
    "flip": lambda x: x.flip((1, 3)),
    "rot90": lambda x: x.rot90(1, (2, 3)),
    "repeat": lambda x: x.repeat(1, 2, 1, 1),
    "tile": lambda x: x.tile(1, 1, 2, 1),
    "repeat_interleave": lambda x: x.repeat_interleave(3, 1),
    "expand": lambda x: x.unsqueeze(1).expand(-1, 5, -1, -1, -1),
    "diagonal": lambda x: x.diagonal(dim1=2, dim2=3),
    "triu": lambda x: x.triu(),
    "windows": lambda x: x.unfold(2, 3, 2),
    "im2col": lambda x: F.unfold(x, 3, padding=1),
    "col2im": lambda x: F.fold(x.flatten(2), (5, 7), (2, 2), padding=1),
    "scatter": lambda x: torch.zeros_like(x).scatter(1, INDEX.argsort().view(1, 4, 1, 1).expand_as(x), x),
    "scatter_add": lambda x: torch.zeros_like(x).scatter_add(1, INDEX.view(1, 4, 1, 1).expand_as(x), x),
    "index_add": lambda x: torch.zeros_like(x).index_add(1, INDEX, x),
    "index_put": lambda x: x.index_put((torch.tensor(0), INDEX[:2]), x[0, 2:]),
    "index_put, accumulated": lambda x: x.index_put((torch.tensor(0), INDEX), x[0], accumulate=True),
    "amax": lambda x: x.amax((2, 3)),
    "max": lambda x: x.max(1).values,
    "min": lambda x: x.min(1)[0],
    "median": lambda x: x.median(3)[0],
    "topk": lambda x: x.topk(3, 3)[0],
    "sort": lambda x: x.sort(3)[0],
    "maximum": lambda x: torch.maximum(x, x.flip(1)),
    "minimum": lambda x: torch.minimum(x, 0.5 * x.roll(1, 1)),
    "norm": lambda x: torch.linalg.vector_norm(x, dim=1),
    "norm of a tensor": lambda x: x.flatten(2).norm(dim=2),
    "standard deviation": lambda x: x.std((2, 3)),
    "abs": lambda x: x.abs(),
    "prelu": lambda x: F.prelu(x, CONSTANT[:4].abs()),
}  # fmt: skip

# What is not homogeneous of degree one: the books balance all the same.
OTHERS: dict[str, Function] = {
    "pad with ones": lambda x: F.pad(x, (1, 1), value=1.0),
    "masked_fill with ones": lambda x: x.masked_fill(x > 0.5, 1.0),
    "add a constant": lambda x: x + CONSTANT,
    "subtract from a constant": lambda x: 1 - x,
    "maximum with a constant": lambda x: torch.maximum(x, CONSTANT),
    "variance": lambda x: x.var((2, 3)),
    "variance and mean": lambda x: torch.cat(torch.var_mean(x, (2, 3)), 1),
    "standard deviation and mean": lambda x: torch.cat(torch.std_mean(x, (2, 3)), 1),
    "logsumexp": lambda x: x.logsumexp((2, 3)),
    "softmax": lambda x: x.softmax(1),
    "log_softmax": lambda x: x.log_softmax(1),
    "addcmul": lambda x: torch.addcmul(x, x.relu(), x.flip(1), value=0.5),
    "addcdiv": lambda x: torch.addcdiv(x, x, 1 + x.abs()),
    **{
        name: lambda x, name=name: getattr(torch, name)(x.abs() + 0.5)
        for name in "square sqrt rsqrt reciprocal exp exp2 expm1 log log1p log2 log10 sin cos atan sinh cosh tanh erf "
        "erfc sigmoid sign round floor".split()
    },
    "logit": lambda x: torch.logit(x.sigmoid()),
    "pow": lambda x: x**3,
    "pow of a number": lambda x: 2.0**x,
    "clamp": lambda x: x.clamp(-0.5, 0.7),
    "hardshrink": F.hardshrink,
    "rrelu": lambda x: F.rrelu(x, training=False),
    "hardswish": F.hardswish,
    "mish": F.mish,
    "gelu": F.gelu,
    "elu": F.elu,
    "logsigmoid": F.logsigmoid,
}


class Between(nn.Module):
    """A function between two convolution-like layers."""

    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        y = self.function(x)
        return torch.stack([y.flatten(1).sum(1), (y.flatten(1) * 0.5)[:, ::2].sum(1)], 1)


def images() -> Tensor:
    return torch.randn(3, 4, 6, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


@functools.cache
def explained(function: Function) -> xaicore.Explanation:
    """What several tests look at, worked out once."""
    return xaicore.explain(Between(function).double(), images(), method="lrp.zero", target=1, ledger=True)


@pytest.mark.parametrize("name", [*LINEAR, *OTHERS])
def test_the_books_balance(name: str) -> None:
    explanation = explained((LINEAR | OTHERS)[name])
    rows = explanation.diagnostics.ledger
    scale = max(1.0, *(abs(row["relevance_in"]) for row in rows))
    for row in rows:
        assert abs(row["unaccounted"]) <= 1e-10 * scale, row
    gone = sum(row["bias"] + row["stabilizer"] + row["elsewhere"] for row in rows)
    output = float(explanation.diagnostics.explained.sum())
    assert float(explanation.relevance.sum()) + gone == pytest.approx(output, rel=1e-10, abs=1e-10 * scale)
    assert not explanation.diagnostics.fallbacks
    assert torch.isfinite(explanation.relevance).all()


@pytest.mark.parametrize("name", LINEAR)
def test_what_is_linear_or_picks_values_gets_input_times_gradient(name: str) -> None:
    x = images().requires_grad_()
    (gradient,) = torch.autograd.grad(Between(LINEAR[name])(x)[:, 1].sum(), x)
    expected = (x * gradient).detach()
    torch.testing.assert_close(explained(LINEAR[name]).relevance, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["pow", "pow of a number", "clamp", "gelu", "elu", "mish", "softmax"])
def test_a_function_of_single_numbers_hands_relevance_on_unchanged(name: str) -> None:
    function, x = OTHERS[name], images()
    y = function(x)
    expected = torch.zeros_like(y).flatten(1)
    expected[:, ::2] = 0.5 * y.flatten(1)[:, ::2]
    torch.testing.assert_close(explained(function).relevance, expected.view_as(x), rtol=1e-9, atol=1e-9)
