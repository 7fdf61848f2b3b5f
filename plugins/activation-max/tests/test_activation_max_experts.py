"""Experts against scikit-learn, against sums over all hidden states, and against finite differences."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from sklearn import mixture
from torch import Tensor

import xaicore
from xai_activation_max.experts import Expert, GaussianMixture, GaussianRBM
from xaicore.errors import FileError, InputError, NotFittedError, ParameterError

COVARIANCES = ("full", "tied", "diag", "spherical")


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=random(seed), dtype=torch.float64)


def two_clouds(count: int = 300, shape: tuple[int, ...] = (4,), spread: float = 0.3) -> Tensor:
    """Samples from two clouds around (2, 2, ...) and (-1, -1, ...)."""
    sides = torch.where(torch.rand(count, generator=random(1)) < 0.5, 2.0, -1.0).double()
    return sides.view(-1, *[1] * len(shape)) + spread * normal(count, *shape, seed=2)


def small_machine(**options: Any) -> GaussianRBM:
    return GaussianRBM(**{"hidden": 3, "epochs": 5, "batch_size": 50} | options)


FITTED: dict[str, Callable[[], Expert]] = {
    "machine": lambda: small_machine().fit(two_clouds(100)),
    "machine with a given sigma": lambda: small_machine(sigma=0.5).fit(two_clouds(100)),
    **{
        f"{kind} mixture": lambda kind=kind: GaussianMixture(components=3, covariance=kind).fit(two_clouds(100))
        for kind in COVARIANCES
    },
}


@pytest.fixture(params=list(FITTED))
def expert(request: pytest.FixtureRequest) -> Expert:
    return FITTED[request.param]()


def energies(machine: GaussianRBM, x: Tensor) -> Tensor:
    """E(x, h) for each input and each of all hidden states, one by one: (N, 2^hidden)."""
    weights, a, b = machine.weights_, machine.visible_bias_, machine.hidden_bias_
    variance = float(machine.sigma_) ** 2
    rows = []
    for each in x:
        row = []
        for state in itertools.product([0.0, 1.0], repeat=len(b)):
            energy = 0.0
            for i in range(len(a)):
                away = float(each[i] - a[i])
                energy += away**2 / (2 * variance)
                energy -= sum(away * float(weights[i, j]) * h / variance for j, h in enumerate(state))
            energy -= sum(float(b[j]) * h for j, h in enumerate(state))
            row.append(energy)
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64)


def exact_log_likelihood(machine: GaussianRBM, x: Tensor) -> Tensor:
    """Mean log p(x), normalised: of the mixture of 2^hidden normal densities that the machine is."""
    states = torch.tensor(list(itertools.product([0.0, 1.0], repeat=len(machine.hidden_bias_))), dtype=torch.float64)
    sigma = machine.sigma_
    from_bias = states @ machine.weights_.T
    log_weights = (states @ machine.hidden_bias_ + from_bias.square().sum(1) / (2 * sigma**2)).log_softmax(0)
    parts = torch.distributions.Normal(machine.visible_bias_ + from_bias, sigma).log_prob(x[:, None]).sum(2)
    return torch.logsumexp(log_weights + parts, 1).mean()


def test_the_density_of_a_machine_sums_over_all_hidden_states() -> None:
    machine = small_machine(hidden=5).fit(two_clouds(100))
    x = normal(6, 4, seed=5)
    expected = torch.logsumexp(-energies(machine, x), 1)
    torch.testing.assert_close(machine.log_density(x), expected, rtol=1e-10, atol=1e-10)


def test_a_machine_differs_from_the_normalised_density_by_a_constant_only() -> None:
    machine = small_machine().fit(two_clouds(100))
    x = normal(50, 4, seed=6)
    normalised = torch.stack([exact_log_likelihood(machine, each[None]) for each in x])
    assert float((machine.log_density(x) - normalised).std()) < 1e-10


@pytest.mark.parametrize(
    ("options", "spread"),
    [
        ({"gibbs_steps": 1}, 0.3),
        ({"gibbs_steps": 5}, 0.3),
        ({"persistent": True}, 1.0),  # chains that do not begin at the data have to find the way from cloud to cloud
    ],
    ids=str,
)
def test_training_raises_the_exact_likelihood(options: dict[str, Any], spread: float) -> None:
    data, others = two_clouds(600, spread=spread).chunk(2)
    likelihoods = [
        exact_log_likelihood(small_machine(hidden=4, epochs=epochs, learning_rate=0.02, **options).fit(data), others)
        for epochs in (1, 5, 80)
    ]
    assert likelihoods[0] < likelihoods[1] < likelihoods[2]
    one, two = (
        mixture.GaussianMixture(count, covariance_type="spherical").fit(data.numpy()).score(others.numpy())
        for count in (1, 2)
    )
    assert float(likelihoods[2]) > one + 0.75 * (two - one)  # it has found out that there are two clouds


def test_training_reaches_the_parameters_of_the_machine_that_made_the_data() -> None:
    on = (torch.rand(2000, 1, generator=random(3)) < 0.4).double()
    step = torch.tensor([[1.5, 0.0, -1.0]], dtype=torch.float64)
    data = 5 + on @ step + 0.25 * normal(2000, 3, seed=4)
    machine = GaussianRBM(hidden=1, epochs=40, learning_rate=0.02).fit(data)
    assert float(machine.sigma_) == pytest.approx(0.25, rel=0.1)
    # The hidden unit may be on for either cloud.
    torch.testing.assert_close(machine.weights_[:, 0].abs(), step[0].abs(), rtol=0.1, atol=0.1)
    assert float(exact_log_likelihood(machine, data)) > mixture.GaussianMixture(2).fit(data).score(data) - 0.2


def test_a_given_sigma_stays() -> None:
    assert float(small_machine(sigma=0.7).fit(two_clouds()).sigma_) == pytest.approx(0.7, abs=1e-12)


def test_weight_decay_makes_weights_smaller() -> None:
    free, decayed = (small_machine(epochs=20, weight_decay=decay).fit(two_clouds()) for decay in (0.0, 1.0))
    assert float(decayed.weights_.norm()) < 0.5 * float(free.weights_.norm())


def test_a_machine_follows_the_units_of_the_data() -> None:
    data = two_clouds()
    plain, scaled = small_machine().fit(data), small_machine().fit(100 * data - 30)
    x = normal(5, 4)
    torch.testing.assert_close(plain.log_density(x), scaled.log_density(100 * x - 30))


@pytest.mark.parametrize("kind", COVARIANCES)
def test_a_mixture_is_that_of_scikit_learn(kind: str) -> None:
    data, x = two_clouds(200), 2 * normal(40, 4, seed=7)
    ours = GaussianMixture(components=3, covariance=kind, reg_covar=1e-4, seed=1).fit(data)
    theirs = mixture.GaussianMixture(3, covariance_type=kind, reg_covar=1e-4)
    theirs.weights_, theirs.means_ = ours.log_weights_.exp().numpy(), ours.means_.numpy()
    theirs.precisions_cholesky_ = ours.precisions_cholesky_.numpy()
    expected = torch.from_numpy(theirs.score_samples(x.numpy()))
    torch.testing.assert_close(ours.log_density(x), expected, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("kind", COVARIANCES)
def test_a_mixture_is_normalised(kind: str) -> None:
    expert = GaussianMixture(components=2, covariance=kind).fit(two_clouds(100, (2,)))
    axis = torch.linspace(-4, 5, 400, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    integral = expert.log_density(points).exp().sum() * (axis[1] - axis[0]) ** 2
    assert float(integral) == pytest.approx(1, abs=1e-3)


def test_a_mixture_finds_the_clouds() -> None:
    centres = GaussianMixture(components=2).fit(two_clouds(400, (2, 3))).centres
    assert centres.shape == (2, 2, 3)
    low, high = sorted(centres, key=lambda each: float(each.sum()))
    torch.testing.assert_close(low, torch.full_like(low, -1), rtol=0, atol=0.1)
    torch.testing.assert_close(high, torch.full_like(high, 2), rtol=0, atol=0.1)


def test_the_centre_of_a_machine_is_the_mean_of_the_data() -> None:
    data = two_clouds(100, (2, 3))
    torch.testing.assert_close(small_machine().fit(data).centres, data.mean(0, keepdim=True))


def test_gradients_are_finite_differences(expert: Expert) -> None:
    x = normal(4, 4, seed=8).requires_grad_()
    assert torch.autograd.gradcheck(expert.log_density, (x,))
    assert torch.autograd.gradgradcheck(expert.log_density, (x,))


def test_data_is_more_likely_than_shuffled_data_and_noise() -> None:
    # All four values of a sample are near each other, which shuffled ones are not.
    data, others = two_clouds(600).chunk(2)
    shuffled = torch.stack([column[torch.randperm(300, generator=random(i))] for i, column in enumerate(others.T)], 1)
    noise = others.mean() + others.std() * normal(300, 4, seed=9)
    for expert in (GaussianRBM(hidden=8, epochs=60).fit(data), GaussianMixture(components=2).fit(data)):
        likely = expert.log_density(others).mean()
        assert likely > expert.log_density(shuffled).mean() + 2
        assert likely > expert.log_density(noise).mean() + 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str)
def test_the_result_has_the_type_of_the_input(expert: Expert, dtype: torch.dtype) -> None:
    x = normal(5, 4).to(dtype).requires_grad_()
    found = expert.log_density(x)
    assert found.dtype == dtype and found.shape == (5,)
    exact = expert.log_density(x.detach().double())
    torch.testing.assert_close(found.double(), exact, rtol={torch.bfloat16: 8e-3}.get(dtype, 1e-5), atol=1e-4)
    (gradient,) = torch.autograd.grad(found.sum(), x)
    assert gradient.dtype == dtype and bool(torch.isfinite(gradient).all())


def test_inputs_are_judged_one_by_one(expert: Expert) -> None:
    x = normal(33, 4)
    singly = torch.cat([expert.log_density(each[None]) for each in x])
    torch.testing.assert_close(expert.log_density(x), singly, rtol=1e-12, atol=1e-12)
    assert expert.log_density(x[:0]).shape == (0,)


def test_samples_may_have_any_shape() -> None:
    data = two_clouds(100, (1, 2, 3))
    for make in (small_machine, lambda: GaussianMixture(components=2)):
        flat, shaped = make().fit(data.flatten(1)), make().fit(data)
        torch.testing.assert_close(shaped.log_density(data), flat.log_density(data.flatten(1)))
        assert shaped.centres.shape[1:] == (1, 2, 3)


@pytest.mark.parametrize("make", [small_machine, lambda **options: GaussianMixture(components=3, **options)])
def test_the_same_seed_gives_the_same_density(make: Callable[..., Expert]) -> None:
    x = normal(5, 4)
    first, second, other = (make(seed=seed).fit(normal(60, 4, seed=3)).log_density(x) for seed in (0, 0, 1))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_fitting_leaves_the_global_random_state_alone() -> None:
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    small_machine().fit(two_clouds(50))
    GaussianMixture(components=2).fit(two_clouds(50))
    assert torch.equal(torch.get_rng_state(), torch_state) and np.array_equal(np.random.get_state()[1], numpy_state)


@pytest.mark.parametrize("make", [small_machine, lambda: GaussianMixture(components=2)])
def test_data_may_come_in_any_form(make: Callable[[], Expert]) -> None:
    data, x = two_clouds(90), normal(5, 4)
    expected = make().fit(data).log_density(x)
    loader = torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(data, torch.zeros(90, dtype=torch.long)), batch_size=40
    )
    forms = [data.numpy(), (part for part in data.split(25)), xaicore.batches(loader, inputs=0)]
    for form in forms:
        assert torch.equal(make().fit(form).log_density(x), expected)


def test_fitting_anew_forgets_what_was_learnt() -> None:
    x = normal(5, 4)
    twice = GaussianMixture(components=2).fit(two_clouds())
    twice.log_density(x)
    twice.fit(normal(100, 4))
    assert torch.equal(twice.log_density(x), GaussianMixture(components=2).fit(normal(100, 4)).log_density(x))


def test_a_file_gives_the_same_expert(expert: Expert, tmp_path: Path) -> None:
    path = expert.save(tmp_path / "expert.safetensors")
    assert [each.name for each in tmp_path.iterdir()] == ["expert.safetensors"]
    for load in (Expert.load, type(expert).load):
        loaded = load(path)
        assert type(loaded) is type(expert) and repr(loaded) == repr(expert) and loaded.shape_ == expert.shape_
        assert torch.equal(loaded.log_density(normal(5, 4)), expert.log_density(normal(5, 4)))
        assert torch.equal(loaded.centres, expert.centres)


def test_files_that_hold_no_such_expert_are_refused(tmp_path: Path) -> None:
    path = GaussianMixture(components=2).fit(two_clouds()).save(tmp_path / "mixture.safetensors")
    with pytest.raises(FileError, match="as GaussianRBM: it holds 'GaussianMixture'"):
        GaussianRBM.load(path)
    with pytest.raises(FileError, match="no such file"):
        Expert.load(tmp_path / "none")
    with pytest.raises(FileError, match="it is a folder"):
        Expert.load(tmp_path)
    with pytest.raises(FileError, match=r"the folder .* does not exist"):
        Expert.load(path).save(tmp_path / "none" / "mixture.safetensors")
    text = tmp_path / "text"
    text.write_text("not tensors")
    with pytest.raises(FileError, match="it is no safetensors file"):
        Expert.load(text)
    save_file({"a": torch.zeros(1)}, tmp_path / "others.safetensors")
    with pytest.raises(FileError, match="holds no expert"):
        Expert.load(tmp_path / "others.safetensors")
    header = {"format": 1, "expert": "GaussianMixture", "parameters": {"components": 2}, "shape": [4]}
    save_file({"a": torch.zeros(1)}, tmp_path / "parts", metadata={"xaicore_expert": json.dumps(header)})
    with pytest.raises(FileError, match="damaged or incomplete"):
        Expert.load(tmp_path / "parts")
    save_file({"a": torch.zeros(1)}, tmp_path / "new", metadata={"xaicore_expert": json.dumps(header | {"format": 9})})
    with pytest.raises(FileError, match="reads formats up to 1"):
        Expert.load(tmp_path / "new")


def test_other_shapes_are_refused_with_both_named(expert: Expert) -> None:
    for ask in (lambda: expert.check((1, 5)), lambda: expert.log_density(torch.zeros(2, 1, 5))):
        with pytest.raises(ParameterError, match=r"samples of shape \(4,\), and the inputs have shape \(1, 5\)"):
            ask()
    expert.check((4,))
    with pytest.raises(InputError, match="int64; make them floating-point"):
        expert.log_density(torch.zeros(2, 4, dtype=torch.long))


def test_an_expert_that_has_learnt_nothing_says_so(tmp_path: Path) -> None:
    for expert in (GaussianRBM(), GaussianMixture()):
        for ask in (
            lambda expert=expert: expert.log_density(torch.zeros(1, 4)),
            lambda expert=expert: expert.check((4,)),
            lambda expert=expert: expert.centres,
            lambda expert=expert: expert.save(tmp_path / "expert"),
        ):
            with pytest.raises(NotFittedError, match=r"call fit\(data\)"):
                ask()


def test_data_that_teaches_nothing_is_refused() -> None:
    for expert in (small_machine(), GaussianMixture(components=3)):
        with pytest.raises(InputError, match="is empty"):
            expert.fit(torch.zeros(0, 4))
        with pytest.raises(InputError, match="yields no batch"):
            expert.fit(iter([]))
        with pytest.raises(InputError, match="NaN"):
            expert.fit(torch.full((5, 4), torch.nan))
        with pytest.raises(InputError, match="batch 1 have shape"):
            expert.fit(iter([torch.zeros(5, 4), torch.zeros(5, 3)]))
        with pytest.raises(InputError, match=r"batches\(loader, inputs=0\)"):
            expert.fit(iter([[torch.zeros(5, 4), torch.zeros(5)]]))
    with pytest.raises(InputError, match="at least 3 samples, and the data has 2"):
        GaussianMixture(components=3).fit(torch.zeros(2, 4))
    with pytest.raises(InputError, match="at least 2 samples"):
        GaussianMixture(components=1).fit(torch.zeros(1, 4))
    with pytest.raises(InputError, match="all the same"):
        small_machine().fit(torch.ones(9, 4))
    with pytest.raises(InputError, match="Raise reg_covar=0"):
        GaussianMixture(components=1, reg_covar=0).fit(torch.ones(9, 4))


def test_covariances_that_would_fill_the_memory_are_refused() -> None:
    wide = normal(3, 40_000)
    for kind in ("full", "tied"):
        with pytest.raises(InputError, match=r"covariances of 40000 values .* Choose 'diag'"):
            GaussianMixture(components=2, covariance=kind).fit(wide)


def test_training_that_diverges_is_refused() -> None:
    with pytest.raises(ParameterError, match="diverged with learning_rate=1000"):
        small_machine(learning_rate=1000).fit(two_clouds())


@pytest.mark.parametrize("make", [small_machine, lambda: GaussianMixture(components=2)])
def test_what_is_learnt_in_inference_mode_can_be_climbed(make: Callable[[], Expert]) -> None:
    with torch.inference_mode():
        expert = make().fit(two_clouds())
        expert.log_density(torch.zeros(2, 4))
    x = torch.zeros(2, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(expert.log_density(x).sum(), x)
    assert float(gradient.abs().sum()) > 0


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (GaussianRBM, {"hidden": 0}, "hidden=0"),
        (GaussianRBM, {"gibbs_steps": 0}, "gibbs_steps=0"),
        (GaussianRBM, {"persistent": 1}, "persistent=1"),
        (GaussianRBM, {"epochs": 1.5}, "epochs=1.5"),
        (GaussianRBM, {"batch_size": -1}, "batch_size=-1"),
        (GaussianRBM, {"learning_rate": 0}, "learning_rate=0"),
        (GaussianRBM, {"weight_decay": -1}, "weight_decay=-1"),
        (GaussianRBM, {"sigma": 0.0}, "sigma=0.0"),
        (GaussianRBM, {"seed": -1}, "seed=-1"),
        (GaussianMixture, {"components": 0}, "components=0"),
        (GaussianMixture, {"covariance": "ful"}, "Did you mean 'full'"),
        (GaussianMixture, {"reg_covar": -1.0}, "reg_covar=-1.0"),
        (GaussianMixture, {"restarts": 0}, "restarts=0"),
        (GaussianMixture, {"max_iterations": True}, "max_iterations=True"),
        (GaussianMixture, {"tolerance": float("nan")}, "tolerance=nan"),
        (GaussianMixture, {"seed": "a"}, "seed='a'"),
    ],
)
def test_parameters_out_of_range_are_refused(kind: type[Expert], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        kind(**options)


def test_an_expert_shows_its_parameters() -> None:
    assert repr(GaussianMixture(components=3, covariance="diag")).startswith(
        "GaussianMixture(components=3, covariance='diag', reg_covar=0.001"
    )
