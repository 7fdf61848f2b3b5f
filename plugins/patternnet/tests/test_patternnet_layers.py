"""Patterns of all kinds of layers against patches that are cut out one by one, in NumPy and float64."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from pattern_oracle import OneLayer, by_formula, only, random
from torch import Tensor, nn

from xai_patternnet import PatternNet, learn_patterns

CONVOLUTIONS = {
    "plain": (nn.Conv2d(3, 4, 3), (3, 6, 5)),
    "padded": (nn.Conv2d(3, 4, 3, padding=1), (3, 5, 5)),
    "same": (nn.Conv2d(2, 3, 3, padding="same"), (2, 5, 4)),
    "strided": (nn.Conv2d(3, 4, (3, 2), stride=(2, 1), padding=(1, 0), bias=False), (3, 7, 5)),
    "dilated": (nn.Conv2d(2, 4, 2, dilation=2, padding=1), (2, 6, 6)),
    "grouped": (nn.Conv2d(4, 6, 3, groups=2, padding=1), (4, 5, 5)),
    "depthwise": (nn.Conv2d(3, 6, 3, groups=3), (3, 5, 5)),
    "pointwise": (nn.Conv2d(3, 4, 1), (3, 4, 4)),
    "1d": (nn.Conv1d(2, 3, 3, padding=2, stride=2), (2, 9)),
    "3d": (nn.Conv3d(2, 3, 2, padding=1), (2, 3, 4, 3)),
    "transposed": (nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1), (3, 4, 4)),
    "transposed grouped": (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), (4, 3, 4)),
    "transposed dilated 1d": (nn.ConvTranspose1d(2, 3, 3, dilation=2), (2, 5)),
    "transposed 3d": (nn.ConvTranspose3d(2, 2, 2, stride=2, padding=1), (2, 3, 3, 2)),
}


def patches(layer: nn.Module, x: np.ndarray, positions: tuple[int, ...]) -> np.ndarray:
    """What each output position sees, (samples, *positions, channels, *kernel); zero where there is no input."""
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    kernel = layer.kernel_size
    padding = layer.padding
    if padding == "same":
        padding = tuple(size // 2 for size in kernel)
    found = np.zeros((len(x), *positions, x.shape[1], *kernel))
    for place in itertools.product(*map(range, positions)):
        for offset in itertools.product(*map(range, kernel)):
            if transposed:
                scaled = [p + pad - o * d for p, pad, o, d in zip(place, padding, offset, layer.dilation, strict=True)]
                if any(each % s for each, s in zip(scaled, layer.stride, strict=True)):
                    continue
                source = [each // s for each, s in zip(scaled, layer.stride, strict=True)]
            else:
                each = zip(place, layer.stride, padding, offset, layer.dilation, strict=True)
                source = [p * s - pad + o * d for p, s, pad, o, d in each]
            if all(0 <= index < size for index, size in zip(source, x.shape[2:], strict=True)):
                found[(slice(None), *place, slice(None), *offset)] = x[(slice(None), slice(None), *source)]
    return found


def by_patches(layer: nn.Module, x: Tensor, y: Tensor, estimator: str) -> np.ndarray:
    """The patterns of a convolution, shaped like its weight."""
    weight = layer.weight.detach().double().numpy()
    y = y.detach().double().numpy()
    cut = patches(layer, x.double().numpy(), y.shape[2:])
    transposed = isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d | nn.ConvTranspose3d)
    groups, outputs, inputs = layer.groups, y.shape[1], x.shape[1]
    found = np.zeros_like(weight)
    for unit in range(outputs):
        group, within = divmod(unit, outputs // groups)
        mine = slice(group * inputs // groups, (group + 1) * inputs // groups)
        place = (mine, within) if transposed else (unit,)
        w = weight[place]
        rows = np.moveaxis(cut, 1 + y.ndim - 2, 1)[:, mine]
        rows = np.moveaxis(rows, 1, y.ndim - 1).reshape(-1, w.size)
        found[place] = by_formula(rows, y[:, unit].reshape(-1), w.reshape(-1), estimator).reshape(w.shape)
    return found


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_patterns_of_a_convolution_are_those_of_its_patches(name: str) -> None:
    layer, shape = CONVOLUTIONS[name]
    model = OneLayer(layer).double()
    torch.manual_seed(0)
    nn.init.normal_(layer.weight)
    x = random(9, *shape) + 0.2
    learnt = only(learn_patterns(model, iter(x.split(4))))
    assert set(learnt) == {"linear", "positive", "negative"}
    for estimator, found in learnt.items():
        expected = by_patches(layer, x, layer(x), estimator)
        np.testing.assert_allclose(found, expected, rtol=1e-8, atol=1e-10 * np.abs(expected).max(), err_msg=estimator)


def test_batch_norm_in_front_of_a_padded_convolution_makes_a_bias_that_patterns_do_not_see() -> None:
    norm, layer = nn.BatchNorm2d(3), nn.Conv2d(3, 4, 3, padding=1)
    model = nn.Sequential(nn.Tanh(), norm, layer, nn.ReLU(), nn.Flatten()).eval().double()
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    x = random(20, 3, 5, 5)
    seen, y = torch.tanh(x), model[:3](x)
    folded = nn.Conv2d(3, 4, 3, padding=1).double()
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    with torch.no_grad():
        folded.weight.copy_(layer.weight * scale.view(1, -1, 1, 1))
    for estimator, found in only(learn_patterns(model, iter(x.split(7)))).items():
        np.testing.assert_allclose(found, by_patches(folded, seen, y, estimator), rtol=1e-8, atol=1e-10)


def test_patches_of_many_samples_are_taken_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from xai_patternnet import convolutions

    model = OneLayer(nn.Conv2d(3, 4, 3, padding=1)).double()
    x = random(9, 3, 5, 5)
    whole = only(learn_patterns(model, x))
    monkeypatch.setattr(convolutions, "_MOST_UNFOLDED", 2 * 27 * 25)
    for estimator, pattern in only(learn_patterns(model, x)).items():
        np.testing.assert_allclose(pattern, whole[estimator], rtol=1e-10)


class Products(nn.Module):
    """Products with constants that are no linear layers: einsum, batches of matrices, a matrix on the left."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how
        shape = {"heads": (4, 2, 3), "left": (5, 4), "batched": (3, 4, 2)}[how]
        self.weight = nn.Parameter(random(*shape, seed=5))

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "heads":
            y = torch.einsum("bte,ehd->bthd", x, self.weight)
        else:
            y = self.weight @ x if self.how == "left" else torch.matmul(x, self.weight)
        return torch.relu(y).flatten(1)


@pytest.mark.parametrize(
    ("how", "shape", "rows", "unit"),
    [
        # x (b, t, e): every token is a sample; unit (h, d) has the entries e.
        ("heads", (3, 4), lambda x: [x.reshape(-1, 4)] * 6, lambda w: w.reshape(4, 6).T),
        # x (b, c, p): every column is a sample; unit k has the entries c.
        ("left", (4, 3), lambda x: [x.transpose(0, 2, 1).reshape(-1, 4)] * 5, lambda w: w),
        # x (b, n, t, c), a matrix for each n: unit (n, k) has the entries c, its samples are (b, t).
        ("batched", (3, 5, 4), lambda x: [x[:, n].reshape(-1, 4) for n in (0, 0, 1, 1, 2, 2)],
         lambda w: w.transpose(0, 2, 1).reshape(6, 4)),
    ],
    ids=["heads", "left", "batched"],
)  # fmt: skip
def test_patterns_of_any_product_with_a_constant(how: str, shape: tuple[int, ...], rows, unit) -> None:
    model = Products(how)
    x = random(20, *shape)
    learnt = only(learn_patterns(model, iter(x.split(7))))
    weights = unit(model.weight.detach().numpy())
    for estimator, found in learnt.items():
        expected = [by_formula(each, each @ w, w, estimator) for each, w in zip(rows(x.numpy()), weights, strict=True)]
        np.testing.assert_allclose(unit(found), expected, rtol=1e-9, atol=1e-10)
    (layer,) = learn_patterns(model, x).layers.values()
    assert layer.units == len(weights)


class Sum(nn.Module):
    def __init__(self, channels_last: bool, subtract: bool) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3) if channels_last else nn.Conv1d(3, 3, 1)
        self.subtract = subtract

    def forward(self, x: Tensor) -> Tensor:
        y = self.first(x)
        return (x - y if self.subtract else x + y).flatten(1)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("subtract", [False, True])
def test_an_addition_has_a_pattern_for_each_channel(channels_last: bool, subtract: bool) -> None:
    model = Sum(channels_last, subtract).double()
    x = random(12, 5, 3) if channels_last else random(12, 3, 5)
    learnt = learn_patterns(model, iter(x.split(5)))
    y = model.first(x).detach()
    found = learnt.layers["sub" if subtract else "add"].by_estimator["linear"].numpy()
    sign = np.array([1.0, -1.0 if subtract else 1.0])
    for channel in range(3):
        terms = [each[..., channel] if channels_last else each[:, channel] for each in (x, y)]
        entries = np.stack([each.numpy().reshape(-1) for each in terms], 1)
        np.testing.assert_allclose(found[:, channel], by_formula(entries, entries @ sign, sign, "linear"), rtol=1e-10)


def test_a_sum_whose_channels_cannot_be_told_from_the_batch_passes_as_the_gradient_does() -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            turned = x.T
            return self.head((turned + turned.tanh()).T)

    model = Turned()
    x = random(9, 3, dtype=torch.float32)
    assert list(learn_patterns(model, x).layers) == ["linear"]
    explanation = PatternNet(model).fit(x).analyze(x, 0, record=["add", "tanh"])
    torch.testing.assert_close(explanation.recorded["tanh"], explanation.recorded["add"])


def test_a_sum_in_front_of_a_relu_has_its_patterns_by_regime() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(3, 3, 3, padding=1)

        def forward(self, x: Tensor) -> Tensor:
            return torch.relu(x + self.inner(x)).flatten(1)

    layers = learn_patterns(Block(), random(4, 3, 5, 5)).layers
    assert set(layers["add"].by_estimator) == {"linear", "positive", "negative"}
    assert set(layers["conv2d"].by_estimator) == {"linear"}  # not it, but the sum stands in front of the ReLU


@pytest.mark.parametrize(
    ("between", "by_regime"),
    [
        (nn.ReLU(), True),
        (nn.ReLU6(), True),
        (nn.Hardtanh(0, 2), True),
        (nn.Sequential(nn.MaxPool2d(2), nn.ReLU()), True),
        (nn.Sequential(nn.Flatten(), nn.ReLU()), True),
        (nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()), True),
        (nn.Sequential(nn.AvgPool2d(2), nn.ReLU()), False),
        (nn.LeakyReLU(), False),
        (nn.GELU(), False),
        (nn.Identity(), False),
    ],
    ids=str,
)
def test_layers_in_front_of_a_relu_have_patterns_by_regime(between: nn.Module, by_regime: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), between, nn.Flatten()).eval()
    (layer,) = learn_patterns(model, random(4, 3, 6, 6, dtype=torch.float32)).layers.values()
    assert set(layer.by_estimator) == ({"linear", "positive", "negative"} if by_regime else {"linear"})
