"""Priors and parametrizations by themselves: values against loops, round trips, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_activation_max import (
    L2,
    Density,
    Fourier,
    Locality,
    Lp,
    Parametrization,
    Pixels,
    Prior,
    PrototypeSearch,
    ToMean,
    TotalVariation,
)
from xai_activation_max.parametrizations import colour_of
from xai_activation_max.transforms import Transforms
from xaicore.errors import ParameterError


def _sum(out: Tensor) -> Tensor:
    return out.flatten(1).sum(1)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def test_distances_are_what_their_formulas_say() -> None:
    x, centre = random(3, 2, 4), random(2, 4, seed=1)
    assert torch.allclose(L2(0.3).log_prior(x), -0.3 * (x**2).sum((1, 2)))
    assert torch.allclose(Lp(0.3, 4).log_prior(x), -0.3 * (x**4).sum((1, 2)))
    assert torch.allclose(ToMean(0.3, centre).log_prior(x), -0.3 * ((x - centre) ** 2).sum((1, 2)))
    own = random(3, 2, 4, seed=2)
    assert torch.allclose(Locality(0.3, own).log_prior(x), -0.3 * ((x - own) ** 2).sum((1, 2)))


def test_restarts_and_several_prototypes_of_a_sample_share_its_centre() -> None:
    model, own = nn.Linear(4, 2).double(), random(2, 4, seed=2)
    search = PrototypeSearch(model, prior=ToMean(1.0, own), steps=3, restarts=3)
    found = search.search((4,), [0, 1])
    assert torch.allclose(found.prior, -((found.inputs - own) ** 2).sum(1))
    several = search.search((4,), [0, 1], count=2)
    assert torch.allclose(several.prior, -((several.inputs - own.repeat_interleave(2, 0)) ** 2).sum(1))
    with pytest.raises(ParameterError, match="mean of ToMean holds 2 tensors, .* among 9 attempts"):
        search.search((4,), [0, 1, 1])


@pytest.mark.parametrize("power", [1.0, 2.0, 3.0])
def test_total_variation_sums_the_lengths_of_differences(power: float) -> None:
    x = random(1, 2, 3, 4)
    total = 0.0
    for channel in range(2):
        for row in range(3):
            for column in range(4):
                down = float(x[0, channel, row + 1, column] - x[0, channel, row, column]) if row < 2 else 0.0
                right = float(x[0, channel, row, column + 1] - x[0, channel, row, column]) if column < 3 else 0.0
                total += math.hypot(down, right) ** power
    assert float(TotalVariation(0.5, power).log_prior(x)) == pytest.approx(-0.5 * total, rel=1e-5)


def test_total_variation_of_series_and_of_what_is_flat() -> None:
    x = random(2, 3, 7).requires_grad_()
    assert torch.allclose(TotalVariation(1.0).log_prior(x), -x.diff(dim=2).abs().sum((1, 2)), atol=1e-4)
    flat = torch.ones(1, 1, 4, 4, dtype=torch.float64, requires_grad=True)
    TotalVariation(1.0).log_prior(flat).sum().backward()
    assert flat.grad is not None and bool(torch.isfinite(flat.grad).all()) and float(flat.grad.abs().max()) == 0


def test_total_variation_makes_prototypes_smooth() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 2)).double()
    rough, smooth = (
        PrototypeSearch(model, objective="logit", strength=0.5, total_variation=strength, steps=150).search(
            (1, 8, 8), 0
        )
        for strength in (0.0, 0.2)
    )
    measure = TotalVariation(1.0)
    assert float(measure.log_prior(smooth.inputs)) > 0.5 * float(measure.log_prior(rough.inputs))


def test_a_density_is_a_function_or_an_expert() -> None:
    class Normal:
        def log_density(self, x: Tensor) -> Tensor:
            return -x.flatten(1).square().sum(1)

        def check(self, shape: tuple[int, ...]) -> None:
            if shape != (2,):
                raise ParameterError(f"fitted to (2,), not {shape}")

    x = random(4, 2)
    for given in (Normal(), lambda x: -x.flatten(1).square().sum(1)):
        assert torch.allclose(Density(given, 0.5).log_prior(x), -0.5 * x.square().sum(1))
    with pytest.raises(ParameterError, match=r"fitted to \(2,\), not \(3,\)"):
        PrototypeSearch(nn.Linear(3, 2), prior=Normal()).search((3,), 0)
    assert isinstance(Density(Normal()), Prior)


@pytest.mark.parametrize("wrong", [lambda x: x.sum(), lambda x: 1.0, lambda x: x])
def test_a_density_that_is_not_one_number_an_input_is_refused(wrong: Any) -> None:
    with pytest.raises(ParameterError, match="it must return the log of the density of each"):
        PrototypeSearch(nn.Linear(3, 2), prior=wrong).search((3,), 0)


def test_a_density_that_becomes_nan_is_named() -> None:
    with pytest.raises(ParameterError, match=r"the prior Density\(.*is NaN for prototype 1, whose values lie between"):
        PrototypeSearch(nn.Linear(3, 2), prior=lambda x: x.sum(1) * torch.tensor([1.0, math.nan])).search((3,), [0, 1])


def test_a_score_that_becomes_infinite_is_named() -> None:
    class Steep(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.exp(x.square().sum(1, keepdim=True) + 1)

    search = PrototypeSearch(Steep(), objective="logit", prior="none", optimizer="sgd", learning_rate=10.0)
    with pytest.raises(
        ParameterError, match=r"class 0 is no longer finite at step \d+: logit inf.*Lower learning_rate="
    ):
        search.search((3,))


@pytest.mark.parametrize("shape", [(1, 9), (3, 8, 7), (2, 3, 4, 5)])
@pytest.mark.parametrize("decay", [0.0, 1.0])
def test_the_spectrum_of_an_input_gives_the_input_back(shape: tuple[int, ...], decay: float) -> None:
    starts = random(4, *shape)
    for each in (Fourier(decay=decay), Fourier((-9.0, 9.0), decay=decay), Pixels(), Pixels((-9, 9), keep="sigmoid")):
        leaves = each.leaves(starts, torch.Generator())
        assert all(leaf.is_leaf and leaf.requires_grad and len(leaf) == 4 for leaf in leaves)
        assert torch.allclose(each.inputs(leaves), starts, atol=1e-9)
        assert torch.equal(each.log_prior(leaves), torch.zeros(4, dtype=torch.float64))
        assert isinstance(each, Parametrization)


def test_a_step_in_the_spectrum_favours_low_frequencies() -> None:
    shape = (1, 1, 16)
    fourier = Fourier(decay=1.0)
    leaves = fourier.leaves(torch.zeros(shape, dtype=torch.float64), torch.Generator())
    push = random(*shape)
    (gradient,) = torch.autograd.grad((fourier.inputs(leaves) * push).sum(), leaves)
    moved = fourier.inputs([leaves[0] + gradient]).detach()
    ratio = torch.fft.rfft(moved).abs() / torch.fft.rfft(push).abs()
    assert bool((ratio[0, 0, 1:-1] > ratio[0, 0, 2:]).all())  # falls with frequency: scaled by 1 / f twice
    assert float(ratio[0, 0, 1] / ratio[0, 0, 4]) == pytest.approx(16.0)


def test_colours_may_be_decorrelated_by_those_of_the_data() -> None:
    mixing = torch.tensor([[1.0, 0.0, 0.0], [0.9, 0.2, 0.0], [0.5, 0.1, 0.3]], dtype=torch.float64)
    images = torch.einsum("dc,nchw->ndhw", mixing, random(50, 3, 6, 6))
    root = colour_of(images)
    covariance = torch.cov(images.transpose(0, 1).flatten(1))
    share = root @ root / covariance
    assert torch.allclose(share, share[0, 0].expand(3, 3), rtol=1e-6)
    fourier = Fourier(colour=root)
    assert torch.allclose(fourier.inputs(fourier.leaves(images, torch.Generator())), images, atol=1e-9)
    for wrong in (torch.zeros(3, 3), torch.ones(3), torch.full((3, 3), math.nan)):
        with pytest.raises(ParameterError, match="colour="):
            Fourier(colour=wrong)
    with pytest.raises(ParameterError, match="colour= is for 3 channels"):
        fourier.check((1, 6, 6))


def test_bounds_may_differ_by_channel_and_by_entry() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(18, 2)).double()
    low, high = torch.tensor([-1.0, -2.0]), torch.tensor([1.0, 2.0])
    for parametrization in ("pixels", "fourier"):
        search = PrototypeSearch(
            model, objective="logit", prior="none", bounds=(low, high), parametrization=parametrization, steps=60,
            learning_rate=0.5,
        )  # fmt: skip
        found = search.search((2, 3, 3), 0).inputs
        assert bool((found[:, 0].abs() <= 1).all()) and bool((found[:, 1].abs() <= 2).all())
        assert float(found[:, 1].abs().max()) > 1.2
    entry = torch.rand(2, 3, 3)
    found = PrototypeSearch(model, prior="none", bounds=(-entry, entry + 0.1)).search((2, 3, 3), 1).inputs
    assert bool(((found >= -entry - 1e-6) & (found <= entry + 0.1 + 1e-6)).all())


@pytest.mark.parametrize(
    ("bounds", "message"),
    [
        ((1, 0), "the lower bound must be below the upper one"),
        ((0, math.inf), "must be finite"),
        (3, r"give \(low, high\)"),
        (("a", "b"), r"give \(low, high\)"),
        ((torch.zeros(2), torch.ones(3)), "shapes that do not fit"),
    ],
)
def test_bounds_that_are_none_are_refused(bounds: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PrototypeSearch(nn.Linear(2, 2), bounds=bounds)


def test_bounds_that_do_not_fit_the_inputs_are_refused() -> None:
    with pytest.raises(ParameterError, match=r"bounds= has \(4,\) entries"):
        PrototypeSearch(nn.Conv2d(3, 1, 1), bounds=(torch.zeros(4), torch.ones(4))).search((3, 5, 5), _sum)


def test_random_changes_shift_scale_and_turn() -> None:
    x = random(2, 1, 7, 7)
    shifted = Transforms(3, 0.0, 0.0, 0).at(x, 5)
    assert not torch.equal(shifted, x) and torch.equal(shifted.flatten().sort().values, x.flatten().sort().values)
    flat = torch.full((1, 2, 6, 9), 2.5, dtype=torch.float64)
    assert torch.allclose(Transforms(0, 0.3, 40.0, 0).at(flat, 1), flat)
    same = Transforms(0, 1e-12, 0.0, 0).at(x, 3)
    assert torch.allclose(same, x, atol=1e-9)
    line = torch.arange(9.0, dtype=torch.float64).expand(1, 1, 9)
    scaled = Transforms(0, 0.5, 0.0, 0).at(line, 2)[0, 0]
    assert float(scaled[4]) == pytest.approx(4.0) and float(scaled[5] - scaled[4]) != pytest.approx(1.0, abs=1e-3)


def test_a_quarter_turn_is_a_quarter_turn_of_images_of_any_shape() -> None:
    from xai_activation_max.transforms import _resampled

    x = random(1, 2, 6, 6)
    turned = _resampled(x, 1.0, math.pi / 2)
    assert any(torch.allclose(turned, torch.rot90(x, k, (2, 3)), atol=1e-6) for k in (1, 3))
    half = _resampled(random(1, 1, 4, 7), 1.0, math.pi)
    assert torch.allclose(half, random(1, 1, 4, 7).flip(2, 3), atol=1e-6)
    # A point of a wide image keeps its distance from the middle.
    wide = torch.zeros(1, 1, 9, 21, dtype=torch.float64)
    wide[0, 0, 4, 13] = 1
    at = _resampled(wide, 1.0, math.pi / 2)[0, 0].nonzero()
    assert len(at) and float((at.double() - torch.tensor([4.0, 10.0])).norm(dim=1).min()) == pytest.approx(3.0, abs=0.1)


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"jitter": 1}, (4,), "jitter: samples of shape .* no positions behind the channels"),
        ({"scale": 0.1, "rotation": 5.0}, (4,), "scale, rotation: samples of shape"),
        ({"rotation": 5.0}, (1, 9), "rotation= is for images"),
        ({"jitter": 4}, (1, 4), "by more than their own length"),
        ({"parametrization": "fourier"}, (4,), "no frequencies"),
        ({"total_variation": 0.1}, (4,), "compares neighbours"),
    ],
)
def test_what_needs_positions_refuses_inputs_without(
    options: dict[str, Any], shape: tuple[int, ...], message: str
) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(math.prod(shape), 2))
    with pytest.raises(ParameterError, match=message):
        PrototypeSearch(model, **options).search(shape, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prior": "experts"}, "prior='experts' is not known.*Did you mean 'expert'"),
        ({"prior": L2}, r"prior=L2 is a class: give an object, such as L2\(...\)"),
        ({"prior": ["l2", 3]}, "prior=3 is not known"),
        ({"prior": L2(1.0), "strength": 0.1}, r"as in L2\(strength=0.1\)"),
        ({"strength": -1.0}, "strength=-1.0 must be a number of at least 0"),
        ({"parametrization": "fourrier"}, "Did you mean 'fourier'"),
        ({"parametrization": Pixels(), "bounds": (0, 1)}, r"say it there, as in Pixels\(bounds=\(0, 1\)\)"),
        ({"objective": "probability"}, "objective='probability' is not known"),
        ({"optimizer": "adamw"}, "Did you mean 'adam'"),
        ({"optimizer": "lbfgs", "bounds": (0, 1)}, "keep='sigmoid'"),
        ({"optimizer": "lbfgs", "jitter": 1}, "leave jitter, scale, rotation and diversity at 0"),
        ({"optimizer": torch.optim.SGD, "learning_rate": 0.1}, "a function sets its own"),
        ({"steps": 0}, "steps=0"),
        ({"restarts": 1.5}, "restarts=1.5"),
        ({"learning_rate": 0}, "learning_rate=0"),
        ({"scale": 1.0}, "scale=1.0 must be a number of at least 0 and less than 1"),
        ({"patience": 0}, "patience=0"),
        ({"tolerance": math.nan}, "tolerance=nan"),
        ({"start": "cluster"}, "Did you mean 'clusters'"),
        ({"seed": -1}, "seed=-1"),
        ({"jitter": True}, "jitter=True"),
    ],
)
def test_parameters_that_make_no_sense_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        PrototypeSearch(nn.Linear(2, 2), **options)


@pytest.mark.parametrize(
    "make",
    [
        lambda: L2(-1.0),
        lambda: Lp(1.0, 0.5),
        lambda: TotalVariation(1.0, 0.0),
        lambda: ToMean(1.0, torch.full((3,), math.nan)),
        lambda: ToMean(1.0, "class"),
        lambda: Density(3),
        lambda: Pixels(keep="sigmoid"),
        lambda: Pixels((0, 1), keep="fold"),
        lambda: Fourier(decay=-1.0),
    ],
)
def test_priors_and_parametrizations_refuse_what_makes_no_sense(make: Any) -> None:
    with pytest.raises(ParameterError):
        make()


def test_a_mean_of_another_shape_is_refused() -> None:
    with pytest.raises(
        ParameterError, match=r"mean of ToMean has shape \(4,\); the inputs have samples of shape \(3,\)"
    ):
        PrototypeSearch(nn.Linear(3, 2), prior=ToMean(1.0, torch.zeros(4))).search((3,), 0)


def test_a_parametrization_that_makes_inputs_of_another_shape_is_refused() -> None:
    class Short(Pixels):
        def inputs(self, leaves: list[Tensor]) -> Tensor:
            return leaves[0][:, :2]

    with pytest.raises(ParameterError, match=r"makes inputs of shape \(1, 2\); the model takes \(1, 3\)"):
        PrototypeSearch(nn.Linear(3, 2), parametrization=Short()).search((3,), 0)


def test_everything_says_what_it_is() -> None:
    for each in (
        L2(0.1),
        Lp(0.1, 3),
        ToMean(0.1, torch.zeros(2)),
        TotalVariation(0.1),
        Density(len),
        Pixels((0, 1)),
        Fourier(),
    ):
        assert repr(each).startswith(type(each).__name__)
