"""Composites: the first entry whose condition holds wins; what nothing handles is refused before anything runs."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from oracles import OperatorCounter, assert_same, noise, shaken
from torch import Tensor, nn

import xaicore
from xai_lrp import AlphaBeta, Epsilon, Gamma, ZBox
from xaicore.errors import LayerError, MatchError, ParameterError
from xaicore.graph import Kind, anything, first_on_path, kind, named, under
from xaicore.propagation import Composite


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 3)
        self.second = nn.Conv2d(3, 4, 2)
        self.stem = nn.Conv2d(2, 3, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.second(self.stem(x).relu()).relu()
        return self.head(h.mean((2, 3)))


class Reader(nn.Module):
    """With an LSTM, which no rule of xai-lrp handles."""

    def __init__(self) -> None:
        super().__init__()
        self.memory, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


def first(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
    return state.vjp(rs)


def second(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
    return state.vjp(rs)


def handlers(composite: Composite) -> dict[str, str]:
    """The description of the mapping by module path."""
    graph = xaicore.trace(shaken(Net()), noise(2, 2, 4, 4))
    return {row["module_path"]: row["mapping"] for row in graph.match(composite).rows() if row["module_path"]}


def test_the_first_entry_that_holds_wins() -> None:
    entries = [(named("stem"), first), (kind("convolution"), second), (anything, first)]
    assert handlers(Composite(entries)) == {"stem": "first", "second": "second", "head": "first"}
    assert handlers(Composite(entries[::-1])) == {"stem": "first", "second": "first", "head": "first"}


def test_entries_come_before_the_mappings_of_plugins() -> None:
    rows = (
        xaicore.trace(shaken(Net()), noise(2, 2, 4, 4))
        .match(Composite([(kind("activation"), first), (kind("linear", "convolution"), second)]))
        .rows()
    )
    by_kind = {row["kind"]: (row["mapping"], row["provider"]) for row in rows}
    assert by_kind["activation"][0] == "first"
    assert by_kind["reduction"] == ("proportional", "xai-lrp")


def test_a_composite_as_the_guide_writes_it() -> None:
    low, high = torch.tensor(-3.0).double(), torch.tensor(3.0).double()
    composite = xaicore.Composite(
        [
            (xaicore.first_on_path, ZBox(low, high)),
            (xaicore.kind(xaicore.Kind.CONVOLUTION), Gamma(0.25)),
            (xaicore.kind(xaicore.Kind.LINEAR), Epsilon(0.25)),
        ]
    )
    model, x = shaken(Net()), noise(2, 2, 4, 4).clamp(-3, 3)
    report = xaicore.trace(model, x).match(composite)
    by_path = {row["module_path"]: row for row in report.rows()}
    for path, rule in (("stem", "ZBox"), ("second", "Gamma"), ("head", "Epsilon")):
        assert by_path[path]["mapping"].startswith(rule) and by_path[path]["provider"] == "xai-lrp"
    explanation = xaicore.explain(model, x, method="lrp.composite", composite=composite, target=1)
    assert_same(explanation.relevance, by_hand(model, x, 1), 1e-5)  # the rules have stabilizers of 1e-6


def by_hand(model: Any, x: Tensor, target: int) -> Tensor:
    """The same three rules written out on the dense matrices of the layers."""

    def share(numerator: Tensor, z: Tensor, r: Tensor) -> Tensor:
        return torch.einsum("bij,bj->bi", numerator / z[:, None], r)

    def dense(layer: nn.Conv2d, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        zero = layer(torch.zeros(1, *shape, dtype=torch.double)).flatten()
        units = layer(torch.eye(int(torch.tensor(shape).prod()), dtype=torch.double).reshape(-1, *shape)).flatten(1)
        return units - zero, zero

    with torch.no_grad():
        a1 = model.stem(x).relu()
        a2 = model.second(a1).relu()
        pooled = a2.mean((2, 3))
        y = model.head(pooled)
        r = torch.zeros_like(y)
        r[:, target] = y[:, target]
        w, b = model.head.weight.t(), model.head.bias
        z = pooled @ w + b
        r = share(pooled[:, :, None] * w, z + 0.25 * torch.where(z < 0, -1.0, 1.0), r)
        parts = a2 / a2.sum((2, 3), keepdim=True)
        r = (parts.nan_to_num() * r[:, :, None, None]).flatten(1)
        w, b = dense(model.second, tuple(a1.shape[1:]))
        wg, bg = w + 0.25 * w.clamp(min=0), b + 0.25 * b.clamp(min=0)
        contributions = a1.flatten(1)[:, :, None] * wg
        z = contributions.sum(1) + bg
        open_ = (a2.flatten(1) > 0).double()
        r = share(contributions, torch.where(z == 0, torch.ones_like(z), z), r * open_ + r * (1 - open_))
        w, b = dense(model.stem, tuple(x.shape[1:]))
        low, high = -3.0, 3.0
        contributions = x.flatten(1)[:, :, None] * w - low * w.clamp(min=0) - high * w.clamp(max=0)
        z = contributions.sum(1)
        return share(contributions, z, r).reshape(x.shape)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([(anything,)], "entry 0"),
        ([(anything, first), anything], "entry 1"),
        ([("linear", first)], "must be a pair"),
        ([(anything, "epsilon")], "must be a pair"),
        ([(anything, Epsilon)], "the rule an instance"),
        ([(first, anything)], "must be a pair"),
        ([anything], "entry 0"),
    ],
)
def test_entries_that_are_none_are_refused(entries: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Composite(entries)


@pytest.mark.parametrize(
    ("options", "message"), [({"family": "relevence"}, "Did you mean 'relevance'"), ({"fallback": "skip"}, "gradient")]
)
def test_options_that_are_none_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        Composite([], **options)


def test_a_composite_says_what_is_in_it() -> None:
    composite = Composite([(kind(Kind.LINEAR), first), (under("a.*"), AlphaBeta(2.0, 1.0))], fallback="gradient")
    assert repr(composite).startswith("Composite([(kind(linear), first), (under('a.*'), AlphaBeta(")
    assert repr(composite).endswith("family='relevance', fallback='gradient')")


@pytest.mark.usefixtures("without_lstm")
def test_a_layer_without_a_mapping_is_named_with_module_line_and_fix_before_anything_runs() -> None:
    model, x = shaken(Reader()), noise(2, 3, 4)
    composite = Composite([(kind("linear"), first)])
    xaicore.trace(model, x)
    with OperatorCounter() as counter, pytest.raises(MatchError) as caught:
        xaicore.explain(model, x, method="lrp.composite", composite=composite)
    text = str(caught.value)
    assert text.startswith("1 of ")
    assert "recurrent lstm in module 'memory' (LSTM), at " in text
    assert "xai-lstm" in text and "fallback='gradient'" in text
    assert counter.of(["lstm", "addmm", "mm", "linear"]) == [0, 0, 0, 0]


@pytest.mark.usefixtures("without_lstm")
def test_the_fix_that_the_message_names_works() -> None:
    model, x = shaken(Reader()), noise(2, 3, 4)
    graph = xaicore.trace(model, x)
    composite = Composite([(kind("linear"), first)])
    with pytest.raises(MatchError, match=r"add \(named\('lstm'\), rule\) to the composite"):
        graph.match(composite)
    fixed = Composite([(kind("linear"), first), (named("lstm"), second)])
    assert graph.match(fixed).missing == []
    report = composite.match(graph, strict=False)
    assert [match.layer.name for match in report.missing] == ["lstm"]
    (row,) = [row for row in report.rows() if row["fix"]]
    assert row["layer"] == "lstm" and "xai-lstm" in row["fix"] and row["mapping"] == "none"


@pytest.mark.usefixtures("without_lstm")
def test_a_fallback_is_used_only_where_nothing_else_is_and_is_reported() -> None:
    model, x = shaken(Reader()), noise(2, 3, 4)
    explanation = xaicore.explain(model, x, method="lrp.epsilon", fallback="gradient", target=0)
    (text,) = explanation.diagnostics.fallbacks
    assert "lstm" in text and "memory" in text
    assert any("fallback" in warning for warning in explanation.diagnostics.warnings())
    handled = xaicore.explain(shaken(Net()), noise(2, 2, 4, 4), method="lrp.epsilon", fallback="gradient", target=0)
    assert handled.diagnostics.fallbacks == []


def test_the_gradient_family_needs_no_mapping() -> None:
    graph = xaicore.trace(shaken(Reader()), noise(2, 3, 4))
    report = graph.match(Composite(family="gradient"))
    assert {row["mapping"] for row in report.rows()} == {"vector-Jacobian product"}
    assert report.fallbacks == []


def test_relevance_sees_the_folded_graph_and_gradients_the_plain_one() -> None:
    model = shaken(nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(27, 2)))
    graph = xaicore.trace(model, noise(2, 2, 4, 4))
    kinds = [{row["kind"] for row in graph.match(Composite([(anything, first)], family)).rows()}
             for family in ("relevance", "gradient")]  # fmt: skip
    assert ["batch_norm" in found for found in kinds] == [False, True]


def test_the_report_reads_as_a_table() -> None:
    report = xaicore.trace(shaken(Net()), noise(2, 2, 4, 4)).match(Composite([(first_on_path, first)], "gradient"))
    header, _, *rows = str(report).splitlines()
    assert header.split() == ["layer", "kind", "module_path", "mapping", "provider"]
    assert len(rows) == len(report.matches)


def test_a_layer_that_a_composite_names_must_exist() -> None:
    with pytest.raises(LayerError, match=r"'stm'. Did you mean 'stem'\?"):
        handlers(Composite([(named("stm"), first), (anything, second)]))


@pytest.mark.parametrize("fallback", [None, "gradient"])
def test_a_relevance_composite_that_matches_nothing_is_refused_with_what_there_is(fallback: str | None) -> None:
    composite = Composite([(kind("recurrent"), first), (under("head") & kind("pad"), first)], fallback=fallback)
    with pytest.raises(MatchError, match=r"matches no layer: kind\(recurrent\), \(under\('head'\).* hold for none of"):
        handlers(composite)


def test_a_composite_of_which_one_entry_holds_is_used() -> None:
    composite = Composite([(kind("recurrent"), first), (kind("linear"), second)], fallback="gradient")
    assert handlers(composite)["head"] == "second"


def test_a_gradient_composite_may_match_nothing() -> None:
    assert "first" not in handlers(Composite([(kind("recurrent"), first)], family="gradient")).values()
