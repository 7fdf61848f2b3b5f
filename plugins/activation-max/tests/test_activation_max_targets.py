"""What is searched for: classes, contrasts, functions, layers and their parts, and the heads of models."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from xai_activation_max import PrototypeSearch
from xaicore import Contrast, channels, region
from xaicore.errors import InputError, LayerError, ParameterError, TargetError

FEW: dict[str, Any] = {"steps": 8, "patience": None}


class Residual(nn.Module):
    """A branch, a sum, and a convolution that is used twice."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.shared = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.relu(self.stem(x))
        x = x + torch.relu(self.shared(x))
        x = torch.relu(self.shared(x))
        return self.head(x.mean((2, 3)))


class TwoInputs(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.image, self.table = nn.Linear(4, 3), nn.Linear(2, 3)

    def forward(self, image: Tensor, table: Tensor) -> Tensor:
        return self.image(image) * self.table(table)


class Tokens(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.head = nn.Embedding(20, 6), nn.Linear(6, 2)

    def forward(self, input_ids: Tensor) -> Tensor:
        return self.head(self.embedding(input_ids).mean(1))


def headed(*head: nn.Module, outputs: int = 3) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs), *head)


def test_a_softmax_or_its_log_at_the_end_changes_nothing() -> None:
    found = [
        PrototypeSearch(headed(*head), **FEW).search((4,), 1)
        for head in ((), (nn.Softmax(1),), (nn.LogSoftmax(1),), (nn.Softmax(1), nn.Unflatten(1, (3,))))
    ]
    for each in found[1:]:
        assert torch.allclose(each.inputs, found[0].inputs, atol=1e-5)
        assert torch.allclose(each.probability, found[0].probability, atol=1e-6)


@pytest.mark.parametrize("head", [(), (nn.Sigmoid(),), (nn.Flatten(0),), (nn.Sigmoid(), nn.Flatten(0))])
def test_of_one_output_the_probability_is_the_sigmoid(head: tuple[nn.Module, ...]) -> None:
    model = headed(*head, outputs=1)
    found = PrototypeSearch(model, strength=0.0001, steps=60).search((4,))
    with torch.no_grad():
        logit = model[2](model[1](model[0](found.inputs)))[:, 0]
    assert torch.allclose(found.score, F.logsigmoid(logit), atol=1e-5)
    assert torch.allclose(found.probability, logit.sigmoid(), atol=1e-5)
    plain = PrototypeSearch(headed(outputs=1), strength=0.0001, steps=60).search((4,))
    assert torch.allclose(found.inputs, plain.inputs, atol=1e-4)


def test_several_sigmoids_are_probabilities_of_their_own() -> None:
    model = headed(nn.Sigmoid())
    found = PrototypeSearch(model, **FEW).search((4,), 2)
    with torch.no_grad():
        assert torch.allclose(found.probability, model(found.inputs)[:, 2], atol=1e-6)


def test_a_regression_is_maximised_as_a_logit_and_has_no_probability() -> None:
    model = headed(outputs=1)
    found = PrototypeSearch(model, objective="logit", **FEW).search((4,))
    with torch.no_grad():
        assert torch.allclose(found.score, model(found.inputs)[:, 0], atol=1e-6)
    assert found.probability is None and found.quantity == "logit" and found.target == ("class 0",)


def test_a_logit_of_a_classifier_comes_with_its_probability() -> None:
    model = headed()
    found = PrototypeSearch(model, objective="logit", **FEW).search((4,), 1)
    with torch.no_grad():
        assert torch.allclose(found.score, model(found.inputs)[:, 1], atol=1e-6)
        assert torch.allclose(found.probability, model(found.inputs).softmax(1)[:, 1], atol=1e-6)


def test_contrasts_and_functions_are_maximised_as_they_are() -> None:
    model = headed()
    contrast = PrototypeSearch(model, **FEW).search((4,), Contrast(0, 2))
    function = PrototypeSearch(model, **FEW).search((4,), lambda out: out[:, 0] - out[:, 2])
    assert torch.allclose(contrast.inputs, function.inputs, atol=1e-6)
    with torch.no_grad():
        out = model(contrast.inputs)
    assert torch.allclose(contrast.score, out[:, 0] - out[:, 2], atol=1e-5)
    assert contrast.probability is None and contrast.target == ("classes 0 - 2",)


def test_without_a_target_the_class_that_is_predicted_for_the_example_is_meant() -> None:
    model = headed()
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    found = PrototypeSearch(model, **FEW).analyze(x)
    assert found.target == tuple(f"class {each}" for each in model(x).argmax(1).tolist())
    assert found.sample.tolist() == list(range(6))


def test_several_prototypes_of_a_target_follow_each_other() -> None:
    found = PrototypeSearch(headed(), **FEW).search((4,), [2, 0], count=3)
    assert found.target == ("class 2",) * 3 + ("class 0",) * 3
    assert found.sample.tolist() == [0, 0, 0, 1, 1, 1]
    assert not torch.allclose(found.inputs[0], found.inputs[1])


def test_a_network_with_branches_and_a_shared_layer_is_climbed() -> None:
    model = Residual()
    found = PrototypeSearch(model, strength=0.0001, steps=80, learning_rate=0.2).search((1, 8, 8), [0, 1, 2])
    with torch.no_grad():
        logs = model(found.inputs).log_softmax(1)
        start = model(torch.zeros(1, 1, 8, 8)).log_softmax(1)
    assert torch.allclose(found.score, logs.diagonal(), atol=1e-5)
    assert bool((logs.diagonal() > start[0]).all()) and float(found.trace[-1, 0]) > float(found.trace[0, 0]) + 0.1


@pytest.mark.parametrize(
    ("target", "value", "words"),
    [
        (2, lambda a: a[:, 2].mean((1, 2)), "channel 2 of stem"),
        ((2, 3, 4), lambda a: a[:, 2, 3, 4], "unit (2, 3, 4) of stem"),
        (None, lambda a: a.square().sum((1, 2, 3)), "all of stem"),
        (channels(0, 3), lambda a: a[:, [0, 3]].mean((1, 2, 3)), "channels(0, 3) of stem"),
        (region[2:4, 1:3], lambda a: a[:, :, 2:4, 1:3].mean((1, 2, 3)), "region[2:4, 1:3] of stem"),
        (Contrast(0, 1), lambda a: a[:, 0].mean((1, 2)) - a[:, 1].mean((1, 2)), "0 - 1 of stem"),
    ],
)
def test_a_layer_is_maximised_by_unit_channel_part_or_as_a_whole(target: Any, value: Any, words: str) -> None:
    model = Residual()
    found = PrototypeSearch(model, steps=10, strength=0.001).search((1, 8, 8), target, layer="stem")
    with torch.no_grad():
        assert torch.allclose(found.score, value(model.stem(found.inputs)), atol=1e-5)
    assert found.target == (words,) and found.layer == "stem" and found.probability is None
    assert float(found.trace[-1]) > float(found.trace[0])


def test_a_list_of_channels_gives_a_prototype_of_each() -> None:
    model = Residual()
    found = PrototypeSearch(model, **FEW).search((1, 8, 8), [1, 3], layer="shared@1")
    assert found.target == ("channel 1 of shared@1", "channel 3 of shared@1")
    assert found.quantity == "activation"


def test_a_unit_of_a_linear_layer_and_a_function_of_a_layer() -> None:
    model = headed()
    unit = PrototypeSearch(model, **FEW).search((4,), 5, layer="0")
    with torch.no_grad():
        assert torch.allclose(unit.score, model[0](unit.inputs)[:, 5], atol=1e-6)
    assert unit.target == ("unit 5 of 0",)
    same = PrototypeSearch(model, **FEW).search((4,), lambda a: a[:, 5], layer="0")
    assert torch.allclose(same.inputs, unit.inputs)


def test_an_output_with_positions_needs_a_logit_or_a_function() -> None:
    model = nn.Conv2d(1, 3, 3, padding=1)
    with pytest.raises(TargetError, match="objective='logit'"):
        PrototypeSearch(model, **FEW).search((1, 5, 5), (1, 2, 2))
    found = PrototypeSearch(model, objective="logit", **FEW).search((1, 5, 5), (1, 2, 2))
    assert found.target == ("output (1, 2, 2)",) and found.probability is None
    function = PrototypeSearch(model, **FEW).search((1, 5, 5), lambda out: out[:, 1, 2, 2])
    assert torch.allclose(function.inputs, found.inputs)


def test_of_several_inputs_one_moves_and_the_others_stay() -> None:
    model = TwoInputs()
    given = (torch.zeros(1, 4), torch.tensor([[1.0, -1.0]]))
    search = PrototypeSearch(model, objective="logit", strength=0.5, optimizer="lbfgs", steps=30)
    with pytest.raises(InputError, match=r"several inputs that could move: 'image', 'table'. Say which with input="):
        search.analyze(given, 0)
    for name in ("image", 0):
        found = search.analyze(given, [0, 2], input=name)
        weight = model.image.weight * model.table(given[1])[0][:, None]
        assert torch.allclose(found.inputs, weight[[0, 2]].detach(), atol=1e-4)
    by_name = search.analyze({"image": given[0], "table": given[1]}, 1, input="table")
    assert by_name.inputs.shape == (1, 2)
    with pytest.raises(InputError, match="no such input"):
        search.analyze(given, 0, input="sound")


def test_tokens_are_refused_with_the_way_out_and_embeddings_are_searched() -> None:
    model = Tokens()
    with pytest.raises(InputError, match=r"input 'input_ids' holds int64 values, such as tokens.*inputs_embeds"):
        PrototypeSearch(model).analyze(torch.zeros(1, 5, dtype=torch.long), 1)

    class Behind(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = model.head

        def forward(self, embedded: Tensor) -> Tensor:
            return self.head(embedded.mean(1))

    found = PrototypeSearch(Behind(), strength=0.0001, steps=100, learning_rate=0.3).search((5, 6), 1)
    assert float(found.probability) > 0.95


def test_a_layer_that_does_not_exist_or_a_class_out_of_range_is_refused_before_anything_runs() -> None:
    search = PrototypeSearch(Residual())
    with pytest.raises(LayerError, match="no layer or module 'stm'. Did you mean 'stem'"):
        search.search((1, 8, 8), 0, layer="stm")
    with pytest.raises(TargetError, match="Target 7 does not exist"):
        search.search((1, 8, 8), 7)
    with pytest.raises(TargetError, match="Target 9 does not exist"):
        search.search((1, 8, 8), 9, layer="stem")
    with pytest.raises(LayerError, match="channels"):
        search.search((1, 8, 8), channels(8), layer="stem")
    with pytest.raises(TargetError, match="2 targets for a batch of 3"):
        search.analyze(torch.zeros(3, 1, 8, 8), [0, 1])


def test_what_to_search_for_must_be_said() -> None:
    with pytest.raises(InputError, match="say what to search for"):
        PrototypeSearch(headed()).search((4,))
    with pytest.raises(InputError, match="not the shape of a sample"):
        PrototypeSearch(headed()).search((0,), 1)
    with pytest.raises(InputError, match="one example, not a stream"):
        PrototypeSearch(headed()).analyze(iter([torch.zeros(1, 4)]), 1)
    with pytest.raises(ParameterError, match="count=0"):
        PrototypeSearch(headed()).search((4,), 1, count=0)


def test_a_target_that_does_not_depend_on_the_input_cannot_be_climbed() -> None:
    with pytest.raises(LayerError, match="does not depend on input"):
        PrototypeSearch(headed()).search((4,), lambda out: torch.zeros(len(out)))


def test_of_several_outputs_one_must_be_named() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.second = nn.Linear(4, 3), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> dict[str, Tensor]:
            return {"first": self.first(x), "second": self.second(x)}

    search = PrototypeSearch(Two(), **FEW)
    with pytest.raises(TargetError, match=r"2 outputs: 'first' of shape \(1, 3\).*output=NAME"):
        search.search((4,), 1)
    found = search.search((4,), 1, output="second")
    with torch.no_grad():
        assert torch.allclose(found.probability, search.model.second(found.inputs).softmax(1)[:, 1], atol=1e-6)


def test_a_unit_that_is_not_active_at_the_start_is_told_of() -> None:
    model = nn.Sequential(nn.Linear(4, 2), nn.ReLU())
    with torch.no_grad():
        model[0].bias.fill_(-5.0)
    dead = PrototypeSearch(model, **FEW).search((4,), 1, layer="1")
    assert len(dead.notes) == 1 and "no gradient at the start of 1 of 1 prototypes" in dead.notes[0]
    alive = PrototypeSearch(model, prior="none", noise=50.0, restarts=8, **FEW).search((4,), 1, layer="1")
    assert not alive.notes and float(alive.score) > 0


def test_a_recurrent_network_finds_a_sequence() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.cells, self.head = nn.LSTM(3, 8, batch_first=True), nn.Linear(8, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.cells(x)[0][:, -1])

    model = Recurrent()
    found = PrototypeSearch(model, strength=1e-4, steps=40, learning_rate=0.3).search((6, 3), [0, 1])
    with torch.no_grad():
        likely = model(found.inputs).softmax(1).diagonal()
        assert bool((likely > model(torch.zeros(1, 6, 3)).softmax(1)[0] + 0.05).all())
    assert torch.allclose(found.probability, likely, atol=1e-5)
