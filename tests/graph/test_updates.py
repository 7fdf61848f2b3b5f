"""A change of the model is seen by the next call, whatever way it is made."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from oracles import assert_same, eager, noise, shaken
from torch import Tensor, nn
from torch.nn.utils import parametrizations

import xaicore


class Net(nn.Module):
    """Weights that reach the output plain, folded, transposed and through a computation."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(2, 3, 2)
        self.norm = nn.BatchNorm1d(3)
        self.free = nn.Parameter(torch.zeros(9, 4))
        self.tied = nn.Parameter(torch.zeros(4))
        self.slope = 0.5
        self.sizes = [2, 2]
        self.table = {"offset": [1.0]}
        self.activation = torch.relu
        self.plain = noise(4, seed=4)  # a tensor that is neither parameter nor buffer

    def forward(self, x: Tensor) -> Tensor:
        h = self.activation(self.norm(self.conv(x))).flatten(1)
        h = h @ (self.free * self.tied.exp())
        return h * self.slope + sum(self.sizes) + self.table["offset"][0] + self.plain


def in_place(model: Net) -> None:
    with torch.no_grad():
        for tensor in [*model.parameters(), model.norm.running_mean]:
            tensor.mul_(1.5)


def through_data(model: Net) -> None:
    for parameter in model.parameters():
        parameter.data.add_(0.3)


def data_replaced(model: Net) -> None:
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.3


def loaded(model: Net) -> None:
    model.load_state_dict(shaken(Net(), seed=7).state_dict())


def loaded_by_assignment(model: Net) -> None:
    model.load_state_dict(shaken(Net(), seed=7).state_dict(), assign=True)


def stepped(model: Net) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(noise(3, 2, 4)).sum().backward()
    optimizer.step()


def parameter_replaced(model: Net) -> None:
    model.free = nn.Parameter(noise(9, 4, seed=8))


def module_replaced(model: Net) -> None:
    model.conv = shaken(nn.Conv1d(2, 3, 2), seed=8)


def attribute_replaced(model: Net) -> None:
    model.slope = -2.0


def list_changed(model: Net) -> None:
    model.sizes.append(5)


def dict_changed(model: Net) -> None:
    model.table["offset"][0] = 3.0


def function_replaced(model: Net) -> None:
    model.activation = torch.tanh


def plain_tensor_replaced(model: Net) -> None:
    model.plain = noise(4, seed=5)


def plain_tensor_written(model: Net) -> None:
    model.plain.mul_(3.0)


def nested_option_changed(model: Net) -> None:
    model.conv.padding = (1,)
    model.free = nn.Parameter(noise(15, 4, seed=8))


def forward_replaced(model: Net) -> None:
    model.forward = lambda x: x.flatten(1)[:, :4] * 3  # type: ignore[method-assign]


def hooked(model: Net) -> None:
    model.conv.register_forward_hook(lambda module, args, output: output + 1)


CHANGES = [
    in_place, through_data, data_replaced, loaded, loaded_by_assignment, stepped, parameter_replaced, module_replaced,
    attribute_replaced, list_changed, dict_changed, function_replaced, plain_tensor_replaced, plain_tensor_written,
    nested_option_changed, forward_replaced, hooked,
]  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_the_next_trace_computes_what_the_changed_model_does(change: Callable[[Net], None]) -> None:
    model, x = shaken(Net()), noise(3, 2, 4)
    before = xaicore.trace(model, x)
    before(x), before.folded(x)
    change(model)
    expected = eager(model, x)
    after = xaicore.trace(model, x)
    assert_same(after(x), expected)
    assert_same(after.folded(x), expected)


@pytest.mark.parametrize("change", [in_place, through_data, data_replaced, loaded, stepped])
def test_a_graph_in_hand_follows_the_weights_without_a_new_capture(change: Callable[[Net], None]) -> None:
    model, x = shaken(Net()), noise(3, 2, 4)
    graph = xaicore.trace(model, x)
    graph(x), graph.folded(x)
    change(model)
    expected = eager(model, x)
    assert_same(graph(x), expected)
    assert_same(graph.folded(x), expected)
    assert xaicore.trace(model, x) is graph


def test_a_write_through_data_to_weights_in_another_memory_format() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(4, 6, 3), nn.BatchNorm2d(6))).to(memory_format=torch.channels_last)
    x = noise(2, 4, 5, 5)
    graph = xaicore.trace(model, x)
    graph.folded(x)
    model[0].weight.data.mul_(2.0)
    assert_same(graph.folded(x), eager(model, x))


@pytest.mark.parametrize("wrap", [parametrizations.weight_norm, parametrizations.spectral_norm, nn.utils.weight_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_parametrised_weights_are_recomputed_from_what_they_are_made_of(wrap: Callable[..., nn.Module]) -> None:
    model = nn.Sequential(wrap(nn.Linear(4, 3)), nn.BatchNorm1d(3), nn.ReLU()).double().eval()
    x = noise(3, 4)
    for _ in range(2):
        with torch.no_grad():
            expected = model(x)  # the old way of weight norm makes a model that cannot be copied
        graph = xaicore.trace(model, x)
        assert_same(graph(x), expected)
        assert_same(graph.folded(x), expected)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.25)


def test_a_parameter_is_the_models_own_object() -> None:
    model = shaken(Net())
    graph = xaicore.trace(model, noise(3, 2, 4))
    assert graph.find("conv").parameters["weight"].layer.tensor is model.conv.weight


@pytest.mark.parametrize(
    "make", [lambda: nn.Linear(3, 4), lambda: nn.GRU(3, 4, batch_first=True)], ids=["linear", "gru"]
)
def test_a_model_that_is_moved_to_where_it_is_keeps_its_graph(make: Callable[[], nn.Module]) -> None:
    model, x = make().double(), noise(2, 5, 3)
    graph = xaicore.trace(model, x)
    assert xaicore.trace(model.to("cpu").double().eval(), x) is graph
    assert xaicore.trace(model.float(), x.float()) is not graph
