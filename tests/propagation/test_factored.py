"""Relevance in two factors is the same relevance, and a ReLU writes over its input only where nobody misses it."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import xaicore
from xaicore.graph import Ref
from xaicore.propagation import ALWAYS, Coefficient, Composite, hands_on_coefficients
from xaicore.propagation.coefficient import Arrived, only_coefficients
from xaicore.propagation.overwriting import relus_in_place

METHODS = ["zero", "epsilon", "gamma", "z_plus", "alpha_2_beta_1", "epsilon_plus", "flat", "w_square"]


class Branches(nn.Module):
    """Residual, concatenated and pooled branches, an output that is not clipped, a ReLU that is read twice."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1, stride=2)
        self.norm = nn.BatchNorm2d(6)
        self.left = nn.Conv2d(6, 6, 3, padding=1, bias=False)
        self.right = nn.Conv2d(6, 4, 1)
        self.smooth = nn.Conv2d(10, 8, 3)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = torch.relu(self.norm(self.stem(x)))
        left = torch.relu(h - self.left(h))
        right = nn.functional.max_pool2d(self.right(h), 3, 1, 1)
        joined = torch.relu(torch.cat([left, right], 1))
        return self.head(nn.functional.silu(self.smooth(joined)).mean((2, 3)))


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return Branches().double().eval()


@pytest.fixture
def images() -> Tensor:
    return torch.randn(3, 3, 9, 9, dtype=torch.float64)


@pytest.mark.parametrize("method", METHODS)
def test_factored_relevance_is_that_of_a_walk_with_books(model: nn.Module, images: Tensor, method: str) -> None:
    analyzer = xaicore.create_analyzer(f"lrp.{method}", model)
    inner = ["left", "norm", "smooth", "silu"]

    plain = analyzer.analyze(images, record=inner)
    with_books = analyzer.analyze(images, record=inner, ledger=True)  # relevance itself, everywhere

    torch.testing.assert_close(plain.relevance, with_books.relevance, rtol=1e-10, atol=1e-12)
    for name in inner:
        torch.testing.assert_close(plain.recorded[name], with_books.recorded[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("layer", ["relu", "left", "relu_1", "cat"])
def test_a_layer_is_explained_the_same_with_and_without_books(model: nn.Module, images: Tensor, layer: str) -> None:
    analyzer = xaicore.create_analyzer("lrp.epsilon_plus", model)
    plain = analyzer.analyze(images, layer=layer)
    with_books = analyzer.analyze(images, layer=layer, ledger=True)
    torch.testing.assert_close(plain.relevance, with_books.relevance, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("method", ["zero", "gamma", "alpha_2_beta_1"])
def test_filters_see_relevance_itself(model: nn.Module, images: Tensor, method: str) -> None:
    analyzer = xaicore.create_analyzer(f"lrp.{method}", model)
    chosen = {"relu": lambda arrived: arrived.clamp(min=0), "left": [0, 2]}
    plain = analyzer.analyze(images, filter=chosen)
    with_books = analyzer.analyze(images, filter=chosen, ledger=True)
    torch.testing.assert_close(plain.relevance, with_books.relevance, rtol=1e-10, atol=1e-12)


def test_a_relevance_and_a_gradient_method_share_a_tape(model: nn.Module, images: Tensor) -> None:
    together = xaicore.compare(model, images, methods=["gradients.saliency", "lrp.z_plus", "gradients.guided_backprop"])
    for name, explanation in together.items():
        alone = xaicore.explain(model, images, method=name)
        torch.testing.assert_close(explanation.relevance, alone.relevance, rtol=1e-10, atol=1e-12)


def test_values_that_cancel_pass_nothing_in_either_form() -> None:
    class Cancels(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(1, keepdim=True)).sum(1, keepdim=True) + 0.5 * x[:, :1]

    x = torch.ones(2, 4, dtype=torch.float64)
    analyzer = xaicore.create_analyzer("lrp.zero", Cancels())
    torch.testing.assert_close(analyzer.analyze(x).relevance, analyzer.analyze(x, ledger=True).relevance)


def test_coefficients_of_several_branches_add_up() -> None:
    value = torch.tensor([2.0, -3.0, 0.0])
    arrived = Arrived()
    for sent in (
        Coefficient(torch.tensor([1.0, 1.0, 1.0])),
        Coefficient(torch.tensor([2.0, 2.0, 2.0]), clipped=True),
        Coefficient(torch.tensor([0.5, 0.5, 0.5])),
    ):
        arrived.add(sent)
    total = arrived.total(lambda: value)
    assert isinstance(total, Coefficient)
    torch.testing.assert_close(total.times(value), torch.tensor([7.0, -4.5, 0.0]))

    arrived.add(torch.tensor([10.0, 10.0, 10.0]))
    torch.testing.assert_close(arrived.total(lambda: value), torch.tensor([17.0, 5.5, 10.0]))


def test_what_a_branch_sends_is_never_written_to() -> None:
    shared = torch.ones(3)
    first, second = Arrived(), Arrived()
    for arrived in (first, second):
        for _ in range(3):
            arrived.add(Coefficient(shared))
    torch.testing.assert_close(shared, torch.ones(3))
    total = first.total(lambda: shared)
    assert isinstance(total, Coefficient)
    torch.testing.assert_close(total.tensor, torch.full((3,), 3.0))


def _names_in_place(model: nn.Module, images: Tensor, method: str, factored: bool) -> set[str]:
    analyzer = xaicore.create_analyzer(method, model)
    matching = analyzer.match(images)
    return {layer.name for layer in relus_in_place(matching.graph, [(matching, factored)])}


def test_a_relu_writes_over_an_output_that_only_it_reads(model: nn.Module, images: Tensor) -> None:
    # relu: after a convolution, relu_1: after a difference, relu_2: after a concatenation
    assert _names_in_place(model, images, "lrp.zero", True) == {"relu", "relu_1"}


def test_an_output_that_a_rule_must_read_is_left_alone(model: nn.Module, images: Tensor) -> None:
    assert _names_in_place(model, images, "lrp.epsilon", False) == set()
    assert "relu" in _names_in_place(model, images, "gradients.saliency", False)


def test_relevance_that_may_arrive_whole_keeps_the_value_before_the_relu(images: Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 7), nn.Flatten()).double()
    matching = xaicore.create_analyzer("lrp.epsilon", model).match(images)
    (relu,) = [layer for layer in matching.graph.layers if layer.op_name == "relu"]
    assert Ref(relu) in only_coefficients(matching, matching.ends)
    assert relus_in_place(matching.graph, [(matching, True)]) == {relu}
    assert relus_in_place(matching.graph, [(matching, True)], [Ref(relu)]) == set()  # a filter may send anything
    assert relus_in_place(matching.graph, [(matching, True), (matching, False)]) == set()


def test_a_rule_of_ones_own_gets_relevance_itself(model: nn.Module, images: Tensor) -> None:
    from xai_lrp import Epsilon
    from xaicore.graph import Kind, kind

    seen: list[type] = []

    def spread(xs, ys, rs, state):  # type: ignore[no-untyped-def]
        seen.append(type(rs[0]))
        return state.vjp(rs)

    rules = Composite([(kind(Kind.CONVOLUTION), spread), (kind(Kind.LINEAR), Epsilon())])
    analyzer = xaicore.create_analyzer("lrp.composite", model, composite=rules)
    plain, with_books = analyzer.analyze(images), analyzer.analyze(images, ledger=True)
    assert set(seen) == {Tensor}
    torch.testing.assert_close(plain.relevance, with_books.relevance, rtol=1e-10, atol=1e-12)


def test_a_subclass_of_a_rule_that_shares_in_its_own_way_is_obeyed(model: nn.Module, images: Tensor) -> None:
    from xai_lrp import Epsilon
    from xaicore.graph import Kind, kind

    class Doubled(Epsilon):
        def share(self, x, y, r, state):  # type: ignore[no-untyped-def]
            return 2 * super().share(x, y, r, state)

    def relevance(rule: Epsilon) -> Tensor:
        rules = Composite([(kind(Kind.LINEAR), rule), (kind(Kind.CONVOLUTION), Epsilon())])
        return xaicore.explain(model, images, method="lrp.composite", composite=rules).relevance

    torch.testing.assert_close(relevance(Doubled()), 2 * relevance(Epsilon()))


@pytest.mark.parametrize("override", ["__call__", "stabilizer"])
def test_what_a_derived_rule_overrides_counts_with_and_without_books(
    model: nn.Module, images: Tensor, override: str
) -> None:
    from xai_lrp import Epsilon
    from xaicore.graph import Kind, kind

    class OfPositiveInputs(Epsilon):
        def __call__(self, xs, ys, rs, state):  # type: ignore[no-untyped-def]
            return super().__call__([x.clamp(min=0) for x in xs], ys, rs, state)

    class Damped(Epsilon):
        def stabilizer(self, y: Tensor) -> float:
            return 0.5

    rule = OfPositiveInputs() if override == "__call__" else Damped()
    rules = Composite([(kind(Kind.LINEAR, Kind.CONVOLUTION), rule)])
    analyzer = xaicore.create_analyzer("lrp.composite", model, composite=rules)
    plain, with_books = analyzer.analyze(images), analyzer.analyze(images, ledger=True)
    torch.testing.assert_close(plain.relevance, with_books.relevance, rtol=1e-10, atol=1e-12)


def test_a_mapping_that_promises_coefficients_must_return_them(model: nn.Module, images: Tensor) -> None:
    from xai_lrp import Epsilon
    from xaicore.errors import XaicoreError
    from xaicore.graph import Kind, kind

    @hands_on_coefficients(ALWAYS)
    def forgetful(xs, ys, rs, state):  # type: ignore[no-untyped-def]
        return state.vjp([r.tensor if isinstance(r, Coefficient) else r for r in rs])

    rules = Composite([(kind(Kind.CONVOLUTION), forgetful), (kind(Kind.LINEAR), Epsilon())])
    with pytest.raises(XaicoreError, match="always hands on coefficients, but returned relevance for conv2d"):
        xaicore.explain(model, images, method="lrp.composite", composite=rules)
