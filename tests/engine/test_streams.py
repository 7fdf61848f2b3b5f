"""Batches that come one after the other."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset, TensorDataset

from xaicore.analyzers import ExpansionAnalyzer, PropagationAnalyzer, TranslationAverage
from xaicore.analyzers.streaming import explained_batches
from xaicore.engine import Batch, Block, Engine, batches
from xaicore.engine.streams import ahead, is_stream
from xaicore.errors import InputError, ParameterError, TargetError

X = torch.randn(10, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(10) % 3


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8, 3))


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (X, False),
        (np.zeros(3), False),
        ((X, X), False),
        ({"x": X}, False),
        ([[1.0, 2.0]], False),
        (iter([X]), True),
        (DataLoader(TensorDataset(X), 2), True),
        (range(3), True),
    ],
)
def test_one_batch_is_told_from_many(inputs: Any, expected: bool) -> None:
    assert is_stream(inputs) is expected


def test_a_data_loader_is_explained_like_its_data_at_once(model: nn.Module) -> None:
    analyzer = PropagationAnalyzer(model)
    loader = DataLoader(TensorDataset(X), batch_size=4)
    assert torch.allclose(analyzer.analyze(loader, 1).relevance, analyzer.analyze(X, 1).relevance, atol=1e-7)


def test_batches_may_bring_their_targets(model: nn.Module) -> None:
    analyzer = PropagationAnalyzer(model)
    loader = DataLoader(TensorDataset(X, LABELS), batch_size=4)
    found = analyzer.analyze(batches(loader, inputs=0, target=1))
    assert found.target["index"] == LABELS.tolist()
    assert torch.allclose(found.relevance, analyzer.analyze(X, LABELS).relevance, atol=1e-7)


def test_entries_are_taken_by_position_by_key_or_by_a_function() -> None:
    items = [{"image": X[:2], "label": LABELS[:2]}]
    by_key = next(iter(batches(items, inputs="image", target="label")))
    by_function = next(iter(batches(items, inputs=lambda item: item["image"] * 2)))
    several = next(iter(batches([(1, 2, 3)], inputs=(0, 2))))
    assert torch.equal(by_key.inputs, X[:2]) and torch.equal(by_key.target, LABELS[:2])
    assert torch.equal(by_function.inputs, X[:2] * 2)
    assert several == Batch((1, 3))
    with pytest.raises(InputError, match=r"no entry 'picture'.*keys \['image', 'label'\]"):
        next(iter(batches(items, inputs="picture")))


def test_two_targets_for_a_batch_are_refused(model: nn.Module) -> None:
    with pytest.raises(TargetError, match="leave target= out"):
        PropagationAnalyzer(model).analyze(iter([Batch(X, 1)]), target=2)


def test_an_empty_stream_is_refused(model: nn.Module) -> None:
    with pytest.raises(InputError, match="holds no batch"):
        PropagationAnalyzer(model).analyze(iter([]))


def test_averages_take_streams_too(model: nn.Module) -> None:
    analyzer = TranslationAverage(PropagationAnalyzer(model), shifts=1)
    whole = analyzer.analyze(X, 0).relevance
    assert torch.allclose(analyzer.analyze(iter([X[:3], X[3:]]), 0).relevance, whole, atol=1e-7)


def test_one_engine_reports_on_the_whole_stream(model: nn.Module) -> None:
    engine = Engine()
    PropagationAnalyzer(model).analyze(iter([X[:3], X[3:]]), 0, engine=engine)
    assert engine.report.rows == 10 and engine.report.batches == {3: 1, 7: 1}


def test_an_engine_and_settings_of_its_own_exclude_each_other(model: nn.Module) -> None:
    with pytest.raises(ParameterError, match="not both"):
        PropagationAnalyzer(model).analyze(X, engine=Engine(), batch_size=3)


def test_ctrl_c_returns_the_batches_that_are_finished(model: nn.Module) -> None:
    class Stopping(nn.Module):
        """A model that is stopped at its third batch, which has a size of its own."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x: Tensor) -> Tensor:
            return self.inner(x)

    analyzer = PropagationAnalyzer(Stopping())

    class Interrupted(PropagationAnalyzer):
        calls = 0

        def build_composite(self) -> Any:
            type(self).calls += 1
            if type(self).calls == 3:
                raise KeyboardInterrupt
            return super().build_composite()

    engine = Engine()
    found = Interrupted(analyzer.model).analyze(iter([X[:2], X[2:5], X[5:]]), 0, engine=engine)
    assert len(found) == 5 and engine.report.interrupted


def test_the_next_item_is_fetched_in_another_thread_while_one_is_used() -> None:
    threads = []
    fetched = [threading.Event() for _ in range(3)]

    def items() -> Iterator[int]:
        for number in range(3):
            threads.append(threading.current_thread())
            fetched[number].set()
            yield number

    seen = []
    for number in ahead(items(), lambda item: item):
        if number < 2:
            assert fetched[number + 1].wait(5)
        seen.append(number)
    assert seen == [0, 1, 2]
    assert threading.main_thread() not in threads


def test_a_stream_need_not_know_its_length(model: nn.Module) -> None:
    class Endless(IterableDataset[Tensor]):
        def __iter__(self) -> Iterator[Tensor]:
            return iter(X)

    analyzer = PropagationAnalyzer(model)
    whole = analyzer.analyze(X, 1).relevance
    pairs = ((X[start : start + 5], LABELS[start : start + 5] * 0 + 1) for start in (0, 5))
    for stream in (batches(pairs, inputs=0, target=1), DataLoader(Endless(), batch_size=4)):
        target = None if isinstance(stream, batches) else 1
        assert torch.allclose(analyzer.analyze(stream, target).relevance, whole, atol=1e-7)


@pytest.mark.parametrize("pressed_while", ["explained", "fetched"])
def test_ctrl_c_in_a_stream_is_noted_wherever_it_is_pressed(model: nn.Module, pressed_while: str) -> None:
    def stream() -> Iterator[Tensor]:
        for number in range(5):
            if number == 3 and pressed_while == "fetched":
                signal.raise_signal(signal.SIGINT)
            yield X[2 * number : 2 * number + 2]

    calls = []

    def target(output: Tensor) -> Tensor:
        calls.append(None)
        if len(calls) == 3 and pressed_while == "explained":
            signal.raise_signal(signal.SIGINT)
        return output[:, 0]

    engine = Engine()
    # Each batch is one run: the one in which it is pressed is finished.
    sizes = [len(part) for part in explained_batches(PropagationAnalyzer(model), stream(), target, engine=engine)]
    assert engine.report.interrupted and 2 * len(sizes) < len(X) and set(sizes) == {2}


def test_an_error_that_is_kept_does_not_keep_ctrl_c(model: nn.Module) -> None:
    class Failing(ExpansionAnalyzer):
        needs_whole_batch = True

        def attribute(self, evaluation: Any, engine: Engine) -> Any:
            for _ in engine.sweep(evaluation.batch, 4, lambda block: block.rows):
                raise ValueError("of the method")

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="of the method") as kept:
        Failing(model).analyze(X)
    assert kept.value.__traceback__ is not None and signal.getsignal(signal.SIGINT) is before

    def press(block: Block) -> int:
        signal.raise_signal(signal.SIGINT)
        return block.rows

    assert len(list(Engine(batch_size=1).sweep(2, 1, press))) == 1
    assert len(list(Engine(batch_size=1).sweep(2, 1, lambda block: block.rows))) == 2
