"""The search: restarts, stopping, random changes, and that nothing is touched."""

from __future__ import annotations

import functools
import os
import signal
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from xai_activation_max import Density, Pixels, PrototypeSearch
from xai_activation_max.rows import Rows
from xai_activation_max.starts import Starts
from xaicore.engine import Engine
from xaicore.errors import ParameterError

EXACT: dict[str, Any] = {"steps": 200, "patience": None, "noise": 1.0}


def linear(inputs: int = 5, outputs: int = 3, seed: int = 0) -> nn.Linear:
    torch.manual_seed(seed)
    return nn.Linear(inputs, outputs).double()


def convolutional(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


def test_the_log_probability_is_that_of_the_softmax_and_rises() -> None:
    model = convolutional().eval()
    search = PrototypeSearch(model, strength=0.00001, steps=150, learning_rate=0.3)
    found = search.search((2, 6, 6), [2, 0])
    with torch.no_grad():
        probabilities = model(found.inputs).softmax(1)
    assert torch.allclose(found.probability, probabilities[[0, 1], [2, 0]], atol=1e-5)
    assert torch.allclose(found.score, found.probability.log(), atol=1e-5)
    assert found.quantity == "log probability" and found.target == ("class 2", "class 0")
    assert float(found.probability.min()) > 0.99


def test_each_row_stops_for_itself() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 2)).double()
    search = PrototypeSearch(model, strength=0.1, patience=10, tolerance=1e-3, steps=300)
    both = search.search((2,), [0, 1])
    for number in (0, 1):
        alone = search.search((2,), number)
        steps = len(alone.trace)
        assert torch.allclose(alone.inputs[0], both.inputs[number], atol=1e-12)
        assert torch.allclose(alone.trace[:, 0], both.trace[:steps, number], atol=1e-12)
        assert bool(both.trace[steps:, number].isnan().all())


@pytest.mark.parametrize("options", [{}, {"jitter": 1}, {"optimizer": "lbfgs"}], ids=str)
def test_rows_at_rest_stay_and_are_no_longer_run(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8)).double()
    with torch.no_grad():
        model[1].weight *= 10.0 ** torch.arange(-3.0, 5.0)[:, None]  # those of small weights rest at once
    search = PrototypeSearch(model, strength=1.0, patience=10, tolerance=1e-3, steps=120, objective="logit", **options)
    engine = Engine()
    found = search.search((1, 6), list(range(8)), engine=engine)
    taken = (~found.trace.isnan()).sum(0)
    assert int(taken.min()) < int(taken.max())
    assert min(engine.report.batches) <= 4 < max(engine.report.batches) == 8
    alone = torch.cat([search.search((1, 6), number).inputs for number in range(8)])
    assert torch.allclose(found.inputs, alone, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("optimizer", ["adam", "sgd", "lbfgs"])
def test_the_same_seed_finds_the_same_and_targets_together_the_same_as_alone(optimizer: str) -> None:
    model = convolutional().double().eval()
    search = PrototypeSearch(model, optimizer=optimizer, steps=15, restarts=2, seed=4)
    together = search.search((2, 6, 6), [0, 1, 2])
    again = search.search((2, 6, 6), [0, 1, 2])
    assert torch.equal(together.inputs, again.inputs) and torch.equal(together.trace, again.trace)
    in_batches = search.search((2, 6, 6), [0, 1, 2], batch_size=2)
    assert torch.allclose(together.inputs, in_batches.inputs, atol=1e-10)
    for number in range(3):
        alone = search.search((2, 6, 6), number)
        assert torch.allclose(alone.inputs[0], together.inputs[number], atol=1e-10)
    other = PrototypeSearch(model, optimizer=optimizer, steps=15, restarts=2, seed=5).search((2, 6, 6), [0, 1, 2])
    assert not torch.allclose(other.inputs, together.inputs, atol=1e-3)


def test_thirty_three_targets_in_one_batch_equal_one_by_one() -> None:
    model = linear(4, 33)
    search = PrototypeSearch(model, steps=4)
    together = search.search((4,), list(range(33)))
    alone = torch.cat([search.search((4,), number).inputs for number in range(33)])
    assert torch.allclose(together.inputs, alone, atol=1e-12)


def test_the_best_of_restarts_is_kept_and_more_of_them_are_never_worse() -> None:
    torch.manual_seed(1)
    model = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 4)).double()
    few, many = (
        PrototypeSearch(model, strength=0.3, noise=3.0, restarts=restarts, steps=80).search((3,), 2)
        for restarts in (1, 6)
    )
    assert float(many.objective) >= float(few.objective)
    assert 0 <= int(many.restart) < 6


def test_random_numbers_of_a_restart_do_not_depend_on_how_many_there_are() -> None:
    example = torch.zeros(2, 5)
    starts = Starts("noise", 1.0, 3, None)
    (few,), (many,) = (
        starts.leaves(Pixels(), example, [0, 1], Rows(2, 2, restarts), near=False) for restarts in (1, 3)
    )
    places = [place for place, row in enumerate(Rows(2, 2, 3).all()) if row.restart == 0]
    assert torch.equal(few, many[places]) and len(many.unique(dim=0)) == 6
    assert torch.equal(many[:6], many[6:])  # samples share them


def test_ctrl_c_leaves_what_was_found_so_far() -> None:
    calls = []

    def target(out: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 12:
            os.kill(os.getpid(), signal.SIGINT)
        return out[:, 0]

    previous = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job would ignore it
    try:
        found = PrototypeSearch(linear(), steps=500).search((5,), target)
    finally:
        signal.signal(signal.SIGINT, previous)
    assert 5 <= len(found.trace) < 20
    assert found.notes == (f"interrupted after {len(found.trace)} of 500 steps",)
    assert torch.isfinite(found.objective).all()


def test_where_memory_runs_out_fewer_rows_are_run_at_once() -> None:
    def target(out: Tensor) -> Tensor:
        if len(out) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return out[:, 0]

    engine = Engine()
    search = PrototypeSearch(linear(), steps=4, restarts=6)
    found = search.search((5,), target, engine=engine)
    assert engine.report.too_large
    assert torch.allclose(found.inputs, search.search((5,), lambda out: out[:, 0]).inputs)


@pytest.mark.parametrize("shape", [(1, 12), (1, 8, 8), (1, 5, 5, 5)])
def test_random_changes_are_found_again_by_their_seed(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(torch.tensor(shape).prod()), 2))
    options: dict[str, Any] = {"jitter": 1, "scale": 0.2} | ({"rotation": 20.0} if len(shape) == 3 else {})
    search = PrototypeSearch(model, steps=12, **options)
    first, second = search.search(shape, 0), search.search(shape, 0)
    assert torch.equal(first.inputs, second.inputs)
    assert not torch.equal(first.inputs, PrototypeSearch(model, steps=12).search(shape, 0).inputs)


def test_diversity_keeps_prototypes_of_one_target_apart() -> None:
    model = linear(6, 2)
    options: dict[str, Any] = {"objective": "logit", "strength": 0.5, "steps": 300, "noise": 0.3}
    alike = PrototypeSearch(model, **options).search((6,), 0, count=3)
    apart = PrototypeSearch(model, diversity=1.0, **options).search((6,), 0, count=3)

    def similarity(x: Tensor) -> float:
        unit = nn.functional.normalize(x, dim=1)
        return float((unit @ unit.T).sum() - len(x)) / (len(x) * (len(x) - 1))

    assert similarity(alike.inputs) == pytest.approx(1.0, abs=1e-3)
    assert similarity(apart.inputs) < 0.8
    expected = apart.score + apart.prior - 1.0 * torch.tensor(
        [float((nn.functional.normalize(apart.inputs, dim=1) @ nn.functional.normalize(each, dim=0)).sum() - 1) / 2
         for each in apart.inputs], dtype=torch.float64)  # fmt: skip
    assert torch.allclose(apart.objective, expected)


def test_a_search_of_one_row_begins_at_the_input_where_asked() -> None:
    model = linear()
    x = torch.full((1, 5), 3.0, dtype=torch.float64)
    search = PrototypeSearch(model, start="input", noise=0.0, steps=1, learning_rate=1e-9)
    assert torch.allclose(search.analyze(x, 0).inputs, x, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_models_of_every_type_get_prototypes_of_their_type(dtype: torch.dtype) -> None:
    model = convolutional().to(dtype).eval()
    found = PrototypeSearch(model, strength=0.001, steps=60, learning_rate=0.2).search((2, 6, 6), 1)
    assert found.inputs.dtype is dtype
    assert found.score.dtype is (torch.float64 if dtype is torch.float64 else torch.float32)
    with torch.no_grad():
        likely = float(model(found.inputs).float().softmax(1)[0, 1])
    assert likely > 0.9
    assert float(found.probability) == pytest.approx(likely, abs=0.02)


def test_the_type_of_the_example_is_that_of_the_prototype() -> None:
    model = linear().float()
    found = PrototypeSearch(model, steps=3).analyze(torch.zeros(1, 5, dtype=torch.float64), 0)
    assert found.inputs.dtype is torch.float64 and found.score.dtype is torch.float32


def test_the_model_is_left_as_it_was() -> None:
    model = convolutional().train()
    model[0].weight.requires_grad_(False)
    calls: list[int] = []
    model[2].register_forward_hook(lambda *_: calls.append(1))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    flags = {name: (each.requires_grad, each.grad) for name, each in model.named_parameters()}
    random = torch.random.get_rng_state()
    PrototypeSearch(model, steps=5, jitter=1, restarts=2).search((2, 6, 6), [0, 1])
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert flags == {name: (each.requires_grad, each.grad) for name, each in model.named_parameters()}
    assert all(each.training for each in model.modules()) and len(model[2]._forward_hooks) == 1
    assert torch.equal(random, torch.random.get_rng_state())


def test_batch_norm_is_that_of_evaluation_whatever_mode_the_model_is_in() -> None:
    model = convolutional()
    search = PrototypeSearch(model, steps=10)
    training = search.search((2, 6, 6), 1)
    model.eval()
    assert torch.equal(training.inputs, search.search((2, 6, 6), 1).inputs)


def test_an_optimizer_may_be_a_function() -> None:
    model = linear()
    for made in (functools.partial(torch.optim.RMSprop, lr=0.02), functools.partial(torch.optim.LBFGS, lr=0.5)):
        search = PrototypeSearch(model, objective="logit", strength=0.5, optimizer=made, steps=150, patience=None)
        assert torch.allclose(search.search((5,), 1).inputs[0], model.weight[1].detach(), atol=0.02)
    with pytest.raises(ParameterError, match="made a list"):
        PrototypeSearch(model, optimizer=list).search((5,), 0)


def test_it_works_inside_inference_mode_and_without_gradients() -> None:
    search = PrototypeSearch(linear(), steps=5)
    plain = search.search((5,), 1).inputs
    with torch.inference_mode():
        assert torch.equal(search.search((5,), 1).inputs, plain)
    with torch.no_grad():
        assert torch.equal(search.search((5,), 1).inputs, plain)


def test_settings_follow_the_conventions_of_scikit_learn() -> None:
    from sklearn.base import clone

    search = PrototypeSearch(linear(), prior=Density(lambda x: -x.square().sum(1)), steps=7)
    assert search.get_params()["steps"] == 7 and search.set_params(steps=9).steps == 9
    assert clone(search).get_params() == search.get_params()
    with pytest.raises(ParameterError, match="Did you mean 'steps'"):
        search.set_params(step=3)
    with pytest.raises(ParameterError):
        search.set_params(steps=0)
    assert search.steps == 9
