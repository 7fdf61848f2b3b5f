"""Root points: they are roots, lie in their domain, and their Taylor terms are the shares of the rules."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xai_deeptaylor import Box, Domain, NonNegative, Real, root_point
from xaicore.errors import InputError, ParameterError
from xaicore.graph import Kind, kind

DOMAINS = {"real": Real(), "nonnegative": NonNegative(), "box": Box(-1.0, 2.0)}


def neurons(domain: str) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs (50, 1, 6) in the domain, weights (8, 6) and biases (8,) that are not positive."""
    generator = torch.Generator().manual_seed(3)
    x = torch.rand(50, 1, 6, generator=generator, dtype=torch.float64)
    x = {"real": 8 * x - 4, "nonnegative": x, "box": 3 * x - 1}[domain]
    weight = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    return x, weight, -torch.rand(8, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("name", DOMAINS)
def test_the_neuron_is_zero_at_its_root_point_which_lies_in_the_domain(name: str) -> None:
    x, weight, bias = neurons(name)
    root = root_point(DOMAINS[name], x, weight, bias)
    before, after = (x * weight).sum(-1) + bias, (root.point * weight).sum(-1) + bias
    fires = before > 0
    assert 50 < int(fires.sum()) < 350
    torch.testing.assert_close(after[fires], torch.zeros_like(after[fires]), atol=1e-12, rtol=0)
    torch.testing.assert_close(root.point[~fires], x.expand_as(root.point)[~fires])
    assert root.inside.all()


@pytest.mark.parametrize("name", DOMAINS)
def test_first_order_terms_at_the_root_point_sum_to_the_activation(name: str) -> None:
    x, weight, bias = neurons(name)
    root = root_point(DOMAINS[name], x, weight, bias)
    # The terms of an expansion by hand: the gradient at the root, times the way from there.
    torch.testing.assert_close(root.relevance, weight * (x - root.point))
    torch.testing.assert_close(root.relevance.sum(-1), ((x * weight).sum(-1) + bias).clamp(min=0))
    assert (root.relevance >= -1e-12).all()


@pytest.mark.parametrize("name", DOMAINS)
@pytest.mark.parametrize("bias", [False, True])
def test_first_order_terms_are_what_the_rule_shares(name: str, bias: bool) -> None:
    x, weight, offsets = neurons(name)
    layer = nn.Linear(6, 8, bias=bias).double()
    with torch.no_grad():
        layer.weight.copy_(weight)
        if bias:
            layer.bias.copy_(offsets)
    model = nn.Sequential(layer, nn.ReLU())
    rule = DOMAINS[name].rule()
    for neuron in range(8):
        shared = xaicore.explain(
            model,
            x[:, 0],
            method="lrp.composite",
            target=neuron,
            composite=xaicore.Composite([(kind(Kind.LINEAR), rule)]),
        ).relevance
        offset = offsets[neuron] if bias else 0.0
        root = root_point(DOMAINS[name], x[:, 0], weight[neuron], offset)
        torch.testing.assert_close(shared, root.relevance, atol=1e-5, rtol=1e-5)


def test_the_root_of_a_real_domain_is_the_nearest_there_is() -> None:
    x, weight, bias = neurons("real")
    root = root_point(Real(), x, weight, bias)
    distance = ((x * weight).sum(-1) + bias).clamp(min=0) / weight.norm(dim=-1)
    torch.testing.assert_close((x - root.point).norm(dim=-1), distance)


def test_a_positive_bias_can_push_the_root_out_of_the_domain() -> None:
    x, weight = torch.tensor([1.0, 0.1]), torch.tensor([1.0, -1.0])
    assert root_point(NonNegative(), x, weight, 0.0).inside
    pushed = root_point(NonNegative(), x, weight, 0.5)
    assert not pushed.inside and pushed.point[0] < 0


def test_a_neuron_that_fires_by_its_bias_alone_has_no_root() -> None:
    with pytest.raises(InputError, match="because of its bias alone"):
        root_point(NonNegative(), torch.tensor([0.0, 1.0]), torch.tensor([1.0, -1.0]), 2.0)


def test_bounds_that_are_exchanged_and_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ParameterError, match="low"):
        Box(1.0, 0.0)
    with pytest.raises(InputError, match="do not fit"):
        root_point(Real(), torch.ones(3), torch.ones(4))


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
def test_a_domain_knows_what_lies_in_it(domain: Domain) -> None:
    points = torch.tensor([[0.0, 1.0], [-0.5, 1.0], [0.0, 5.0]])
    expected = {Real: [True] * 3, NonNegative: [True, False, True], Box: [True, True, False]}[type(domain)]
    assert domain.contains(points).tolist() == expected


def test_a_box_of_pixels_is_normalised_as_the_inputs_are() -> None:
    pixels = torch.tensor([0.0, 255.0, 100.0])
    mean, std = torch.tensor([10.0, 20.0, 30.0]), torch.tensor([2.0, 4.0, 5.0])
    box = Box(0.0, 255.0, mean, std)
    assert box.contains((pixels - mean) / std)
    assert not box.contains((pixels + 1 - mean) / std)
