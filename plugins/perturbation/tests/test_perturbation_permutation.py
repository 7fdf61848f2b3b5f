"""Permutation of features: linear models, loops over pairs of samples, and the pool of `fit`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xai_perturbation import Permutation
from xai_perturbation.permutation import order_of, partners
from xai_perturbation.pool import Pool
from xaicore import Engine, create_analyzer
from xaicore.engine import batches
from xaicore.errors import InputError, ParameterError

WEIGHTS = torch.tensor([1.0, -2.0, 0.0, 3.0], dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    return x @ WEIGHTS


def table(batch: int, seed: int = 0) -> Tensor:
    return torch.randn(batch, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def network() -> nn.Module:
    torch.manual_seed(1)
    layers = [nn.Conv2d(2, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 4 * 4, 3)]
    return nn.Sequential(*layers).double().eval()


def test_with_every_other_sample_a_linear_model_loses_the_difference_to_their_mean() -> None:
    x = table(7)
    found = Permutation(linear, repeats=6).analyze(x).relevance
    others = (x.sum(0) - x) / 6
    torch.testing.assert_close(found, (x - others) * WEIGHTS)


def test_more_repeats_than_other_samples_are_no_more() -> None:
    x = table(5)
    found = [Permutation(linear, repeats=repeats).analyze(x).relevance for repeats in (4, 50)]
    torch.testing.assert_close(found[0], found[1])


@pytest.mark.parametrize("size", [2, 3, 10])
def test_no_sample_exchanges_with_itself_and_repeats_meet_all_others_once(size: int) -> None:
    order = order_of(size, 0, 3)
    met = torch.stack([partners(order, repeat) for repeat in range(size - 1)])
    for sample in range(size):
        assert sorted(met[:, sample].tolist()) == [other for other in range(size) if other != sample]


def test_one_repeat_takes_the_values_of_one_other_sample() -> None:
    x = table(5)
    found = Permutation(linear, seed=3).analyze(x).relevance
    for column in range(4):
        other = partners(order_of(5, 3, column), 0)
        torch.testing.assert_close(found[:, column], (x[:, column] - x[other, column]) * WEIGHTS[column])


@pytest.mark.parametrize("batch_size", [1, 7, None, "auto"])
def test_results_do_not_depend_on_the_batch_size(batch_size: Any) -> None:
    x = table(40)
    analyzer = Permutation(linear, repeats=3)
    torch.testing.assert_close(
        analyzer.analyze(x, batch_size=batch_size).relevance, analyzer.analyze(x, batch_size=100).relevance
    )


def test_the_same_seed_gives_the_same_result_and_another_seed_another() -> None:
    x = table(9)
    first, again, other = (Permutation(linear, seed=seed).analyze(x).relevance for seed in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_after_fit_a_linear_model_loses_the_difference_to_the_mean_of_the_data() -> None:
    x, data = table(3), table(20, seed=1)
    found = Permutation(linear, repeats=20).fit(data).analyze(x).relevance
    torch.testing.assert_close(found, (x - data.mean(0)) * WEIGHTS)


def test_after_fit_samples_of_a_batch_of_33_are_explained_as_one_by_one() -> None:
    x = table(33)
    analyzer = Permutation(lambda x: torch.tanh(linear(x)), repeats=2).fit(table(20, seed=1))
    together = analyzer.analyze(x).relevance
    for number in (0, 17, 32):
        torch.testing.assert_close(analyzer.analyze(x[number : number + 1]).relevance, together[number : number + 1])


def test_groups_of_pixels_are_exchanged_together() -> None:
    model = network()
    x = torch.randn(3, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Permutation(model, features=3, repeats=2).analyze(x, target=[0, 1, 2]).relevance
    for sample in range(3):
        score = lambda each, sample=sample: float(model(each[None])[0, sample].detach())  # noqa: E731
        for row in (0, 3):
            for column in (0, 3):
                lost = 0.0
                for other in {0, 1, 2} - {sample}:
                    changed = x[sample].clone()
                    changed[:, row : row + 3, column : column + 3] = x[other, :, row : row + 3, column : column + 3]
                    lost += (score(x[sample]) - score(changed)) / 2
                box = found[sample, :, row : row + 3, column : column + 3]
                torch.testing.assert_close(box, torch.full_like(box, lost))


def test_superpixels_of_each_sample_are_exchanged() -> None:
    x = torch.rand(3, 1, 12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Permutation(lambda x: x.flatten(1).sum(1), features="slic", repeats=2).analyze(x).relevance
    assert found.shape == x.shape and bool(torch.isfinite(found).all())


def test_several_inputs_exchange_one_after_the_other() -> None:
    a, b = table(4), table(4, seed=1)
    found = Permutation(lambda a, b: linear(a) - 2 * linear(b), repeats=3).analyze((a, b)).relevance
    torch.testing.assert_close(found["input_0"], (a - (a.sum(0) - a) / 3) * WEIGHTS)
    torch.testing.assert_close(found["input_1"], (b - (b.sum(0) - b) / 3) * WEIGHTS * -2)


def test_tokens_are_exchanged_at_their_places() -> None:
    weights = torch.tensor([1.0, 10.0, 100.0], dtype=torch.float64)
    tokens = torch.tensor([[1, 2, 3], [4, 4, 4]])
    found = Permutation(lambda tokens: tokens.double() @ weights).analyze(tokens).relevance
    assert found.tolist() == [[-3.0, -20.0, -100.0], [3.0, 20.0, 100.0]]


def test_an_inner_layer_exchanges_its_own_values() -> None:
    model = network()
    x = torch.randn(2, 2, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = Permutation(model, features=(1, 4, 4)).analyze(x, target=1, layer="1").relevance
    inner, tail = model[:2](x).detach(), model[2:]
    for channel in range(3):
        changed = inner.clone()
        changed[:, channel] = inner.flip(0)[:, channel]
        lost = (tail(inner) - tail(changed))[:, 1].detach()
        torch.testing.assert_close(found[:, channel], lost[:, None, None].expand(2, 4, 4))


def test_a_classifier_of_scikit_learn_is_explained() -> None:
    from sklearn.tree import DecisionTreeClassifier

    random = np.random.default_rng(0)
    data = random.normal(size=(80, 3))
    model = DecisionTreeClassifier(max_depth=2, random_state=0).fit(data, data[:, 1] > 0)
    found = Permutation(model.predict_proba, repeats=80).fit(data).analyze(data[:4], target=1).relevance
    expected = np.zeros((4, 3))
    for column in range(3):
        for sample in range(4):
            rows = np.repeat(data[sample : sample + 1], 80, 0)
            rows[:, column] = data[:, column]
            before = model.predict_proba(data[sample : sample + 1])[0, 1]
            expected[sample, column] = before - model.predict_proba(rows)[:, 1].mean()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-12)


def test_fit_takes_a_stream_of_batches() -> None:
    data = table(30, seed=2)
    x = table(3)
    stream = batches([(part, "label") for part in data.split(7)], inputs=0)
    one, many = (Permutation(linear, repeats=4, pool=10).fit(each).analyze(x).relevance for each in (data, stream))
    assert torch.equal(one, many)


def test_the_model_runs_once_for_each_feature_and_repeat() -> None:
    engine = Engine()
    Permutation(linear, repeats=2).analyze(table(5), engine=engine)
    assert engine.report.rows == 5 * 4 * 2


def test_the_method_has_its_name() -> None:
    assert create_analyzer("permutation_importance", network()).method == "perturbation.permutation"


# The pool


def test_a_pool_keeps_samples_that_do_not_depend_on_the_batches() -> None:
    data = torch.arange(100.0).view(100, 1)
    whole, parts = Pool(10, 0), Pool(10, 0)
    whole.add({"x": data})
    for part in data.split([1, 9, 50, 40]):
        parts.add({"x": part})
    assert torch.equal(whole.samples["x"], parts.samples["x"])
    assert whole.size == parts.size == 10 and whole.seen == 100
    assert whole.samples["x"].flatten().tolist() == sorted(set(whole.samples["x"].flatten().tolist()))


def test_every_sample_is_as_likely_to_be_kept() -> None:
    kept = torch.zeros(20)
    for seed in range(600):
        pool = Pool(5, seed)
        for part in torch.arange(20).view(20, 1).split(3):
            pool.add({"x": part})
        kept[pool.samples["x"].flatten()] += 1
    # Of 600 draws with probability 1/4: mean 150, standard deviation 10.6.
    assert float(kept.min()) > 105 and float(kept.max()) < 195


# Errors


def test_a_single_sample_has_no_other_to_exchange_with() -> None:
    with pytest.raises(InputError, match=r"only one: give more samples, or call fit\(data\)"):
        Permutation(linear).analyze(table(1))


def test_a_batch_unlike_the_data_is_refused() -> None:
    analyzer = Permutation(lambda x: x.sum(1)).fit(table(5))
    with pytest.raises(InputError, match=r"samples of shape \(3,\) for input 'input'; the data of fit had \(4,\)"):
        analyzer.analyze(torch.rand(2, 3, dtype=torch.float64))


def test_data_of_different_shapes_are_refused() -> None:
    with pytest.raises(InputError, match="the batches before"):
        Permutation(linear).fit(iter([table(3), torch.rand(3, 5)]))


@pytest.mark.parametrize("data", [None, iter([])])
def test_fit_without_data_is_refused(data: Any) -> None:
    with pytest.raises(InputError, match="fit needs data"):
        Permutation(linear).fit(data)


def test_an_inner_layer_has_no_values_in_the_data_of_fit() -> None:
    x = torch.rand(2, 2, 6, 6, dtype=torch.float64)
    with pytest.raises(InputError, match="no values for an inner layer"):
        Permutation(network()).fit(x).analyze(x, target=0, layer="1")


@pytest.mark.parametrize("parameters", [{"repeats": 0}, {"pool": 0}, {"seed": -1}, {"seed": 1.5}, {"features": "x"}])
def test_parameters_out_of_range_are_refused(parameters: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match=f"{next(iter(parameters))}="):
        Permutation(linear, **parameters)
