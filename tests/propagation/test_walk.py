"""The reverse walk: branch sums, layers with several outputs, tapes that are shared, records that are freed."""

from __future__ import annotations

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
import torch
from oracles import assert_same, noise, shaken
from torch import Tensor, nn

import xaicore
from xaicore.errors import XaicoreError
from xaicore.graph import Graph, Kind, anything, kind, op
from xaicore.propagation import Composite, Ledger, Tape, walk


class Net(nn.Module):
    def __init__(self, body: Any) -> None:
        super().__init__()
        self.first, self.other, self.last = nn.Linear(4, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.body(self.first(x), self.other))


def unbound(h: Tensor, f: Any) -> Tensor:
    a, b, c = h.unflatten(1, (3, 2)).unbind(1)
    return torch.stack([c, a * b, a], 1).flatten(1)


def chunks(h: Tensor, f: Any) -> Tensor:
    a, b, _ = h.chunk(3, 1)  # the last one is not used
    return torch.cat([b, a, b], 1)


BODIES: dict[str, Any] = {
    "x + x": lambda h, f: h + h,
    "x * x": lambda h, f: h * h,
    "x + f(x)": lambda h, f: h + f(h),
    "f(x) + x": lambda h, f: f(h).tanh() + h,
    "f called twice": lambda h, f: f(f(h).tanh()),
    "three branches": lambda h, f: h + h.relu() * f(h) - h.sigmoid(),
    "branch within a branch": lambda h, f: h + f(h + h.tanh()),
    "split": lambda h, f: torch.cat(h.split([2, 4], 1)[::-1], 1),
    "chunks": chunks,
    "unbind": unbound,
    "attention": lambda h, f: nn.functional.scaled_dot_product_attention(
        h[:, None, :, None], f(h)[:, None, :, None], h[:, None, :, None].tanh()
    ).flatten(1),
    "max with indices": lambda h, f: h.max(1, keepdim=True).values * h,
    "sort": lambda h, f: h.sort(1).values,
    "lstm-like": lambda h, f: f(h).sigmoid() * h.tanh() + (1 - f(h).sigmoid()) * h,
}


def differentiate(model: nn.Module, x: Tensor, seed: Tensor) -> Tensor:
    x = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(model(x), x, seed)
    return gradient


def start(graph: Graph) -> Any:
    return graph.inputs[0].ref


def end(graph: Graph) -> Any:
    return graph.outputs["output"]


@pytest.mark.parametrize("body", BODIES)
def test_the_gradient_walk_is_the_vector_jacobian_product_of_the_model(body: str) -> None:
    model, x, seed = shaken(Net(BODIES[body])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x)
    tape = Tape(graph, [x])
    assert_same(tape.outputs["output"], model(x).detach())
    found = walk(tape, {end(graph): seed}, Composite(family="gradient").match(graph))
    assert_same(found[start(graph)], differentiate(model, x, seed))


def halve(xs: Sequence[Tensor], ys: Sequence[Tensor], rs: Sequence[Tensor | None], state: Any) -> list[Tensor | None]:
    """Half of what arrived, to each input: what a walk does with it can be computed by hand."""
    (r,) = rs
    return [None if r is None else r / 2 for _ in xs]


@pytest.mark.parametrize(("body", "factor"), [("x + x", 1.0), ("x + f(x)", 1.0), ("f(x) + x", 1.0)])
def test_each_branch_is_walked_once_and_their_sums_meet(body: str, factor: float) -> None:
    """With relevance halved at the sum and kept elsewhere, all of it comes back: nothing is doubled."""
    model, x, seed = Net(BODIES[body]), noise(3, 4), noise(3, 6, seed=2)
    model.first = model.last = nn.Identity()
    model.other = nn.Linear(4, 4)
    model, seed = shaken(model), noise(3, 4, seed=2)
    visited: list[str] = []

    def keep(xs: Any, ys: Any, rs: Any, state: Any) -> list[Tensor | None]:
        visited.append(state.layer.name)
        return [rs[0]]

    graph = xaicore.trace(model, x).folded
    matching = Composite([(op("add"), halve), (anything, keep)]).match(graph)
    found = walk(Tape(graph, [x]), {end(graph): seed}, matching)
    assert_same(found[start(graph)], seed * factor)
    assert len(set(visited)) == len(visited)


def test_layers_are_visited_after_all_that_read_them() -> None:
    order: list[str] = []

    def note(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        order.append(state.layer.name)
        return state.vjp(rs)

    model, x = shaken(Net(BODIES["branch within a branch"])), noise(3, 4)
    graph = xaicore.trace(model, x)
    walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, Composite([(anything, note)], family="gradient").match(graph))
    position = {name: number for number, name in enumerate(order)}
    assert len(order) == len(position)
    for layer in graph.layers:
        for ref in layer.inputs:
            if ref.layer.name in position:
                assert position[layer.name] < position[ref.layer.name]


def test_a_mapping_is_given_values_of_the_forward_and_what_arrived() -> None:
    model, x, seed = shaken(Net(BODIES["x * x"])), noise(3, 4), noise(3, 3, seed=2)
    seen: dict[str, Any] = {}

    def look(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        seen[state.layer.op_name] = (list(xs), list(ys), list(rs))
        return state.vjp(rs)

    graph = xaicore.trace(model, x)
    walk(Tape(graph, [x]), {end(graph): seed}, Composite([(op("mul"), look)], family="gradient").match(graph))
    h = model.first(x).detach()
    xs, ys, rs = seen["mul"]
    assert len(xs) == 2 and len(ys) == len(rs) == 1
    for value in xs:
        assert_same(value, h)
    assert_same(ys[0], h * h)
    assert_same(rs[0], seed @ model.last.weight.detach())


def test_unused_outputs_arrive_as_none() -> None:
    model, x = shaken(Net(chunks)), noise(3, 4)
    seen: list[Any] = []

    def look(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        seen.append([None if r is None else tuple(r.shape) for r in rs])
        return state.vjp(rs)

    graph = xaicore.trace(model, x)
    walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, Composite([(op("chunk"), look)], family="gradient").match(graph))
    assert seen == [[(3, 2), (3, 2), None]]


def test_several_walks_share_a_tape_and_do_not_disturb_each_other() -> None:
    model, x = shaken(Net(BODIES["three branches"])), noise(3, 4)
    graph = xaicore.trace(model, x)
    tape, matching = Tape(graph, [x]), Composite(family="gradient").match(graph)
    seeds = [noise(3, 3, seed=number) for number in range(4)]
    found = [walk(tape, {end(graph): seed}, matching)[start(graph)] for seed in seeds]
    for seed, gradient in zip(seeds, found, strict=True):
        assert_same(gradient, differentiate(model, x, seed))


def test_walks_of_two_families_share_a_tape() -> None:
    model, x, seed = shaken(Net(BODIES["x + x"])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x).folded
    tape = Tape(graph, [x])
    keep = Composite([(kind("add"), halve), (anything, lambda xs, ys, rs, state: state.vjp(rs))])
    relevance = walk(tape, {end(graph): seed}, keep.match(graph))[start(graph)]
    gradient = walk(tape, {end(graph): seed}, Composite(family="gradient").match(graph))[start(graph)]
    assert_same(gradient, differentiate(model, x, seed))
    assert_same(relevance, gradient / 2)


def test_a_walk_that_frees_leaves_no_records_and_gives_the_same() -> None:
    model, x, seed = shaken(Net(BODIES["three branches"])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x)
    tape = Tape(graph, [x])
    assert tape.records
    alive: list[int] = []

    def count(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        alive.append(len(tape.records))
        return state.vjp(rs)

    composite = Composite([(anything, count)], family="gradient")
    found = walk(tape, {end(graph): seed}, composite.match(graph), free=True)
    assert_same(found[start(graph)], differentiate(model, x, seed))
    assert not tape.records
    assert alive == sorted(alive, reverse=True) and alive[0] > alive[-1]


def test_values_of_passed_layers_are_freed_during_the_walk() -> None:
    model, x = shaken(Net(lambda h, f: f(h.tanh()).tanh())), noise(3, 4)
    graph = xaicore.trace(model, x)
    tape = Tape(graph, [x])
    watched: dict[str, weakref.ref[Any]] = {}
    freed: dict[str, list[str]] = {}

    def look(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        freed[state.layer.name] = [name for name, reference in watched.items() if reference() is None]
        watched[state.layer.name] = weakref.ref(rs[0])
        return state.vjp(rs)

    walk(tape, {end(graph): noise(3, 3)}, Composite([(anything, look)], family="gradient").match(graph), free=True)
    assert len(freed["linear"]) >= len(watched) - 2


def test_what_arrives_at_inner_tensors_is_kept_on_request() -> None:
    model, x, seed = shaken(Net(BODIES["x + f(x)"])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x)
    inner = graph.find("first").ref
    found = walk(Tape(graph, [x]), {end(graph): seed}, Composite(family="gradient").match(graph), wanted=[inner])
    h = model.first(x).detach().requires_grad_()
    (expected,) = torch.autograd.grad(model.last(h + model.other(h)), h, seed)
    assert_same(found[inner], expected)


def test_a_filter_is_applied_to_the_sum_of_what_arrived() -> None:
    model, x, seed = shaken(Net(BODIES["x + f(x)"])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x)
    matching, inner = Composite(family="gradient").match(graph), graph.find("first").ref
    tape = Tape(graph, [x])
    plain = walk(tape, {end(graph): seed}, matching, wanted=[inner])
    found = walk(tape, {end(graph): seed}, matching, wanted=[inner], filters={inner: torch.relu})
    assert_same(found[inner], plain[inner].relu())
    assert_same(found[start(graph)], plain[inner].relu() @ model.first.weight.detach())


def test_a_walk_may_end_at_an_inner_layer() -> None:
    model, x, seed = shaken(Net(BODIES["x + f(x)"])), noise(3, 4), noise(3, 3, seed=2)
    graph = xaicore.trace(model, x)
    inner = graph.find("other").ref
    tape = Tape(graph, [x], starts=[inner])
    matching = Composite(family="gradient").match(graph, starts=[inner])
    found = walk(tape, {end(graph): seed}, matching)
    assert_same(found[inner], seed @ model.last.weight.detach())
    assert start(graph) not in found
    assert graph.find("first") not in tape.records


def test_an_input_that_nothing_flows_to_is_missing_from_the_result() -> None:
    class Two(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> dict[str, Tensor]:
            return {"a": a * 2, "b": b * 3}

    a, b = noise(3, 2), noise(3, 2, seed=3)
    graph = xaicore.trace(Two(), a, b)
    tape, ends = Tape(graph, [a, b]), [graph.outputs["a"]]
    matching = Composite(family="gradient").match(graph, ends=ends)
    found = walk(tape, {graph.outputs["a"]: torch.ones_like(a)}, matching)
    assert list(found) == [graph.find("a").ref]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (lambda xs, ys, rs, state: [], r"returned 0 tensors for mul.*which has 2 inputs"),
        (lambda xs, ys, rs, state: [xs[0]] * 3, "returned 3 tensors"),
        (lambda xs, ys, rs, state: [None, xs[0][:, :2]], r"shape \(3, 2\) for input 1 of mul.*shape \(3, 6\)"),
    ],
)
def test_a_mapping_that_returns_the_wrong_things_is_named_with_its_layer(mapping: Any, message: str) -> None:
    model, x = shaken(Net(BODIES["x * x"])), noise(3, 4)
    graph = xaicore.trace(model, x)
    composite = Composite([(kind(Kind.PRODUCT), mapping)], family="gradient")
    with pytest.raises(XaicoreError, match=message) as caught:
        walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, composite.match(graph))
    assert "test_walk.py" in str(caught.value)


def test_a_matching_of_another_graph_is_refused() -> None:
    """Relevance works on the folded graph: a tape of the plain one would never meet its layers."""
    model, x = shaken(Net(BODIES["x + x"])), noise(3, 4)
    graph = xaicore.trace(model, x)
    matching = Composite([(anything, halve)]).match(graph)
    with pytest.raises(XaicoreError, match="another graph"):
        walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, matching)


def account(rows: Sequence[Mapping[str, Any]], layer: str) -> Mapping[str, Any]:
    (row,) = [row for row in rows if row["layer"] == layer]
    return row


def test_the_ledger_adds_up_layer_by_layer_and_over_the_whole() -> None:
    def with_bias(xs: Any, ys: Any, rs: Any, state: Any) -> list[Tensor]:
        """Contributions of inputs in proportion; the bias keeps its share."""
        share = rs[0] / ys[0]
        if state.linear.bias is not None:
            state.absorb(bias=share * state.linear.bias)
        return [xs[0] * state.linear.pull(share)]

    def sum_shares(xs: Any, ys: Any, rs: Any, state: Any) -> list[Tensor]:
        return [x * rs[0] / ys[0] for x in xs]

    model, x = shaken(Net(BODIES["x + f(x)"])), noise(3, 4)
    graph = xaicore.trace(model, x).folded
    composite = Composite([(kind("linear"), with_bias), (kind("add"), sum_shares)])
    ledger, seed = Ledger(), model(x).detach()
    found = walk(Tape(graph, [x]), {end(graph): seed}, composite.match(graph), ledger=ledger)
    rows = ledger.rows()
    assert [row["layer"] for row in rows] == ["linear_2", "add", "linear_1", "linear"]
    for row in rows:
        assert abs(row["unaccounted"]) < 1e-9
    assert account(rows, "linear_2")["bias"] == pytest.approx(float(3 * model.last.bias.detach().sum()))
    assert account(rows, "linear_2")["module_path"] == "last" and account(rows, "add")["kind"] == "add"
    assert account(rows, "linear_2")["relevance_in"] == pytest.approx(float(seed.sum()))
    assert account(rows, "add")["relevance_in"] == pytest.approx(account(rows, "linear_2")["relevance_out"])
    total = float(found[start(graph)].sum()) + sum(row["bias"] for row in rows)
    assert total == pytest.approx(float(seed.sum()))


def test_the_ledger_shows_what_goes_elsewhere_and_what_is_lost() -> None:
    """Half of a sum goes to an operand that leads to nothing explained; a careless rule loses a tenth."""

    class Beside(nn.Module):
        def forward(self, x: Tensor, ids: Tensor) -> Tensor:
            return (x * 2.0) + ids.double()

    def careless(xs: Any, ys: Any, rs: Any, state: Any) -> list[Tensor]:
        state.absorb(stabilizer=rs[0] * 0.3)
        return [rs[0] * 0.6]

    x, ids = noise(3, 2), torch.ones(3, 2, dtype=torch.long)
    graph = xaicore.trace(Beside(), x, ids).folded
    ledger, seed = Ledger(), torch.ones(3, 2, dtype=torch.double)
    composite = Composite([(kind("add"), halve), (kind("scale"), careless)])
    walk(Tape(graph, [x, ids]), {end(graph): seed}, composite.match(graph), ledger=ledger)
    add, mul = account(ledger.rows(), "add"), account(ledger.rows(), "mul")
    assert (add["relevance_in"], add["relevance_out"], add["elsewhere"], add["unaccounted"]) == (6.0, 3.0, 3.0, 0.0)
    assert mul["stabilizer"] == pytest.approx(0.9) and mul["unaccounted"] == pytest.approx(0.3)


def test_without_a_ledger_a_mapping_is_told_so_and_may_still_report() -> None:
    seen: list[bool] = []

    def report(xs: Any, ys: Any, rs: Any, state: Any) -> Any:
        seen.append(state.ledger_open)
        state.absorb(bias=rs[0])
        return state.vjp(rs)

    model, x = shaken(nn.Linear(4, 3)), noise(3, 4)
    graph = xaicore.trace(model, x)
    matching = Composite([(anything, report)], family="gradient").match(graph)
    walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, matching)
    walk(Tape(graph, [x]), {end(graph): noise(3, 3)}, matching, ledger=Ledger())
    assert seen == [False, True]


def test_a_mapping_that_says_it_never_differentiates_is_held_to_it() -> None:
    class FromValues:
        differentiates = False

        def __init__(self, honest: bool) -> None:
            self.honest = honest

        def __call__(self, xs: Any, ys: Any, rs: Any, state: Any) -> Any:
            return [rs[0] * (1 - ys[0] ** 2)] if self.honest else state.vjp(rs)

    model, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).double(), torch.randn(5, 3).double()
    expected = xaicore.explain(model, x, method="gradients.saliency", target=0).relevance
    for honest in (True, False):
        composite = Composite([(kind("activation"), FromValues(honest))], family="gradient")
        graph = xaicore.trace(model, x)
        matching = composite.match(graph)
        tape = Tape(graph, [x], needs=matching.needs, differentiates=matching.differentiates)
        seed = torch.zeros_like(tape.outputs["output"])
        seed[:, 0] = 1
        seeds = {graph.outputs["output"]: seed}
        if honest:
            (found,) = walk(tape, seeds, matching).values()
            torch.testing.assert_close(found, expected)
        else:
            with pytest.raises(XaicoreError, match=r"tanh .*differentiates = False"):
                walk(tape, seeds, matching)
