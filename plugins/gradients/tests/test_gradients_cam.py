"""Grad-CAM, Grad-CAM++ and Guided Grad-CAM: the formulas, the maps that are found, and how they come to the inputs."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

import xaicore
from xaicore.errors import InputError, LayerError, ParameterError

METHODS = ["gradients.grad_cam", "gradients.grad_cam_plus_plus", "gradients.guided_grad_cam"]


def seeded(make: Callable[[], nn.Module]) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = make()
        for module in model.modules():
            if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)):
                module.running_mean.normal_()
                module.running_var.uniform_(0.5, 2)
    return model.double().eval()


shared = functools.cache(seeded)  # captured once, for tests that leave the model as it is


@functools.cache
def narrowed(make: Callable[[], nn.Module], dtype: torch.dtype) -> nn.Module:
    """The model in another precision; captured once, too."""
    return seeded(make).to(dtype)


def randn(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Convolutional(nn.Module):
    """Convolutions, a pooling, and a classifier of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        )  # fmt: skip
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(6 * 2 * 3, 7), nn.Tanh(), nn.Linear(7, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))


def maps_of(model: Convolutional, x: Tensor, target: list[int]) -> tuple[Tensor, Tensor]:
    """The maps behind the last ReLU and their gradients, by autograd."""
    maps = model.features[:6](x).detach().requires_grad_()
    scores = model.classifier(model.features[6](maps))[range(len(x)), target].sum()
    return maps.detach(), torch.autograd.grad(scores, maps)[0]


def enlarged(cam: Tensor, size: tuple[int, ...], mode: str = "bilinear") -> Tensor:
    options = {} if mode == "nearest" else {"align_corners": False}
    return F.interpolate(cam[:, None], size=size, mode=mode, **options)[:, 0]


def notes(explanation: Any) -> str:
    return " ".join(explanation.diagnostics.notes)


# The formulas


def test_grad_cam_is_that_of_its_equations() -> None:
    model, x, target = shared(Convolutional), randn(3, 3, 8, 12), [0, 4, 2]
    maps, gradients = maps_of(model, x, target)
    weights = gradients.mean((2, 3))
    cam = torch.einsum("bc,bchw->bhw", weights, maps).relu()

    relevance = xaicore.explain(model, x, method="gradients.grad_cam", target=target).relevance

    assert relevance.shape == x.shape
    torch.testing.assert_close(relevance.sum(1), enlarged(cam, (8, 12)))
    torch.testing.assert_close(relevance[:, 0], relevance[:, 2])
    assert float(relevance.max()) > 0


def test_grad_cam_plus_plus_is_that_of_its_equations_written_as_sums() -> None:
    model, x, target = shared(Convolutional), randn(2, 3, 8, 12), [3, 1]
    maps, gradients = maps_of(model, x, target)
    cam = torch.zeros(2, 4, 6, dtype=torch.float64)
    for sample in range(2):
        for channel in range(6):
            a, g = maps[sample, channel], gradients[sample, channel]
            weight = 0.0
            for i in range(4):
                for j in range(6):
                    slope = float(g[i, j])
                    below = 2 * slope**2 + sum(float(value) * slope**3 for value in a.flatten())
                    alpha = slope**2 / below if below else 0.0
                    weight += alpha * max(slope, 0.0)
            cam[sample] += weight * a
    relevance = xaicore.explain(model, x, method="gradients.grad_cam_plus_plus", target=target).relevance
    torch.testing.assert_close(relevance.sum(1), enlarged(cam.relu(), (8, 12)), rtol=1e-9, atol=1e-12)
    assert float(relevance.max()) > 0


def test_guided_grad_cam_is_guided_backprop_times_the_map() -> None:
    model, x = shared(Convolutional), randn(2, 3, 8, 12)
    guided = xaicore.explain(model, x, method="gradients.guided_backprop", target=1).relevance
    cam = xaicore.explain(model, x, method="gradients.grad_cam", target=1).relevance.sum(1, keepdim=True)
    found = xaicore.explain(model, x, method="gradients.guided_grad_cam", target=1).relevance
    torch.testing.assert_close(found, guided * cam)
    assert float(found.abs().max()) > 0


class Pooled(nn.Module):
    """Global average pooling and one linear layer: the class activation mapping of Zhou et al. 2016."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(2, 5, 3), nn.Linear(5, 4)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(F.relu(self.conv(x)).mean((2, 3)))


def test_weights_behind_global_pooling_are_those_of_the_class() -> None:
    model, x = shared(Pooled), randn(2, 2, 7, 9)
    relevance = xaicore.explain(model, x, method="gradients.grad_cam", target=3, layer="relu").relevance
    maps = F.relu(model.conv(x))
    expected = maps * model.head.weight[3].reshape(1, 5, 1, 1) / (5 * 7)
    torch.testing.assert_close(relevance, expected.detach())
    at_input = xaicore.explain(model, x, method="gradients.grad_cam", target=3).relevance
    torch.testing.assert_close(at_input.sum(1), enlarged(expected.detach().sum(1).relu(), (7, 9)))


def test_zero_gradients_give_zero_and_no_nan() -> None:
    model, x = seeded(Pooled), randn(2, 2, 7, 9)
    with torch.no_grad():
        model.head.weight[1] = 0
        model.head.weight[2, :3] = 0
    for method in METHODS:
        for target in (1, 2):
            explanation = xaicore.explain(model, x, method=method, target=target)
            assert explanation.diagnostics.non_finite == 0
            assert target == 2 or float(explanation.relevance.abs().max()) == 0


def test_alpha_is_zero_where_its_denominator_is() -> None:
    from xai_gradients.cam.weights import positive_gradient

    maps = torch.tensor([[[-2.0, 0.0], [1.0, 1.0]]])
    slopes = torch.tensor([[[1.0, 1.0], [1.0, 0.0]]])  # 2 g^2 + sum(A) g^3: 0 and 0; 4 and 0
    torch.testing.assert_close(positive_gradient(maps, slopes), torch.tensor([[0.0, 0.25]]))


# Inner layers


def test_at_a_layer_the_weighted_maps_are_returned() -> None:
    model, x, target = shared(Convolutional), randn(3, 3, 8, 12), [0, 4, 2]
    maps, gradients = maps_of(model, x, target)
    at_layer = xaicore.explain(model, x, method="gradients.grad_cam", target=target, layer="features.5")
    torch.testing.assert_close(at_layer.relevance, maps * gradients.mean((2, 3), keepdim=True))
    assert at_layer.layer == "features.5"
    at_input = xaicore.explain(model, x, method="gradients.grad_cam", target=target, at="features.5")
    assert at_input.layer is None
    torch.testing.assert_close(at_input.relevance.sum(1), enlarged(at_layer.relevance.sum(1).relu(), (8, 12)))


def test_at_chooses_the_maps() -> None:
    model, x = shared(Convolutional), randn(2, 3, 8, 12)
    first = model.features[:2](x).detach().requires_grad_()
    (gradients,) = torch.autograd.grad(model.classifier(model.features[2:](first))[:, 2].sum(), first)
    cam = (first.detach() * gradients.mean((2, 3), keepdim=True)).sum(1).relu()
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=2, at="features.1")
    torch.testing.assert_close(explanation.relevance.sum(1), cam)  # of the size of the input
    assert "a grid of 8 x 12" in notes(explanation)


def test_guided_grad_cam_at_a_layer_is_the_product_there() -> None:
    model, x = shared(Convolutional), randn(2, 3, 8, 12)
    options = {"target": 1, "layer": "features.1"}
    guided = xaicore.explain(model, x, method="gradients.guided_backprop", **options).relevance
    cam = xaicore.explain(model, x, method="gradients.grad_cam", **options).relevance.sum(1, keepdim=True).relu()
    found = xaicore.explain(model, x, method="gradients.guided_grad_cam", **options).relevance
    torch.testing.assert_close(found, guided * cam)
    assert float(found.abs().max()) > 0


# Which maps are found


class Residual(nn.Module):
    """A residual block with a gate by squeeze and excitation, whose 1x1 convolutions have no extent; reused."""

    def __init__(self) -> None:
        super().__init__()
        self.late_head = nn.Linear(6, 3)  # registered first
        self.squeeze, self.excite = nn.Conv2d(6, 2, 1), nn.Conv2d(2, 6, 1)
        self.stem, self.conv, self.norm = nn.Conv2d(3, 6, 3, 2), nn.Conv2d(6, 6, 3, padding=1), nn.BatchNorm2d(6)

    def block(self, x: Tensor) -> Tensor:
        y = self.norm(self.conv(x))
        gate = torch.sigmoid(self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1)))))
        return F.relu(x + y * gate)

    def forward(self, x: Tensor) -> Tensor:
        return self.late_head(self.block(self.block(F.relu(self.stem(x)))).mean((2, 3)))


class Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.one, self.three = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 2, 1), nn.Conv2d(4, 3, 3, padding=1)
        self.head = nn.Linear(5 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = torch.cat([F.relu(self.one(x)), F.relu(self.three(F.max_pool2d(x, 3, 1, 1)))], 1)
        return self.head(F.adaptive_avg_pool2d(x, 2).flatten(1))


class ChannelsLast(nn.Module):
    """As in ConvNeXt: a depthwise convolution, and linear layers over the channels in the last place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.deep = nn.Conv2d(3, 6, 2, 2), nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm, self.up, self.down = nn.LayerNorm(6), nn.Linear(6, 12), nn.Linear(12, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).permute(0, 2, 3, 1)
        y = self.deep(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return self.head((x + self.down(F.gelu(self.up(self.norm(y))))).mean((1, 2)))


class AllConvolutional(nn.Module):
    """One score a position: the maps are those that the scores are computed from."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.scores = nn.Conv2d(3, 6, 3, 2, padding=1), nn.Conv2d(6, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(self.scores(F.relu(self.stem(x))), scale_factor=2)


class AttentionPooled(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.where, self.head = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 1, 1), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv(x))
        attention = self.where(x).flatten(2).softmax(-1).reshape(-1, 1, *x.shape[2:])
        return self.head((x * attention).sum((2, 3)))


@pytest.mark.parametrize(
    ("network", "layer", "grid"),
    [
        (Convolutional, "relu_1", "4 x 6"),
        (Residual, "relu_4", "3 x 5"),
        (Branches, "cat", "6 x 10"),
        (ChannelsLast, "add", "4 x 6"),
        (AllConvolutional, "relu", "4 x 6"),
        (AttentionPooled, "mul", "6 x 10"),
    ],
)
def test_the_last_maps_are_found_by_data_flow(network: Callable[[], nn.Module], layer: str, grid: str) -> None:
    model, x = shared(network), randn(2, 3, 8, 12)
    target = (1, 2, 3) if network is AllConvolutional else 1
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=target)
    assert f"'{layer}'" in notes(explanation)
    assert f"a grid of {grid}," in notes(explanation)
    assert "beside these" not in notes(explanation)
    assert explanation.relevance.shape == x.shape


def test_maps_with_channels_last_are_read_as_they_lie() -> None:
    model, x = shared(ChannelsLast), randn(2, 3, 8, 12)
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=2, layer="add")
    assert explanation.relevance.shape == (2, 4, 6, 6)
    stem = model.stem(x)
    y = model.norm(model.deep(stem).permute(0, 2, 3, 1))
    maps = stem.permute(0, 2, 3, 1) + model.down(F.gelu(model.up(y)))
    torch.testing.assert_close(explanation.relevance, (maps * model.head.weight[2] / 24).detach())
    at_input = xaicore.explain(model, x, method="gradients.grad_cam", target=2).relevance
    torch.testing.assert_close(at_input.sum(1), enlarged(explanation.relevance.sum(-1).relu(), (8, 12)))


def test_other_maps_beside_those_used_are_reported() -> None:
    class Streams(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.left, self.right, self.head = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 5), nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.cat([F.relu(c(x)).amax((2, 3)) for c in (self.left, self.right)], 1))

    model, x = seeded(Streams), randn(2, 3, 8, 12)
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=1)
    assert "a grid of 4 x 8" in notes(explanation)
    assert "also depends on other maps" in notes(explanation)
    other = xaicore.explain(model, x, method="gradients.grad_cam", target=1, at="left")
    assert "a grid of 6 x 10" in notes(other)


# Tokens


class Transformer(nn.Module):
    """A vision transformer with class and register tokens, on patches that are no square."""

    def __init__(self, tokens: int = 2, *, eager: bool = False, pooled: bool = False) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 2, 2)
        self.tokens = nn.Parameter(torch.randn(1, tokens, 8))
        self.places = nn.Parameter(torch.randn(1, tokens + 24, 8))
        self.norms = nn.ModuleList(nn.LayerNorm(8) for _ in range(5))
        self.qkv = nn.ModuleList(nn.Linear(8, 24) for _ in range(2))
        self.mlp = nn.ModuleList(nn.Linear(8, 8) for _ in range(2))
        self.head = nn.Linear(8, 3)
        self.eager, self.pooled = eager, pooled

    def attend(self, x: Tensor, block: int) -> Tensor:
        q, k, v = self.qkv[block](x).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        by_hand = ((q / 2) @ k.transpose(-2, -1)).softmax(-1) @ v if self.eager else None
        y = F.scaled_dot_product_attention(q, k, v) if by_hand is None else by_hand
        return y.transpose(1, 2).flatten(2)

    def embed(self, x: Tensor) -> Tensor:
        x = self.patches(x).flatten(2).transpose(1, 2)
        return torch.cat([self.tokens.expand(len(x), -1, -1), x], 1) + self.places

    def behind(self, x: Tensor, normed: Tensor, block: int) -> Tensor:
        """What follows the norm in front of an attention."""
        x = x + self.attend(normed, block)
        return x + self.mlp[block](self.norms[2 * block + 1](x)).relu()

    def read(self, x: Tensor) -> Tensor:
        x = self.norms[4](x)
        return self.head(x[:, self.tokens.shape[1] :].mean(1) if self.pooled else x[:, 0])

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x)
        for block in range(2):
            x = self.behind(x, self.norms[2 * block](x), block)
        return self.read(x)


@pytest.mark.parametrize("eager", [False, True])
@pytest.mark.parametrize("tokens", [1, 2, 5])
def test_patches_of_a_vision_transformer_are_put_on_their_grid(tokens: int, eager: bool) -> None:
    model, x = seeded(lambda: Transformer(tokens, eager=eager)), randn(2, 3, 8, 12)
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=1)
    assert "module 'norms.2'" in notes(explanation)
    assert "a grid of 4 x 6," in notes(explanation)

    x_1 = model.behind(embedded := model.embed(x), model.norms[0](embedded), 0).detach()
    normed = model.norms[2](x_1).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(model.read(model.behind(x_1, normed, 1))[:, 1].sum(), normed)
    patches, slopes = normed.detach()[:, tokens:], gradient[:, tokens:]
    cam = (patches * slopes.mean(1, keepdim=True)).sum(-1).relu().reshape(2, 4, 6)
    torch.testing.assert_close(explanation.relevance.sum(1), enlarged(cam, (8, 12)))
    assert float(cam.max()) > 0

    at_layer = xaicore.explain(model, x, method="gradients.grad_cam", target=1, layer="norms.2").relevance
    assert at_layer.shape == (2, tokens + 24, 8)
    assert float(at_layer[:, :tokens].abs().max()) == 0
    torch.testing.assert_close(at_layer[:, tokens:], patches * slopes.mean(1, keepdim=True))


def test_tokens_that_are_averaged_are_used_behind_the_last_attention() -> None:
    model, x = seeded(lambda: Transformer(pooled=True)), randn(2, 3, 8, 12)
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=1)
    assert "module 'norms.4'" in notes(explanation)
    assert "a grid of 4 x 6," in notes(explanation)


class Windows(nn.Module):
    """Attention in windows that are shifted, and patches that are merged, as in Swin."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.merge, self.mix = nn.Conv2d(3, 4, 2, 2), nn.Linear(16, 6), nn.Linear(6, 6)
        self.norm, self.head = nn.LayerNorm(6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.patches(x).permute(0, 2, 3, 1)
        x = self.merge(torch.cat([x[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], -1))
        b, h, w, c = x.shape
        y = torch.roll(x, (-1, -1), (1, 2)).view(b, h // 2, 2, w // 2, 2, c).transpose(2, 3).reshape(-1, 4, c)
        y = F.scaled_dot_product_attention(y, y, self.mix(y))
        y = y.view(b, h // 2, w // 2, 2, 2, c).transpose(2, 3).reshape(b, h, w, c)
        return self.head(self.norm(torch.roll(y, (1, 1), (1, 2))).mean((1, 2)))


def test_positions_are_followed_through_windows_and_merged_patches() -> None:
    model, x = shared(Windows), randn(2, 3, 16, 24)
    explanation = xaicore.explain(model, x, method="gradients.grad_cam", target=1)
    assert "'layer_norm'" in notes(explanation)
    assert "a grid of 4 x 6," in notes(explanation)
    weighted = xaicore.explain(model, x, method="gradients.grad_cam", target=1, layer="norm").relevance
    torch.testing.assert_close(explanation.relevance.sum(1), enlarged(weighted.sum(-1).relu(), (16, 24)))
    # The windows themselves hold the same cells, where the shift put them.
    shifted = xaicore.explain(model, x, method="gradients.grad_cam", target=1, at="reshape_1")
    assert "a grid of 4 x 6" in notes(shifted)
    rolled = shifted.relevance.sum(1)
    values = xaicore.explain(model, x, method="gradients.grad_cam", target=1, layer="reshape_1").relevance
    cam = torch.roll(values.sum(-1), (1, 1), (1, 2)).relu()
    torch.testing.assert_close(rolled, enlarged(cam, (16, 24)))
    assert float(rolled.max()) > 0


# Series, volumes, and inputs of other forms


def network(dims: int) -> nn.Module:
    conv, pool = {1: (nn.Conv1d, nn.MaxPool1d), 2: (nn.Conv2d, nn.MaxPool2d), 3: (nn.Conv3d, nn.MaxPool3d)}[dims]
    return nn.Sequential(
        conv(2, 4, 3, padding=1), nn.ReLU(), pool(2), conv(4, 5, 3, padding=1), nn.ReLU(), pool(2), nn.Flatten(),
        nn.LazyLinear(3),
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["nearest", "bilinear"])
@pytest.mark.parametrize("dims", [1, 2, 3])
def test_series_images_and_volumes(dims: int, mode: str) -> None:
    size = (8, 12, 4)[:dims]
    x = randn(2, 2, *size)

    def make() -> nn.Module:
        model = network(dims)
        model(x.float())
        return model

    model = seeded(make)
    analyzer = xaicore.create_analyzer("gradients.grad_cam", model, interpolation=mode)
    torch_mode = mode if mode == "nearest" else ("linear", "bilinear", "trilinear")[dims - 1]
    largest = 0.0
    for target in range(3):
        maps = model[:5](x).detach().requires_grad_()
        (gradients,) = torch.autograd.grad(model[5:](maps)[:, target].sum(), maps)
        weights = gradients.flatten(2).mean(2).reshape(2, 5, *[1] * dims)
        cam = (maps.detach() * weights).sum(1).relu()
        relevance = analyzer.analyze(x, target).relevance
        torch.testing.assert_close(relevance.sum(1), enlarged(cam, size, torch_mode))
        largest = max(largest, float(relevance.max()))
    assert largest > 0


def test_cubic_interpolation_is_not_negative_and_is_refused_for_series() -> None:
    x = randn(2, 3, 8, 12)
    relevance = xaicore.explain(
        shared(Convolutional), x, method="gradients.grad_cam", target=1, interpolation="bicubic"
    ).relevance
    assert float(relevance.min()) == 0 < float(relevance.max())
    model = seeded(lambda: nn.Sequential(nn.Conv1d(2, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6, 2)))
    with pytest.raises(ParameterError, match="bicubic.*works on images.*choose 'bilinear'"):
        xaicore.explain(model, randn(2, 2, 8), method="gradients.grad_cam", interpolation="bicubic")


class Mixed(nn.Module):
    """An image and numbers beside it, by keyword; the output is a dict."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head, self.side = nn.Conv2d(3, 4, 3), nn.Linear(4, 3), nn.Linear(5, 3)

    def forward(self, numbers: Tensor, image: Tensor) -> dict[str, Tensor]:
        x = F.relu(self.conv(image)).mean((2, 3))
        return {"logits": self.head(x) * self.side(numbers), "extra": x}


@pytest.mark.parametrize("method", METHODS)
def test_of_several_inputs_those_behind_the_maps_show_them(method: str) -> None:
    model = shared(Mixed)
    inputs = {"image": randn(2, 3, 8, 12), "numbers": randn(2, 5)}
    explanation = xaicore.explain(model, inputs, method=method, target=[1, 2])
    assert explanation.relevance["image"].shape == (2, 3, 8, 12)
    assert float(explanation.relevance["image"].abs().max()) > 0
    assert explanation.relevance["numbers"].shape == (2, 5)
    assert float(explanation.relevance["numbers"].abs().max()) == 0


def test_all_inputs_behind_the_maps_show_the_whole_map() -> None:
    class Fused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv2d(4, 5, 3), nn.Linear(5, 3)

        def forward(self, colour: Tensor, depth: Tensor) -> Tensor:
            return self.head(F.relu(self.conv(torch.cat([colour, depth], 1))).mean((2, 3)))

    inputs = (randn(2, 3, 8, 12), randn(2, 1, 8, 12, seed=2))
    relevance = xaicore.explain(seeded(Fused), inputs, method="gradients.grad_cam", target=1).relevance
    torch.testing.assert_close(relevance["colour"].sum(1), relevance["depth"][:, 0])
    assert float(relevance["depth"].max()) > 0


def test_tokens_of_a_text_convolution_get_the_map() -> None:
    class Text(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words, self.conv, self.head = nn.Embedding(11, 6), nn.Conv1d(6, 5, 3, 2), nn.Linear(5, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.head(F.relu(self.conv(self.words(tokens).transpose(1, 2))).amax(2))

    model, tokens = seeded(Text), torch.arange(18).reshape(2, 9) % 11
    at_layer = xaicore.explain(model, tokens, method="gradients.grad_cam", target=1, layer="relu").relevance
    explanation = xaicore.explain(model, tokens, method="gradients.grad_cam", target=1)
    torch.testing.assert_close(explanation.relevance, enlarged(at_layer.sum(1).relu(), (9,), "linear"))
    assert explanation.relevance.dtype == torch.float64


@pytest.mark.parametrize("order", [(0, 3, 1, 2), (0, 3, 2, 1)])
def test_the_map_lies_on_the_input_as_the_model_turns_it(order: tuple[int, ...]) -> None:
    class Turned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pooled = shared(Pooled)

        def forward(self, x: Tensor) -> Tensor:
            return self.pooled(x.permute(order))

    model, x = Turned().eval(), randn(2, 8, 12, 2)
    relevance = xaicore.explain(model, x, method="gradients.grad_cam", target=1).relevance
    straight = xaicore.explain(model.pooled, x.permute(order), method="gradients.grad_cam", target=1).relevance
    torch.testing.assert_close(relevance.permute(order), straight)
    assert float(relevance.max()) > 0


# Samples, targets, precision


@pytest.mark.parametrize("method", METHODS)
def test_batches_are_as_one_by_one_whatever_the_batch_size(method: str) -> None:
    model, x = shared(Residual), randn(33, 3, 8, 12)
    target = [number % 3 for number in range(33)]
    analyzer = xaicore.create_analyzer(method, model)
    whole = analyzer.analyze(x, target).relevance
    single = torch.cat([analyzer.analyze(x[i : i + 1], target[i]).relevance for i in range(33)])
    torch.testing.assert_close(whole, single)
    for size in (1, 7, None):
        torch.testing.assert_close(analyzer.analyze(x, target, batch_size=size).relevance, whole)
    assert float(whole.abs().amax((1, 2, 3)).max()) > 0


def test_contrasts_are_differences_of_gradients() -> None:
    model, x = shared(Convolutional), randn(2, 3, 8, 12)
    analyzer = xaicore.create_analyzer("gradients.grad_cam", model)
    first, second, contrast = (
        analyzer.analyze(x, target, layer="features.5").relevance for target in (1, 3, xaicore.Contrast(1, 3))
    )
    torch.testing.assert_close(contrast, first - second)


@pytest.mark.parametrize("method", METHODS)
def test_streams_are_joined(method: str) -> None:
    model, x = shared(Residual), randn(5, 3, 8, 12)
    analyzer = xaicore.create_analyzer(method, model)
    streamed = analyzer.analyze(iter([x[:2], x[2:]]), 1).relevance
    torch.testing.assert_close(streamed, analyzer.analyze(x, 1).relevance)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.bfloat16, 0.1)])
def test_lower_precision_is_close_and_keeps_its_type(method: str, dtype: torch.dtype, tolerance: float) -> None:
    x = randn(2, 3, 8, 12)
    exact = xaicore.explain(shared(Residual), x, method=method, target=1).relevance
    found = xaicore.explain(narrowed(Residual, dtype), x.to(dtype), method=method, target=1).relevance
    assert found.dtype == dtype
    assert float((found.double() - exact).abs().max()) < tolerance * float(exact.abs().max())


class Convolutions(TorchDispatchMode):
    """Counts convolutions, forwards and backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.counts[func.overloadpacket.__name__] += 1
        return func(*args, **(kwargs or {}))


def convolutions(analyzer: Any, x: Tensor) -> tuple[int, int]:
    analyzer.analyze(x, 1)  # captures the model
    with Convolutions() as mode:
        analyzer.analyze(x, 1)
    return mode.counts["convolution"], mode.counts["convolution_backward"]


def test_convolutions_before_the_maps_run_once_and_forwards_only() -> None:
    model, x = shared(Residual), randn(2, 3, 8, 12)  # a stem, and three in each of two calls of the block
    assert convolutions(xaicore.create_analyzer("gradients.saliency", model), x) == (7, 7)
    assert convolutions(xaicore.create_analyzer("gradients.grad_cam", model), x) == (7, 0)
    assert convolutions(xaicore.create_analyzer("gradients.grad_cam_plus_plus", model), x) == (7, 0)
    assert convolutions(xaicore.create_analyzer("gradients.guided_grad_cam", model), x) == (14, 7)


# Errors


def test_a_model_without_maps_is_refused_with_what_to_do() -> None:
    model = seeded(lambda: nn.Sequential(nn.Flatten(), nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 2)))
    with pytest.raises(InputError, match=r"no convolution with an extent.*at='features.3'"):
        xaicore.explain(model, randn(2, 3, 2, 2), method="gradients.grad_cam")
    with pytest.raises(InputError, match="no convolution"):
        xaicore.explain(nn.Linear(3, 2).double(), randn(2, 3), method="gradients.grad_cam")


def test_a_layer_without_maps_is_refused_with_its_shape() -> None:
    model, x = shared(Convolutional), randn(2, 3, 8, 12)
    for options in ({"at": "classifier.1"}, {"layer": "classifier.1"}):
        with pytest.raises(LayerError, match=r"'classifier.1' has shape Bx7, in which no maps"):
            xaicore.explain(model, x, method="gradients.grad_cam", **options)
    with pytest.raises(LayerError, match="Did you mean 'features.5'"):
        xaicore.explain(model, x, method="gradients.grad_cam", at="feature.5")


def test_parameters_are_checked() -> None:
    model = shared(Convolutional)
    with pytest.raises(ParameterError, match="interpolation='biliner'.*Did you mean 'bilinear'"):
        xaicore.create_analyzer("gradients.grad_cam", model, interpolation="biliner")
    with pytest.raises(ParameterError, match="at=3 must name a layer"):
        xaicore.create_analyzer("gradients.grad_cam", model, at=3)
    with pytest.raises(InputError, match="torch.nn.Module"):
        xaicore.create_analyzer("gradients.grad_cam", math.sqrt).analyze(randn(2, 3))
