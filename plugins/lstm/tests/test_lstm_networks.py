"""Recurrent layers inside models: the same relevance however a cell is written, and whatever stands around it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import xaicore
from xai_lrp import AlphaBeta, Epsilon, Flat, Gamma, GeneralizedGamma, WSquare, Zero, ZPlus
from xai_lstm import RecurrentRule
from xaicore.errors import CaptureError, InputError
from xaicore.graph import Kind, kind

IN, HIDDEN, STEPS, CLASSES = 3, 4, 5, 2
METHODS = ("lstm.lrp_all", "lstm.lrp_prop", "lstm.lrp_half")


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


class Reader(nn.Module):
    """A recurrent module and a linear layer on its last state."""

    def __init__(self, memory: nn.Module, size: int = HIDDEN) -> None:
        super().__init__()
        self.memory, self.head = memory, nn.Linear(size, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.memory(x)[0][:, -1])


class CellLoop(nn.Module):
    """The cell of a recurrent module in a Python loop, with the same weights."""

    def __init__(self, cell: nn.RNNCellBase, head: nn.Linear) -> None:
        super().__init__()
        self.cell, self.head = cell, head

    def forward(self, x: Tensor) -> Tensor:
        state: Any = x.new_zeros(x.shape[0], HIDDEN)
        if isinstance(self.cell, nn.LSTMCell):
            state = (state, state)
        for step in range(x.shape[1]):
            state = self.cell(x[:, step], state)
        return self.head(state[0] if isinstance(state, tuple) else state)


class WrittenLstm(nn.Module):
    """An LSTM of linear layers, sigmoids, tanhs and products, one linear layer for input and state together."""

    def __init__(self) -> None:
        super().__init__()
        self.gates = nn.Linear(IN + HIDDEN, 4 * HIDDEN)
        self.head = nn.Linear(HIDDEN, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        h = c = x.new_zeros(x.shape[0], HIDDEN)
        for step in range(x.shape[1]):
            i, f, g, o = self.gates(torch.cat([x[:, step], h], -1)).chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.head(h)

    def as_module(self) -> Reader:
        """The same with `nn.LSTM`."""
        same = Reader(nn.LSTM(IN, HIDDEN, batch_first=True)).to(self.head.weight)
        with torch.no_grad():
            same.memory.weight_ih_l0.copy_(self.gates.weight[:, :IN])
            same.memory.weight_hh_l0.copy_(self.gates.weight[:, IN:])
            same.memory.bias_ih_l0.copy_(self.gates.bias)
            same.memory.bias_hh_l0.zero_()
        same.head = self.head
        return same


@functools.cache
def written_and_whole() -> tuple[WrittenLstm, Reader]:
    """The same LSTM written out and as a module; captured once."""
    written = WrittenLstm().double()
    return written, written.as_module()


def inputs(batch: int = 3) -> Tensor:
    return torch.randn(batch, STEPS, IN, dtype=torch.float64)


def relevance(model: nn.Module, x: Any, method: str = "lstm.lrp_all", **options: Any) -> Any:
    return xaicore.explain(model.double().eval(), x, method=method, target=0, **options).relevance


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-10) -> None:
    assert expected.abs().max() > 1e-6  # something to compare
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


@functools.cache
def whole_and_loop(module: nn.RNNBase, cell: Callable[..., nn.RNNCellBase]) -> tuple[Reader, CellLoop]:
    """The same network with a module and with its cell in a loop; captured once."""
    whole = Reader(module).double()
    loop = CellLoop(cell(IN, HIDDEN).double(), whole.head)
    loop.cell.load_state_dict({name.removesuffix("_l0"): value for name, value in module.state_dict().items()})
    return whole, loop


@pytest.mark.parametrize("method", ["lstm.lrp_all", "lstm.lrp_half"])
@pytest.mark.parametrize(
    ("module", "cell"),
    [
        (nn.LSTM(IN, HIDDEN, batch_first=True), nn.LSTMCell),
        (nn.GRU(IN, HIDDEN, batch_first=True), nn.GRUCell),
        (nn.RNN(IN, HIDDEN, batch_first=True), nn.RNNCell),
        (nn.RNN(IN, HIDDEN, batch_first=True, nonlinearity="relu"), lambda i, h: nn.RNNCell(i, h, nonlinearity="relu")),
        (nn.LSTM(IN, HIDDEN, batch_first=True, bias=False), lambda i, h: nn.LSTMCell(i, h, bias=False)),
    ],
    ids=["lstm", "gru", "tanh", "relu", "without bias"],
)
def test_a_cell_in_a_loop_gets_what_the_whole_module_gets(
    method: str, module: nn.RNNBase, cell: Callable[..., nn.RNNCellBase]
) -> None:
    whole, loop = whole_and_loop(module, cell)
    x = inputs()
    # In a loop relevance of a state is added up, then damped: the same terms, in another order.
    same(relevance(loop, x, method), relevance(whole, x, method))


@pytest.mark.parametrize("method", METHODS)
def test_a_cell_written_out_gets_what_the_module_gets(method: str) -> None:
    written, whole = written_and_whole()
    x = inputs()
    # The written cell adds up products of the graph, which the method passes by LRP-0.
    composite = xaicore.Composite(
        [
            (kind(Kind.RECURRENT), RecurrentRule(product_of(method), Epsilon(0.001), sums=Zero())),
            (kind(Kind.LINEAR), Epsilon(0.001)),
        ]
    )
    expected = relevance(whole, x, "lrp.composite", composite=composite)
    same(relevance(written, x, method), expected)


def product_of(method: str) -> str:
    return {"all": "signal", "prop": "proportional", "half": "half"}[method.removeprefix("lstm.lrp_")]


@pytest.mark.parametrize(
    "rule",
    [
        Zero(),
        Zero(bias="conserve"),
        Epsilon(0.1, bias="ignore"),
        Epsilon(0.1, bias="distribute"),
        Epsilon(0.1, bias="conserve"),
        Gamma(0.3),
        GeneralizedGamma(0.3),
        ZPlus(),
        AlphaBeta(2, 1),
        Flat(),
        WSquare(),
    ],
    ids=repr,
)
@pytest.mark.parametrize("product", ["signal", "half"])
def test_any_rule_for_linear_layers_stands_in_a_cell(rule: Any, product: str) -> None:
    written, whole = written_and_whole()
    x = inputs()
    composite = xaicore.Composite(
        [(kind(Kind.RECURRENT), RecurrentRule(product, rule, sums=Zero())), (kind(Kind.LINEAR), rule)]
    )
    found = relevance(whole, x, "lrp.composite", composite=composite)
    same(found, relevance(written, x, "lrp.composite", composite=composite, structure={"product": product}), 1e-8)


@pytest.mark.parametrize("rule", [Epsilon(0.2), Zero(), AlphaBeta(2, 1), ZPlus(), Gamma(0.5)], ids=repr)
def test_a_rule_at_sums_shares_like_a_linear_layer_with_weights_of_one(rule: Any) -> None:
    from xai_lstm.sums import Sum

    a, b, r = torch.randn(3, 1, 4, 6, dtype=torch.float64).unbind(0)

    class OneSum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.add = nn.Linear(2, 1, bias=False)
            nn.init.ones_(self.add.weight)

        def forward(self, pair: Tensor) -> Tensor:
            return self.add(pair).flatten(1)

    class Quiet:
        ledger_open = False
        layer = None

        def cached(self, key: object, make: Callable[[], Tensor]) -> Tensor:
            return make()

    shares = Sum(rule, a, b, Quiet()).share(0, r[0])  # type: ignore[arg-type]
    composite = xaicore.Composite([(kind(Kind.LINEAR), rule)])
    model, pair = OneSum().double(), torch.stack([a[0], b[0]], -1)
    for column in range(6):
        explained = xaicore.explain(model, pair, method="lrp.composite", composite=composite, target=column).relevance[
            :, column
        ]
        total = (a + b)[0, :, column]
        for share, expected in zip(shares, explained.unbind(-1), strict=True):
            torch.testing.assert_close(share[:, column] * total, expected * r[0, :, column], rtol=1e-9, atol=1e-12)


class Started(nn.Module):
    """A memory of two layers in both directions, from states that are given."""

    def __init__(self, module: type[nn.RNNBase]) -> None:
        super().__init__()
        self.memory = module(IN, HIDDEN, num_layers=2, bidirectional=True)
        self.head = nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> Tensor:
        states = [state.transpose(0, 1).contiguous() for state in (h, c)]
        given = tuple(states) if isinstance(self.memory, nn.LSTM) else states[0]
        y, _ = self.memory(x.transpose(0, 1), given)
        return self.head(y.mean(0)) + 0 * c.sum((1, 2)).unsqueeze(1)


@functools.cache
def started(module: type[nn.RNNBase]) -> Started:
    """The same for all methods: it is captured once."""
    return Started(module).double().eval()


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("module", [nn.LSTM, nn.GRU, nn.RNN])
def test_with_all_spread_relevance_and_what_rests_in_the_initial_state_are_the_score(
    method: str, module: type[nn.RNNBase]
) -> None:
    x, h, c = inputs(), *torch.randn(2, 3, 4, HIDDEN, dtype=torch.float64)
    explanation = xaicore.explain(started(module), (x, h, c), method=method, bias="conserve", target=1)
    total = sum(each.flatten(1).sum(1) for each in explanation.relevance.values())
    torch.testing.assert_close(total, explanation.prediction[:, 1], rtol=1e-8, atol=1e-8)


def test_a_learnt_initial_state_keeps_its_share_in_the_books() -> None:
    class Learnt(Reader):
        def __init__(self) -> None:
            super().__init__(nn.LSTM(IN, HIDDEN, batch_first=True))
            self.h, self.c = nn.Parameter(torch.randn(1, 1, HIDDEN)), nn.Parameter(torch.randn(1, 1, HIDDEN))

        def forward(self, x: Tensor) -> Tensor:
            start = [state.expand(1, x.shape[0], HIDDEN).contiguous() for state in (self.h, self.c)]
            return self.head(self.memory(x, tuple(start))[0][:, -1])

    explanation = xaicore.explain(
        Learnt().double().eval(), inputs(), method="lstm.lrp_all", bias="conserve", target=0, ledger=True
    )
    rows = {row["kind"]: row for row in explanation.diagnostics.ledger}
    rests = float(explanation.prediction[:, 0].sum() - explanation.relevance.sum())
    assert abs(rests) > 1e-3
    assert rows["recurrent"]["bias"] == pytest.approx(rests, rel=1e-8)
    assert all(abs(row["unaccounted"]) < 1e-12 for row in explanation.diagnostics.ledger)


class Sentences(nn.Module):
    """Padded sentences of known lengths, packed for the memory."""

    def __init__(self, memory: nn.RNNBase, batch_first: bool) -> None:
        super().__init__()
        self.embedding = nn.Embedding(12, IN)
        self.memory, self.batch_first = memory, batch_first
        size = (memory.proj_size or memory.hidden_size) * (2 if memory.bidirectional else 1)
        self.head = nn.Linear(size, CLASSES)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        x = self.embedding(words)
        x = x if self.batch_first else x.transpose(0, 1)
        packed = pack_padded_sequence(x, lengths, batch_first=self.batch_first, enforce_sorted=False)
        states, _ = self.memory(packed)
        y, _ = pad_packed_sequence(states, batch_first=True)
        return self.head(y.sum(1))


@pytest.mark.parametrize(
    ("method", "module", "shape"),
    [
        ("lstm.lrp_all", nn.LSTM, {}),
        ("lstm.lrp_prop", nn.LSTM, {"num_layers": 2, "bidirectional": True}),
        ("lstm.lrp_half", nn.GRU, {"num_layers": 2, "bidirectional": True}),
        ("lrp.gamma", nn.RNN, {"num_layers": 2, "bidirectional": True}),
        ("lrp.epsilon", nn.LSTM, {"proj_size": 2, "bidirectional": True}),
    ],
)
def test_packed_sequences_get_what_each_gets_alone(method: str, module: Any, shape: dict[str, Any]) -> None:
    model = Sentences(module(IN, HIDDEN, batch_first=not shape, **shape), batch_first=not shape)
    words, lengths = torch.randint(12, (4, 6)), torch.tensor([3, 6, 1, 5])
    found = next(iter(relevance(model, (words, lengths), method).values()))
    assert not any(each[length:].any() for each, length in zip(found, lengths.tolist(), strict=True))
    for number in (0, 2):
        length = int(lengths[number])
        one = relevance(model, (words[number : number + 1, :length], lengths[number : number + 1]), method)
        same(found[number, :length], next(iter(one.values()))[0], 1e-9)


def test_a_sequence_of_length_zero_is_refused() -> None:
    model = Sentences(nn.LSTM(IN, HIDDEN, batch_first=True), batch_first=True).double().eval()
    words = torch.randint(12, (2, 4))
    with pytest.raises(InputError, match="Length of all samples has to be greater than 0"):
        relevance(model, (words, torch.tensor([4, 0])))  # the model's own words
    relevance(model, (words, torch.tensor([4, 2])))
    with pytest.raises(InputError, match="Length of all samples has to be greater than 0"):
        relevance(model, (words, torch.tensor([4, 0])))  # its graph is known by now
    with pytest.raises(InputError, match="empty|no steps|does not take"):
        relevance(Reader(nn.LSTM(IN, HIDDEN, batch_first=True)), torch.zeros(2, 0, IN, dtype=torch.float64))


class Padded(Sentences):
    """Reduces what was packed, padding included."""

    def __init__(self, total: bool, **packing: bool) -> None:
        super().__init__(nn.LSTM(IN, HIDDEN, batch_first=True), batch_first=True)
        self.total, self.packing = total, {"enforce_sorted": False} | packing

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, **self.packing)
        total = words.shape[1] if self.total else None
        return self.head(pad_packed_sequence(self.memory(packed)[0], batch_first=True, total_length=total)[0].mean(1))


def test_a_model_whose_result_depends_on_padding_is_not_explained_by_another_graph() -> None:
    words, whole, short = torch.randint(12, (2, 5)), torch.tensor([5, 2]), torch.tensor([3, 2])
    cuts = Padded(total=False)
    relevance(cuts, (words, whole))
    with pytest.raises(CaptureError, match=r"total_length=x\.shape\[1\]"):
        relevance(cuts, (words, short))  # the model averages over 3 steps, the graph over 5
    relevance(cuts, (words[:, :3], short))
    keeps = Padded(total=True)
    for lengths in (whole, short):
        explanation = xaicore.explain(keeps.double(), (words, lengths), method="lstm.lrp_all", target=0)
        torch.testing.assert_close(explanation.prediction, keeps.eval()(words, lengths).detach())


@pytest.mark.parametrize(("lengths", "message"), [([2, 5], "sorted in decreasing order"), ([6, 5], "exceeds")])
def test_lengths_that_the_model_refuses_are_refused_when_its_graph_is_known(lengths: list[int], message: str) -> None:
    model, words = Padded(total=True, enforce_sorted=True), torch.randint(12, (2, 5))
    relevance(model, (words, torch.tensor([5, 2])))
    with pytest.raises(InputError, match=message):
        relevance(model, (words, torch.tensor(lengths)))


class Described(nn.Module):
    """A convolution, whose features start a memory, and a memory's last state among other branches."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, HIDDEN, 3, stride=2), nn.ReLU(), nn.BatchNorm2d(HIDDEN))
        self.memory = nn.LSTM(IN, HIDDEN, batch_first=True)
        self.head = nn.Linear(2 * HIDDEN, CLASSES)

    def forward(self, image: Tensor, words: Tensor) -> Tensor:
        seen = self.features(image).mean((2, 3))
        states, _ = self.memory(words, (seen.unsqueeze(0), torch.zeros_like(seen).unsqueeze(0)))
        return self.head(torch.cat([seen, states[:, -1] + states.mean(1)], 1))


@pytest.mark.parametrize(
    "method", ["lrp.epsilon_plus", "lrp.alpha_2_beta_1", "lrp.epsilon_alpha2_beta1", "lrp.preset_b_flat", *METHODS]
)
def test_every_method_of_lrp_passes_a_memory_inside_a_larger_graph_and_keeps_the_books(method: str) -> None:
    model = Described().double().eval()
    data = (torch.rand(33, 1, 7, 7, dtype=torch.float64), torch.randn(33, STEPS, IN, dtype=torch.float64))
    explanation = xaicore.explain(model, data, method=method, target=1, ledger=True)
    for row in explanation.diagnostics.ledger:
        assert abs(row["unaccounted"]) < 1e-9 * max(1, abs(row["relevance_in"]))
    alone = xaicore.explain(model, tuple(each[7:8] for each in data), method=method, target=1).relevance
    for name, found in explanation.relevance.items():
        same(found[7], alone[name][0], 1e-9)


def test_relevance_is_found_at_the_states_too() -> None:
    model = Reader(nn.LSTM(IN, HIDDEN, batch_first=True, num_layers=2)).double().eval()
    x = inputs()
    explanation = xaicore.explain(model, x, method="lstm.lrp_all", target=0, record=["memory"])
    states = explanation.recorded["memory"]
    assert states.shape == (3, STEPS, HIDDEN) and not states[:, :-1].any() and states[:, -1].abs().max() > 0


@pytest.mark.parametrize("method", ["lstm.lrp_all", "lstm.lrp_half"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_narrow_types_stay_near_float64(method: str, dtype: torch.dtype) -> None:
    model = Reader(nn.GRU(IN, HIDDEN, batch_first=True)).double().eval()
    x = inputs(8)
    exact = xaicore.explain(model, x, method=method, epsilon=0.1, target=0).relevance
    found = xaicore.explain(model.to(dtype), x.to(dtype), method=method, epsilon=0.1, target=0).relevance
    assert found.dtype == dtype and found.isfinite().all()
    gap = (found.double() - exact).abs().max() / exact.abs().max()
    assert gap < (1e-4 if dtype == torch.float32 else 0.3)


def test_time_first_and_single_sequences_get_the_same() -> None:
    class TimeFirst(Reader):
        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.memory(x.transpose(0, 1))[0][-1])

    class Alone(Reader):
        def forward(self, x: Tensor) -> Tensor:
            return torch.stack([self.head(self.memory(each)[0][-1]) for each in x.unbind(0)])

    batch_first = Reader(nn.LSTM(IN, HIDDEN, batch_first=True, num_layers=2)).double()
    time_first = TimeFirst(nn.LSTM(IN, HIDDEN, num_layers=2)).double()
    time_first.load_state_dict(batch_first.state_dict())
    alone = Alone(batch_first.memory).double()
    alone.load_state_dict(batch_first.state_dict())
    x = inputs()
    expected = relevance(batch_first, x)
    same(relevance(time_first, x), expected)
    same(relevance(alone, x), expected)


def test_an_explanation_through_a_memory_can_be_differentiated() -> None:
    model = Reader(nn.LSTM(IN, HIDDEN, batch_first=True)).double().eval()
    x = inputs(2).requires_grad_()

    def total(x: Tensor) -> Tensor:
        analyzer = xaicore.create_analyzer("lstm.lrp_all", model, epsilon=0.1)
        return analyzer.analyze(x, 0, create_graph=True).relevance

    found = torch.autograd.grad((total(x) ** 2).sum(), x)[0]
    step = 1e-6
    for index in [(0, 0, 0), (0, 3, 1), (1, 4, 2)]:
        moved = torch.zeros_like(x)
        moved[index] = step
        with torch.no_grad():
            numeric = ((total(x + moved) ** 2).sum() - (total(x - moved) ** 2).sum()) / (2 * step)
        assert float(found[index]) == pytest.approx(float(numeric), rel=1e-4, abs=1e-9)


def test_torch_is_as_it_was_after_a_packed_capture() -> None:
    before = nn.LSTM.forward
    model = Sentences(nn.LSTM(IN, HIDDEN, batch_first=True), batch_first=True)
    relevance(model, (torch.randint(12, (2, 4)), torch.tensor([4, 2])))
    assert nn.LSTM.forward is before
    packed = pack_padded_sequence(torch.randn(3, 2, IN), torch.tensor([3, 1]))
    assert packed.data.shape == (4, IN)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"product": "signl"}, "product='signl'.*signal"),
        ({"linear": "epsilon"}, "linear='epsilon' is no rule for linear layers"),
    ],
)
def test_a_rule_refuses_what_it_does_not_know(options: dict[str, Any], message: str) -> None:
    with pytest.raises(xaicore.XaicoreError, match=message):
        RecurrentRule(**options)


def test_z_box_is_refused_in_a_cell() -> None:
    from xai_lrp import ZBox

    with pytest.raises(xaicore.XaicoreError, match="z-box is for inputs between known bounds"):
        RecurrentRule(linear=ZBox(0, 1))


@pytest.mark.parametrize("bias", ["absorbed", None])
def test_a_method_refuses_an_unknown_bias_mode(bias: Any) -> None:
    with pytest.raises(xaicore.XaicoreError, match="bias="):
        xaicore.create_analyzer("lstm.lrp_all", Reader(nn.LSTM(IN, HIDDEN)), bias=bias)


def test_a_packed_sequence_as_an_input_is_refused_with_what_to_give_instead() -> None:
    class OfPacked(Reader):
        def forward(self, packed: Any) -> Tensor:
            return self.head(self.memory(packed)[1][0][-1])

    packed = pack_padded_sequence(torch.randn(3, 2, IN), torch.tensor([3, 1]))
    with pytest.raises(InputError, match=r"PackedSequence.*padded.*lengths"):
        xaicore.explain(OfPacked(nn.LSTM(IN, HIDDEN)), packed, method="lstm.lrp_all")


@pytest.mark.parametrize("method", METHODS)
def test_a_mixture_by_lerp_gets_what_the_mixture_written_out_gets(method: str) -> None:
    class Mixing(nn.Module):
        def __init__(self, mix: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.update, self.candidate = nn.Linear(IN + HIDDEN, HIDDEN), nn.Linear(IN + HIDDEN, HIDDEN)
            self.mix = mix

        def forward(self, x: Tensor) -> Tensor:
            h = x.new_zeros(x.shape[0], HIDDEN)
            for step in x.unbind(1):
                given = torch.cat([step, h], 1)
                h = self.mix(h, torch.tanh(self.candidate(given)), torch.sigmoid(self.update(given)))
            return h

    x = inputs()
    found, expected = (relevance(Mixing(mix), x, method) for mix in (torch.lerp, lambda h, n, u: (1 - u) * h + u * n))
    same(found, expected)
