"""A convolution is a dense layer whose weights repeat: a rule that knows both treats them alike."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from xaicore.graph import trace
from xaicore.testing.affine import Affine
from xaicore.testing.backward.place import Captured, Place
from xaicore.testing.backward.subject import gap
from xaicore.testing.checks import Skip, require, science
from xaicore.testing.rules.jacobian import behind_relu, matrix_of, shares_of
from xaicore.testing.rules.layers import places_of
from xaicore.testing.rules.subject import RuleSubject


@science
def same_as_dense(subject: RuleSubject) -> str:
    """A convolution is explained like the dense layer of its matrix, or like dense layers of its single neurons."""
    convolutions = _convolutions(subject)
    if len(convolutions) == len(subject.places()):
        raise Skip("it takes no dense layer that a convolution could be compared with")
    by_neuron = 0
    for place in convolutions:
        found = shares_of(subject, place)
        whole = gap(found, _of_whole(subject, place))
        if whole <= place.tolerance:
            continue
        # A rule that goes by connections sees none in the zeros of a matrix: a neuron alone has no such zeros.
        single = gap(found, _of_neurons(subject, place))
        by_neuron += 1
        require(
            single <= place.tolerance,
            f"at {place.name} relevance goes elsewhere than in the dense layer of the same matrix (relative "
            f"difference {whole:.2g}), and than in the dense layers of its neurons ({single:.2g})",
        )
    return f"{len(convolutions)} layers, {by_neuron} of them neuron by neuron"


@science
def follows_connections(subject: RuleSubject) -> str:
    """Of the relevance of an output nothing goes to inputs which that output of a convolution does not read."""
    convolutions = _convolutions(subject)
    for place in convolutions:
        weight = matrix_of(place).weight
        for output in {0, len(weight) // 2, len(weight) - 1}:
            given = _of_one_output(subject, place, output)
            stray = float(given[weight[output] == 0].abs().sum())
            require(
                stray <= place.tolerance * float(given.abs().sum()),
                f"at {place.name} an output of relevance 1 gives {stray:.2g} to inputs that it does not read: go back "
                "by a transposed map, such as state.linear.pull",
            )
    return f"{len(convolutions)} layers"


def _of_one_output(subject: RuleSubject, place: Place, output: int) -> Tensor:
    """What this output of one sample, with a relevance of one, gives to each input, (I,)."""
    relevance = torch.zeros_like(place.outputs()[0][:1])
    relevance.view(-1)[output] = 1.0
    return place.walk(subject.mapping, [relevance], tensors=place.model.repeated(1)).total


def _convolutions(subject: RuleSubject) -> list[Place]:
    found = [place for place in subject.places() if not place.name.startswith("dense")]
    if not found:
        raise Skip("it takes no convolution")
    return found


def _of_whole(subject: RuleSubject, place: Place) -> Tensor:
    twin = next(twin for twin in twins() if twin.name == place.name)
    return shares_of(subject, twin)


def _of_neurons(subject: RuleSubject, place: Place) -> Tensor:
    """The shares found neuron by neuron: dense layers of one output, with the inputs that it reads."""
    affine, x = matrix_of(place), place.values()[0][0].flatten()
    found = torch.zeros_like(affine.weight)
    for number, row in enumerate(affine.weight):
        inputs = row.nonzero().flatten()
        if not len(inputs):
            continue
        neuron, layer = _neuron(len(inputs), behind_relu(place))
        with torch.no_grad():
            layer.weight.copy_(row[None, inputs])
            layer.bias.copy_(affine.bias[number])
        (shares,) = neuron.walk(
            subject.mapping, [torch.ones(1, 1, dtype=torch.float64)], tensors=[x[None, inputs]]
        ).relevance
        if shares is not None:
            found[number, inputs] = shares[0]
    return found


class _Twins(nn.Module):
    """Dense layers of the matrices of the kit's convolutions, plain or behind a ReLU."""

    def __init__(self, affines: Sequence[Affine], rectified: Sequence[bool]) -> None:
        super().__init__()
        self.rectified = tuple(rectified)
        self.layers = nn.ModuleList(_dense(affine) for affine in affines)
        self.sizes = tuple(affine.weight.shape[1] for affine in affines)

    def forward(self, features: Tensor, series: Tensor, image: Tensor, volume: Tensor) -> list[Tensor]:
        inputs = {each[0].numel(): each.flatten(1) for each in (features, series, image, volume)}
        chosen = [inputs[size] for size in self.sizes]
        return [
            layer(torch.relu(x) if rectified else x)
            for layer, x, rectified in zip(self.layers, chosen, self.rectified, strict=True)
        ]


@functools.cache
def twins() -> tuple[Place, ...]:
    """For each convolution of the kit the dense layer of its matrix, captured once for all."""
    convolutions = [place for place in places_of(torch.float64) if not place.name.startswith("dense")]
    model = _Twins([matrix_of(place) for place in convolutions], [behind_relu(place) for place in convolutions])
    tensors = convolutions[0].tensors
    captured = Captured(trace(model.eval(), *tensors), tensors)
    return tuple(
        Place(captured, ref.layer, place.name)
        for place, ref in zip(convolutions, captured.graph.outputs.values(), strict=True)
    )


@functools.cache
def _neuron(inputs: int, rectified: bool) -> tuple[Place, nn.Linear]:
    layer = nn.Linear(inputs, 1).double()
    model = nn.Sequential(nn.ReLU(), layer) if rectified else nn.Sequential(layer)
    x = torch.ones(1, inputs, dtype=torch.float64)
    graph = trace(model.eval(), x)
    (ref,) = graph.outputs.values()
    return Place(Captured(graph, (x,)), ref.layer, f"a neuron with {inputs} inputs"), layer


def _dense(affine: Affine) -> nn.Linear:
    outputs, inputs = affine.weight.shape
    layer = nn.Linear(inputs, outputs).double()
    with torch.no_grad():
        layer.weight.copy_(affine.weight)
        layer.bias.copy_(affine.bias)
    return layer
