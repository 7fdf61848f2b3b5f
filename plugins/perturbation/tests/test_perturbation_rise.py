"""RISE against its expectation in closed form, and against masks that are made again one at a time."""

from __future__ import annotations

import math
import os
import signal
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xai_perturbation import Rise
from xaicore import Contrast
from xaicore.engine import Engine, generator
from xaicore.errors import InputError, ParameterError


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 4, 3)]
    return nn.Sequential(*layers).to(dtype).eval()


def images(batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 2, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def masks_one_at_a_time(shape: tuple[int, ...], cells: int, probability: float, seed: int, samples: int) -> Tensor:
    """The masks as published: enlarge the grid by PyTorch's own interpolation, cut out the input's part."""
    mode = ("linear", "bilinear", "trilinear")[len(shape) - 1]
    made = []
    for step in range(samples):
        random = generator(seed, step)
        grid = (torch.rand([cells] * len(shape), generator=random) < probability).double()
        shift = torch.rand(len(shape), generator=random)
        cell = [math.ceil(length / cells) for length in shape]
        large = F.interpolate(grid[None, None], [(cells + 1) * size for size in cell], mode=mode)[0, 0]
        for dim, (size, length) in enumerate(zip(cell, shape, strict=True)):
            large = large.narrow(dim, int(shift[dim] * (size + 1)), length)
        made.append(large)
    return torch.stack(made)


@pytest.mark.parametrize("divide_by", ["probability", "coverage"])
def test_the_map_is_the_mean_of_the_masks_weighted_by_what_they_leave(divide_by: str) -> None:
    model, x = network(), images(2)
    found = Rise(model, samples=60, cells=3, probability=0.4, fill=0.5, divide_by=divide_by, seed=5).analyze(x, [2, 0])
    masks = masks_one_at_a_time((9, 8), 3, 0.4, 5, 60)
    for sample, target in enumerate([2, 0]):
        scores = torch.stack([model(x[[sample]] * mask + 0.5 * (1 - mask))[0, target] for mask in masks]).detach()
        total = masks.sum(0) if divide_by == "coverage" else 60 * 0.4
        expected = (scores[:, None, None] * masks).sum(0) / total
        torch.testing.assert_close(found.relevance[sample].sum(0), expected)
    torch.testing.assert_close(found.relevance[:, 0], found.relevance[:, 1], rtol=0, atol=0)


class Weighted(nn.Module):
    """A linear function of a signal."""

    def __init__(self, weights: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.weights).sum((1, 2))[:, None]


def test_on_a_linear_model_the_map_tends_to_its_expectation() -> None:
    """E[f m_j] / p = sum_i w_i x_i E[m_i m_j] / p; masks of one cell vary together, masks of two apart."""
    length, cells, probability = 12, 3, 0.3
    weights = torch.linspace(-1, 2, length, dtype=torch.float64).view(1, 1, length)
    x = torch.full_like(weights, 0.5)
    cell = length // cells
    shares = F.interpolate(torch.eye(cells, dtype=torch.float64)[:, None], (cells + 1) * cell, mode="linear")[:, 0]
    together = torch.zeros(length, length, dtype=torch.float64)
    for shift in range(cell + 1):
        part = shares[:, shift : shift + length]
        together += part.T @ part / (cell + 1)
    moments = probability**2 + probability * (1 - probability) * together
    expected = moments @ (weights * x).flatten() / probability
    analyzer = Rise(Weighted(weights), samples=30_000, cells=cells, probability=probability)
    found = analyzer.analyze(x, 0).relevance.flatten()
    # Five standard errors: the spread of what is averaged is below the largest value that it takes.
    most = float((weights * x).clamp(min=0).sum()) / probability
    assert float((found - expected).abs().max()) < 5 * most * probability**0.5 / 2 / 30_000**0.5
    assert float(expected.max() - expected.min()) > 10 * float((found - expected).abs().max())


def test_a_constant_output_gives_a_constant_map_where_the_sum_is_divided_by_coverage() -> None:
    def constant(x: np.ndarray) -> np.ndarray:
        return np.full((len(x), 1), 3.0)

    signal_ = np.ones((1, 1, 20))
    steady = Rise(constant, samples=50, cells=4, divide_by="coverage").analyze(signal_, 0).relevance
    torch.testing.assert_close(steady, torch.full_like(steady, 3.0))
    published = Rise(constant, samples=50, cells=4).analyze(signal_, 0).relevance
    assert float(published.std()) > 0.05


@pytest.mark.parametrize("batch_size", [1, 7, "auto", None])
def test_a_sample_gets_the_same_map_in_every_batch(batch_size: Any) -> None:
    model, x = network(), images(33)
    analyzer = Rise(model, samples=20, cells=4, seed=3)
    whole = analyzer.analyze(x, batch_size=batch_size)
    for sample in (0, 17, 32):
        alone = analyzer.analyze(x[[sample]])
        torch.testing.assert_close(whole.relevance[[sample]], alone.relevance)
        assert whole.target["labels"][sample] == alone.target["labels"][0]


def test_the_seed_decides() -> None:
    model, x = network(), images(2)
    one, same, other = (Rise(model, samples=10, seed=seed).analyze(x, 1).relevance for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.allclose(one, other)


def test_functions_on_arrays_are_explained_like_modules() -> None:
    model, x = network(), images(2)

    def function(array: np.ndarray) -> np.ndarray:
        assert isinstance(array, np.ndarray)
        found: np.ndarray = model(torch.from_numpy(array)).detach().numpy()
        return found

    expected = Rise(model, samples=30).analyze(x, Contrast(2, 1)).relevance
    found = Rise(function, samples=30).analyze(x.numpy(), Contrast(2, 1)).relevance
    torch.testing.assert_close(found, expected)


def test_whole_numbers_stay_whole_numbers_for_the_model() -> None:
    def function(array: np.ndarray) -> np.ndarray:
        assert array.dtype == np.uint8
        found: np.ndarray = array.reshape(len(array), -1).sum(1, keepdims=True).astype(np.float64)
        return found

    pixels = np.random.default_rng(0).integers(0, 256, (1, 1, 6, 6), dtype=np.uint8)
    found = Rise(function, samples=40, cells=3).analyze(pixels, 0).relevance
    masks = masks_one_at_a_time((6, 6), 3, 0.5, 0, 40)
    scores = (masks * torch.from_numpy(pixels[0, 0])).round().sum((1, 2))
    torch.testing.assert_close(found[0, 0].double(), (scores[:, None, None] * masks).sum(0) / 20, rtol=1e-5, atol=1e-4)


class Volume(nn.Module):
    """Two inputs: a volume, and numbers that have no positions."""

    def forward(self, volume: Tensor, numbers: Tensor) -> Tensor:
        return torch.stack([volume.square().sum((1, 2, 3, 4)) + numbers.sum(1), volume.sum((1, 2, 3, 4))], 1)


def test_volumes_are_masked_and_inputs_without_positions_stay() -> None:
    volume, numbers = torch.randn(2, 1, 4, 5, 6, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)
    found = Rise(Volume(), samples=25, cells=(2, 2, 2)).analyze({"volume": volume, "numbers": numbers}, 0)
    masks = masks_one_at_a_time((4, 5, 6), 2, 0.5, 0, 25)
    scores = (volume * masks).square().sum((2, 3, 4)) + numbers.sum(1)[:, None]
    expected = torch.einsum("bs,sxyz->bxyz", scores, masks) / 12.5
    torch.testing.assert_close(found.relevance["volume"][:, 0], expected)
    assert not found.relevance["numbers"].any()
    assert any("numbers" in note for note in found.diagnostics.notes)


def test_inner_layers_are_masked_where_they_have_positions() -> None:
    model, x = network(), images(2)
    found = Rise(model, samples=30, cells=3).analyze(x, 1, layer="1")
    masks = masks_one_at_a_time((7, 6), 3, 0.5, 0, 30)
    hidden = model[:2](x)
    scores = torch.stack([model[2:](hidden * mask)[:, 1] for mask in masks], 1).detach()
    torch.testing.assert_close(found.relevance.sum(1), torch.einsum("bs,sxy->bxy", scores, masks) / 15)
    with pytest.raises(InputError, match="positions"):
        Rise(model).analyze(x, 1, layer="4")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_lower_precision_is_summed_in_more(dtype: torch.dtype) -> None:
    exact = Rise(network(), samples=200, cells=4).analyze(images(2), 1).relevance
    found = Rise(network(dtype), samples=200, cells=4).analyze(images(2, dtype), 1).relevance
    assert found.dtype == dtype
    error = float((found.double() - exact).abs().max() / exact.abs().max())
    assert error < (1e-5 if dtype == torch.float32 else 0.05)


def test_every_variant_of_a_fill_takes_its_turn() -> None:
    x = torch.ones(1, 1, 8, dtype=torch.float64)
    weights = torch.arange(8, dtype=torch.float64).view(1, 1, 8)
    from xaicore.analyzers.baselines import Data

    variants = torch.tensor([[[0.0] * 8], [[2.0] * 8], [[5.0] * 8]], dtype=torch.float64)
    found = Rise(Weighted(weights), samples=7, cells=4, fill=Data(variants)).analyze(x, 0, batch_size=3).relevance
    masks = masks_one_at_a_time((8,), 4, 0.5, 0, 7)
    fills = variants[torch.arange(7) % 3, 0]
    scores = ((masks + fills * (1 - masks)) * weights[0]).sum(1)
    torch.testing.assert_close(found[0, 0], scores @ masks / 3.5)


def test_ctrl_c_returns_an_estimate_from_the_masks_that_are_done() -> None:
    class Interrupting(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            type(self).calls += 1
            if self.calls == 6:
                os.kill(os.getpid(), signal.SIGINT)
            return x.sum((1, 2, 3))[:, None] + 1

    x, engine = images(1), Engine(10, False)
    partial = Rise(Interrupting(), samples=1000).analyze(x, 0, engine=engine)
    done = engine.report.rows
    assert engine.report.interrupted and 0 < done < 100
    torch.testing.assert_close(partial.relevance, Rise(Interrupting(), samples=done).analyze(x, 0).relevance)
    assert any(f"{done} of 1000 masks" in note for note in partial.diagnostics.notes)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"samples": 0}, "samples=0"),
        ({"cells": 0}, "cells=0"),
        ({"cells": (3, 0)}, "cells="),
        ({"cells": "many"}, "cells="),
        ({"probability": 1.0}, "probability=1.0"),
        ({"divide_by": "coverag"}, "Did you mean 'coverage'"),
        ({"fill": "blurr"}, "fill='blurr'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Rise(network(), **wrong)


def test_what_has_no_positions_is_refused() -> None:
    with pytest.raises(InputError, match="perturbation.occlusion"):
        Rise(nn.Linear(4, 2)).analyze(torch.randn(2, 4), 0)
    with pytest.raises(ParameterError, match="2 dimensions behind the channels"):
        Rise(network(), cells=(3, 3, 3)).analyze(images(1), 0)
