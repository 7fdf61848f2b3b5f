"""Code space: a linear decoder with a known optimum, and what the decoder is spared."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_activation_max.codes import CodeSpace
from xai_activation_max.parametrizations import Parametrization
from xaicore.errors import InputError, NotFittedError, ParameterError


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=random(seed), dtype=torch.float64)


def seeded(module: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return module().double()


@pytest.fixture
def linear() -> nn.Linear:
    decoder = seeded(lambda: nn.Linear(3, 5, bias=False))
    assert isinstance(decoder, nn.Linear)
    return decoder


def with_norms_and_dropout() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 5))


def climbed(space: CodeSpace, score: Any, starts: Tensor, rate: float = 0.1, steps: int = 400) -> list[Tensor]:
    leaves = space.leaves(starts, random())
    for _ in range(steps):
        objective = score(space.inputs(leaves)) + space.log_prior(leaves)
        gradients = torch.autograd.grad(objective.sum(), leaves)
        leaves = [
            (leaf + rate * gradient).detach().requires_grad_() for leaf, gradient in zip(leaves, gradients, strict=True)
        ]
    return leaves


@pytest.mark.parametrize("center", ["zero", "mean", "tensor"])
def test_a_linear_score_of_a_linear_decoder_has_its_optimum_where_algebra_says(linear: nn.Linear, center: str) -> None:
    codes, weights, strength = 2 + normal(20, 3, seed=1), normal(5, seed=2), 0.7
    given = codes[0] if center == "tensor" else center
    space = CodeSpace(linear, 3, center=given, strength=strength).fit(codes)
    middle = {"zero": torch.zeros(3, dtype=torch.float64), "mean": codes.mean(0), "tensor": codes[0]}[center]
    # w.(A z) - s |z - m|^2 is largest at z = m + A'w / (2 s).
    best = middle + linear.weight.detach().T @ weights / (2 * strength)
    leaves = climbed(space, lambda x: x @ weights, torch.zeros(4, 5, dtype=torch.float64))
    torch.testing.assert_close(leaves[0].detach(), best.expand(4, 3), rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(space.inputs(leaves).detach(), (linear.weight @ best).detach().expand(4, 5))


def test_a_quadratic_score_has_the_optimum_of_ridge_regression(linear: nn.Linear) -> None:
    goal, strength, a = normal(5, seed=3), 0.3, linear.weight.detach()
    best = torch.linalg.solve(a.T @ a + strength * torch.eye(3, dtype=torch.float64), a.T @ goal)
    score = lambda x: -(x - goal).square().sum(1)  # noqa: E731
    (codes,) = climbed(CodeSpace(linear, 3, strength=strength), score, torch.zeros(2, 5, dtype=torch.float64))
    torch.testing.assert_close(codes.detach(), best.expand(2, 3), rtol=1e-8, atol=1e-8)


def test_code_space_is_a_parametrization(linear: nn.Linear) -> None:
    assert isinstance(CodeSpace(linear, 3), Parametrization)


def test_codes_start_around_the_centre(linear: nn.Linear) -> None:
    starts = torch.zeros(4000, 5, dtype=torch.float64)
    middle = torch.tensor([1.0, -2.0, 3.0])
    (codes,) = CodeSpace(linear, 3, center=middle, spread=0.5).leaves(starts, random())
    assert codes.is_leaf and codes.requires_grad and codes.shape == (4000, 3)
    torch.testing.assert_close(codes.detach().mean(0), middle.double(), rtol=0, atol=0.05)
    torch.testing.assert_close(codes.detach().std(0), torch.full((3,), 0.5).double(), rtol=0.05, atol=0)
    (again,) = CodeSpace(linear, 3, center=middle, spread=0.5).leaves(starts, random())
    assert torch.equal(codes, again)
    (still,) = CodeSpace(linear, 3, center=middle, spread=0).leaves(starts, random())
    assert torch.equal(still.detach(), middle.double().expand(4000, 3))


def test_the_mean_is_that_of_all_codes_in_whatever_batches() -> None:
    codes = 3 + normal(100, 2, 3)
    decoder = nn.Flatten()
    for data in (codes, codes.numpy(), iter(codes.split([1, 60, 39]))):
        learnt = CodeSpace(decoder, (2, 3), center="mean").fit(data).mean_
        torch.testing.assert_close(learnt, codes.mean(0), rtol=1e-12, atol=1e-12)


def test_a_code_may_have_several_dimensions() -> None:
    space = CodeSpace(seeded(lambda: nn.ConvTranspose2d(6, 2, 4)), (6, 1, 1), strength=2.0)
    leaves = space.leaves(torch.zeros(3, 2, 4, 4), random())
    assert leaves[0].shape == (3, 6, 1, 1) and space.inputs(leaves).shape == (3, 2, 4, 4)
    torch.testing.assert_close(space.log_prior(leaves), -2 * leaves[0].square().sum((1, 2, 3)))
    space.check((2, 4, 4))


def test_the_decoder_runs_in_evaluation_mode_and_is_left_as_it_was() -> None:
    decoder = seeded(with_norms_and_dropout).train()
    decoder[2].eval()  # modes may differ from part to part
    before = {name: value.clone() for name, value in decoder.state_dict().items()}
    modes = [part.training for part in decoder.modules()]
    space = CodeSpace(decoder, 3)
    space.check((5,))
    leaves = space.leaves(torch.zeros(7, 5, dtype=torch.float64), random())
    made = space.inputs(leaves)
    (made.sum() + space.log_prior(leaves).sum()).backward()
    assert leaves[0].grad is not None and bool(leaves[0].grad.abs().sum() > 0)
    assert all(value.grad is None and value.requires_grad for value in decoder.parameters())
    assert [part.training for part in decoder.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in decoder.state_dict().items())
    torch.testing.assert_close(made, decoder.eval()(leaves[0]))


def test_modes_are_put_back_when_the_decoder_fails() -> None:
    decoder = seeded(with_norms_and_dropout).train()
    with pytest.raises(ParameterError, match="does not take a code"):
        CodeSpace(decoder, 4).check((5,))
    assert all(part.training for part in decoder.modules())


def test_a_decoder_that_counts_its_calls_in_a_buffer_is_not_counted_up() -> None:
    class Counting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, code: Tensor) -> Tensor:
            self.calls += 1
            return code

    decoder = Counting()
    CodeSpace(decoder, 3).check((3,))
    assert float(decoder.calls) == 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_codes_and_inputs_have_the_type_of_the_starts(linear: nn.Linear, dtype: torch.dtype) -> None:
    space = CodeSpace(linear, 3)  # a decoder in double precision, whatever the model's type
    leaves = space.leaves(torch.zeros(4, 5, dtype=dtype), random())
    assert leaves[0].dtype == space.inputs(leaves).dtype == space.log_prior(leaves).dtype == dtype


def test_prototypes_do_not_depend_on_each_other() -> None:
    space = CodeSpace(seeded(with_norms_and_dropout), 3)
    leaves = space.leaves(torch.zeros(33, 5, dtype=torch.float64), random())
    singly = torch.cat([space.inputs([each[None]]) for each in leaves[0]])
    torch.testing.assert_close(space.inputs(leaves), singly)


def test_a_decoder_that_does_not_fit_is_refused_with_both_shapes(linear: nn.Linear) -> None:
    with pytest.raises(ParameterError, match=r"makes \(1, 5\) of one code of size 3, and the model takes \(1, 1, 8\)"):
        CodeSpace(linear, 3).check((1, 8))
    with pytest.raises(ParameterError, match=r"does not take a code of shape \(1, 4\)"):
        CodeSpace(linear, 4).check((5,))
    pair = nn.LSTM(3, 5)
    with pytest.raises(ParameterError, match="LSTM returns tuple; it must return one tensor"):
        CodeSpace(pair, 3).check((5,))


def test_the_mean_of_no_codes_is_refused(linear: nn.Linear) -> None:
    space = CodeSpace(linear, 3, center="mean")
    for ask in (lambda: space.check((5,)), lambda: space.leaves(torch.zeros(2, 5), random())):
        with pytest.raises(NotFittedError, match=r"call fit\(codes\)"):
            ask()


def test_codes_that_do_not_fit_are_refused(linear: nn.Linear) -> None:
    space = CodeSpace(linear, 3)
    with pytest.raises(InputError, match=r"codes have shape \(3,\), and those given for fitting \(4,\)"):
        space.fit(torch.zeros(2, 4))
    with pytest.raises(InputError, match="NaN"):
        space.fit(torch.full((2, 3), torch.nan))
    with pytest.raises(InputError, match="empty"):
        space.fit(torch.zeros(0, 3))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"decoder": lambda code: code}, "must be a torch.nn.Module"),
        ({"code_size": 0}, "code_size=0"),
        ({"code_size": (3, 1.5)}, "code_size=1.5"),
        ({"center": "men"}, "Did you mean 'mean'"),
        ({"center": torch.zeros(4)}, r"of shape \(4,\)"),
        ({"center": 0.0}, "center=0.0"),
        ({"center": torch.full((3,), torch.nan)}, "NaN"),
        ({"strength": -1.0}, "strength=-1.0"),
        ({"spread": -1.0}, "spread=-1.0"),
    ],
)
def test_parameters_out_of_range_are_refused(linear: nn.Linear, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        CodeSpace(**{"decoder": linear, "code_size": 3} | options)


def test_a_code_space_shows_its_parameters(linear: nn.Linear) -> None:
    assert repr(CodeSpace(linear, 3, center="mean")) == (
        "CodeSpace(Linear, code_size=3, center='mean', strength=1.0, spread=1.0)"
    )
