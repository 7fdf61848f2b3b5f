"""Learned masks: on models that look at a known place, and against gradient descent written out sample by sample."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from xai_perturbation import LearnedMask
from xai_perturbation.learned_mask.penalties import off_area, roughness, size_of
from xaicore import Contrast
from xaicore.analyzers.baselines import Baseline, Data
from xaicore.engine import Engine, generator
from xaicore.errors import InputError, ParameterError


class Square(nn.Module):
    """Class 0 is the mean of one square; class 1 that of everything."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([x[:, :, 3:8, 9:14].mean((1, 2, 3)), x.mean((1, 2, 3))], 1)


def network(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(0)
    layers = [nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 5 * 4, 3)]
    return nn.Sequential(*layers).to(dtype).eval()


def images(batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(batch, 2, 9, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64).to(dtype)


def bright(batch: int = 2) -> Tensor:
    return torch.rand(batch, 3, 20, 20, generator=torch.Generator().manual_seed(2)) + 0.5


@pytest.mark.parametrize("mode", ["delete", "preserve"])
def test_the_mask_finds_the_only_square_that_matters(mode: str) -> None:
    found = LearnedMask(Square(), mode=mode, fill=0.0, steps=150).analyze(bright(), 0)
    assert isinstance(found.relevance, Tensor)
    maps = found.relevance.sum(1)
    inside = torch.zeros(20, 20, dtype=torch.bool)
    inside[3:8, 9:14] = True
    assert float(maps[:, inside].min()) > 0.95 and float(maps[:, ~inside].mean()) < 0.06
    assert float(maps.min()) >= 0 and float(maps.max()) <= 1 + 1e-6
    score = found.recorded["score"]
    assert float(score.max()) < 0.05 if mode == "delete" else float(score.min()) > 0.95
    torch.testing.assert_close(found.recorded["area"][:, 0], maps.mean((1, 2)))


@pytest.mark.parametrize("mode", ["delete", "preserve"])
def test_a_given_area_is_met_and_spent_where_it_matters(mode: str) -> None:
    areas = [0.03, 25 / 400, 0.2]
    found = LearnedMask(Square(), mode=mode, area=areas, fill=0.0).analyze(bright(), 0)
    torch.testing.assert_close(found.recorded["area"], torch.tensor([areas] * 2), rtol=0, atol=0.006)
    scores = found.recorded["score"] if mode == "preserve" else 1 - found.recorded["score"]
    assert float(scores[:, 1:].min()) > 0.99  # these have room for the whole square
    torch.testing.assert_close(scores[:, 0], torch.full((2,), 0.03 * 400 / 25), rtol=0, atol=0.1)


def test_a_smaller_price_of_size_gives_a_larger_mask_and_more_smoothness_a_smoother_one() -> None:
    x, model = images(2), network()

    def learnt(**parameters: float) -> Any:
        return LearnedMask(model, steps=80, fill=0.0, **parameters).analyze(x, 1)

    cheap, dear = (learnt(area_weight=weight, smoothness=0.0) for weight in (0.01, 1.0))
    assert (cheap.recorded["area"] > dear.recorded["area"] + 0.1).all()
    rough, smooth = (learnt(smoothness=weight, beta=2.0).relevance.sum(1)[:, None] for weight in (0.0, 20.0))
    assert (roughness(rough, 2.0) > 3 * roughness(smooth, 2.0)).all()


def test_penalties_are_those_of_the_papers() -> None:
    masks = torch.rand(2, 2, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    areas = torch.tensor([0.25, 0.3], dtype=torch.float64)
    for sample in range(2):
        for number, area in enumerate(areas.tolist()):
            mask = masks[sample, number]
            ordered = sorted(mask.flatten().tolist(), reverse=True)
            wanted = [1.0] * int(area * 12) + [area * 12 - int(area * 12)] + [0.0] * (11 - int(area * 12))
            expected = sum((value - goal) ** 2 for value, goal in zip(ordered, wanted, strict=True)) / 12
            assert float(off_area(masks, areas)[sample, number]) == pytest.approx(expected)
            down = [abs(float(mask[i + 1, j] - mask[i, j])) ** 3 for i in range(3) for j in range(3)]
            across = [abs(float(mask[i, j + 1] - mask[i, j])) ** 3 for i in range(4) for j in range(2)]
            assert float(roughness(masks, 3.0)[sample, number]) == pytest.approx(sum(down) / 9 + sum(across) / 8)
            assert float(size_of(masks)[sample, number]) == pytest.approx(sum(ordered) / 12)


def descended(
    model: nn.Module, x: Tensor, target: int, mode: str, area: float | None, jitter: int, steps: int
) -> tuple[Tensor, float]:
    """The method written out for one sample: autograd through the model itself."""
    fill = torch.full_like(x, 0.25)
    value, nothing = model(x)[0, target].item(), model(fill)[0, target].item()
    changed = torch.full((1, 1, 5, 4), 0.5, dtype=x.dtype, requires_grad=True)
    optimizer = torch.optim.Adam([changed], lr=0.05)

    def score(moves: list[int]) -> Tensor:
        large = F.interpolate(changed, x.shape[2:], mode="bilinear", align_corners=True)
        keep = 1 - large if mode == "delete" else large
        seen = x * keep + fill * (1 - keep)
        for dim, move in zip((2, 3), moves, strict=True):
            places = [min(max(at - move, 0), seen.shape[dim] - 1) for at in range(seen.shape[dim])]
            seen = torch.stack([seen.select(dim, place) for place in places], dim)
        found: Tensor = (model(seen)[0, target] - nothing) / (value - nothing)
        return found

    for step in range(steps):
        moves = [0, 0]
        if jitter:
            moves = torch.randint(-jitter, jitter + 1, (2,), generator=generator(4, step)).tolist()
        loss = score(moves) if mode == "delete" else -score(moves)
        if area is None:
            loss = loss + 0.1 * changed.mean()
        else:
            weight = 1.0 * 100.0 ** (step / (steps - 1))
            goal = torch.tensor([1.0] * round(area * 20) + [0.0] * (20 - round(area * 20)), dtype=x.dtype)
            loss = loss + weight * (changed.flatten().sort(descending=True).values - goal).square().mean()
        tv = changed.diff(dim=2).abs().pow(3).mean() + changed.diff(dim=3).abs().pow(3).mean()
        optimizer.zero_grad()
        (loss + 0.2 * tv).backward()
        optimizer.step()
        changed.data.clamp_(0, 1)
    large = F.interpolate(changed.detach(), x.shape[2:], mode="bilinear", align_corners=True)
    return large[0, 0], score([0, 0]).item()


@pytest.mark.parametrize(
    ("mode", "area", "jitter"), [("delete", None, 0), ("preserve", None, 1), ("preserve", 0.25, 0), ("delete", 0.4, 2)]
)
def test_it_is_gradient_descent_on_the_published_objective(mode: str, area: float | None, jitter: int) -> None:
    model, x = network(), images(3)
    analyzer = LearnedMask(model, mode=mode, area=area, jitter=jitter, size=(5, 4), fill=0.25, steps=12, seed=4)
    found = analyzer.analyze(x, [2, 0, 1])
    assert isinstance(found.relevance, Tensor)
    for sample, target in enumerate([2, 0, 1]):
        mask, score = descended(model, x[[sample]], target, mode, area, jitter, 12)
        torch.testing.assert_close(found.relevance[sample].sum(0), mask)
        assert float(found.recorded["score"][sample, 0]) == pytest.approx(score)


@pytest.mark.parametrize("batch_size", [1, 7, "auto", None])
def test_each_sample_has_a_mask_of_its_own_in_every_batch(batch_size: Any) -> None:
    model, x = network(), images(33)
    analyzer = LearnedMask(model, area=(0.2, 0.4), jitter=1, steps=4, seed=3)
    steps = 33 if batch_size == 1 else 1  # of one at a time, a part is enough
    whole = analyzer.analyze(x[:5] if steps == 33 else x, batch_size=batch_size)
    assert isinstance(whole.relevance, Tensor)
    for sample in (0, len(whole) // 2, len(whole) - 1):
        alone = analyzer.analyze(x[[sample]])
        torch.testing.assert_close(whole.relevance[[sample]], alone.relevance)
        torch.testing.assert_close(whole.recorded["score"][[sample]], alone.recorded["score"])
        assert whole.target["labels"][sample] == alone.target["labels"][0]


def test_the_seed_decides_about_jitter_alone() -> None:
    model, x = network(), images(1)

    def learnt(**parameters: int) -> Any:
        return LearnedMask(model, steps=5, **parameters).analyze(x, 1).relevance

    assert torch.equal(learnt(jitter=2, seed=1), learnt(jitter=2, seed=1))
    assert not torch.allclose(learnt(jitter=2, seed=1), learnt(jitter=2, seed=2))
    assert torch.equal(learnt(seed=1), learnt(seed=2))


class Several(nn.Module):
    """A series and a volume with positions, and numbers without."""

    def forward(self, series: Tensor, volume: Tensor, numbers: Tensor) -> Tensor:
        first = series[:, :, 2:4].mean((1, 2))
        return torch.stack([first + volume[:, :, 0].mean((1, 2, 3)) + numbers.sum(1), first], 1)


def test_several_inputs_have_masks_of_their_own() -> None:
    given = {"series": torch.ones(2, 2, 10), "volume": torch.ones(2, 1, 4, 3, 3), "numbers": torch.ones(2, 3)}
    found = LearnedMask(Several(), fill=0.0, steps=100, smoothness=0.0).analyze(given, Contrast(0, 1))
    assert isinstance(found.relevance, dict)
    assert float(found.relevance["series"].max()) < 0.05  # the contrast does not depend on it
    volume = found.relevance["volume"].sum(1)
    assert float(volume[:, 0].min()) > 0.95 and float(volume[:, 1:].max()) < 0.05
    assert not found.relevance["numbers"].any()
    assert {"score", "area of series", "area of volume"} == set(found.recorded)
    assert any("numbers" in note for note in found.diagnostics.notes)


def test_inner_layers_are_masked_where_they_have_positions() -> None:
    model, x = network(), images(2)
    inner = LearnedMask(model, size=(5, 4), fill=0.25, steps=8).analyze(x, 1, layer="1")
    hidden = model[:2](x).detach()
    for sample in range(2):
        mask, _ = descended(model[2:], hidden[[sample]], 1, "delete", None, 0, 8)
        assert isinstance(inner.relevance, Tensor)
        torch.testing.assert_close(inner.relevance[sample].sum(0), mask)
    with pytest.raises(InputError, match="positions"):
        LearnedMask(model).analyze(x, 1, layer="4")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_masks_are_learnt_in_float32_of_models_in_less(dtype: torch.dtype) -> None:
    exact = LearnedMask(network(), steps=20, size=4).analyze(images(2), 1).relevance
    found = LearnedMask(network(dtype), steps=20, size=4).analyze(images(2, dtype), 1).relevance
    assert isinstance(exact, Tensor) and isinstance(found, Tensor) and found.dtype == dtype
    assert float((found.double() - exact).abs().mean()) < (1e-4 if dtype == torch.float32 else 0.03)


def test_variants_of_a_fill_take_turns() -> None:
    model, x = network(), images(1)
    variants = images(2) * 0.1
    turned = LearnedMask(model, steps=1, fill=Data(variants)).analyze(x, 1).relevance
    first = LearnedMask(model, steps=1, fill=variants[0]).analyze(x, 1).relevance
    assert torch.equal(turned, first)
    both = LearnedMask(model, steps=6, fill=Data(variants)).analyze(x, 1).relevance
    assert not torch.allclose(both, LearnedMask(model, steps=6, fill=variants[0]).analyze(x, 1).relevance)


def test_ctrl_c_returns_the_masks_as_they_are() -> None:
    class Interrupting(Baseline):
        count = 2
        calls = 0

        def of(self, name: str, x: Tensor, number: int) -> Tensor:
            self.calls += 1
            if self.calls == 8:
                os.kill(os.getpid(), signal.SIGINT)
            return torch.zeros_like(x)

    model, x, engine = network(), images(2), Engine(progress=False)
    found = LearnedMask(model, steps=500, fill=Interrupting()).analyze(x, 1, engine=engine)
    (note,) = [note for note in found.diagnostics.notes if "interrupted" in note]
    assert engine.report.interrupted and "interrupted after 6 of 500 steps" in note
    torch.testing.assert_close(found.relevance, LearnedMask(model, steps=6, fill=0.0).analyze(x, 1).relevance)


def test_the_model_is_left_as_it_was() -> None:
    model = network()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    LearnedMask(model, steps=3).analyze(images(2))
    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert all(parameter.grad is None and parameter.requires_grad for parameter in model.parameters())


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"mode": "deleted"}, "Did you mean 'delete'"),
        ({"area": 0.0}, "area=0.0"),
        ({"area": [0.1, 1.0]}, "area="),
        ({"area": []}, "area="),
        ({"area_weight": -1.0}, "area_weight=-1.0"),
        ({"smoothness": -0.1}, "smoothness=-0.1"),
        ({"beta": 0.5}, "beta=0.5"),
        ({"size": 0}, "size=0"),
        ({"steps": 0}, "steps=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
        ({"jitter": -1}, "jitter=-1"),
        ({"fill": "blurr"}, "fill='blurr'"),
        ({"seed": -1}, "seed=-1"),
    ],
)
def test_wrong_parameters_are_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        LearnedMask(network(), **wrong)


def test_inputs_without_positions_are_refused() -> None:
    with pytest.raises(InputError, match="perturbation.occlusion"):
        LearnedMask(nn.Linear(4, 2)).analyze(torch.randn(2, 4), 0)
    tokens = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(12, 2))
    with pytest.raises(InputError, match="tokens"):
        LearnedMask(tokens).analyze(torch.tensor([[1, 2, 3, 4]]), 0)
    with pytest.raises(ParameterError, match="2 dimensions behind the channels"):
        LearnedMask(network(), size=(3, 3, 3)).analyze(images(1), 0)
    with pytest.raises(InputError):
        LearnedMask(lambda x: x).analyze(images(1), 0)
