"""Blocks, back-off when memory runs out, Ctrl-C, and what the report says of them."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from torch import Tensor

from xaicore.engine import Block, Engine, Footprint, generator
from xaicore.engine.memory import parse_bytes
from xaicore.errors import OutOfMemoryError, ParameterError


def cells(block: Block) -> list[tuple[int, int]]:
    """The samples and steps of a block, row by row."""
    return [(sample, step) for sample in range(block.start, block.stop) for step in block.steps]


def grid(samples: int, steps: int) -> list[tuple[int, int]]:
    return [(sample, step) for sample in range(samples) for step in range(steps)]


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7, 64, None, "auto"])
@pytest.mark.parametrize(("samples", "steps"), [(1, 1), (1, 10), (5, 1), (4, 6), (33, 3)])
def test_every_step_of_every_sample_is_run_once(samples: int, steps: int, batch_size: Any) -> None:
    sweep = Engine(batch_size).sweep(samples, steps, cells, footprint=Footprint(1, 1))
    run = [cell for _, found in sweep for cell in found]
    assert sorted(run) == grid(samples, steps)
    assert sweep.finished == samples


@pytest.mark.parametrize("batch_size", [1, 2, 3, 7])
def test_no_block_has_more_rows_than_the_batch_size(batch_size: int) -> None:
    sizes = [block.rows for block, _ in Engine(batch_size).sweep(5, 4, cells)]
    assert max(sizes) <= batch_size


def test_rows_are_ordered_sample_by_sample() -> None:
    block = Block(1, 3, 4, 6)
    x = torch.tensor([0.0, 10.0, 20.0, 30.0])
    assert block.repeat(x).tolist() == [10, 10, 20, 20] and block.numbers().tolist() == [1, 1, 2, 2]
    rows = (block.cross(x) + torch.tensor(list(block.steps))).flatten()
    assert rows.tolist() == [14, 15, 24, 25]
    assert block.grid(rows).tolist() == [[14, 15], [24, 25]]


class Memory:
    """Stands for a device that holds so many rows."""

    def __init__(self, most: int, error: Callable[[], Exception]) -> None:
        self.most, self.error, self.calls = most, error, list[int]()

    def __call__(self, block: Block) -> list[tuple[int, int]]:
        self.calls.append(block.rows)
        if block.rows > self.most:
            raise self.error()
        return cells(block)


OUT_OF_MEMORY: list[Callable[[], Exception]] = [
    lambda: torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
    lambda: RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    MemoryError,
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=["cuda", "cpu", "python"])
@pytest.mark.parametrize("most", [1, 2, 3, 10])
@pytest.mark.parametrize(("samples", "steps"), [(1, 16), (16, 1), (3, 7)])
def test_a_batch_for_which_memory_runs_out_is_run_in_halves(
    samples: int, steps: int, most: int, error: Callable[[], Exception]
) -> None:
    memory = Memory(most, error)
    engine = Engine(batch_size=None)
    run = [cell for _, found in engine.sweep(samples, steps, memory) for cell in found]
    assert sorted(run) == grid(samples, steps)
    assert len(run) == samples * steps  # nothing was run twice
    assert all(size > most for size in engine.report.too_large)
    assert max(engine.report.batches) <= most


def test_what_did_not_fit_once_is_not_tried_again() -> None:
    memory = Memory(4, MemoryError)
    list(Engine(batch_size=16).sweep(1, 160, memory))
    assert [size for size in memory.calls if size > 4] == [16, 8]


def test_one_row_that_does_not_fit_is_an_error_that_says_so() -> None:
    with pytest.raises(OutOfMemoryError, match=r"1 row at a time.*Free memory, use smaller inputs"):
        list(Engine().sweep(2, 2, Memory(0, MemoryError)))


def test_samples_that_belong_together_are_not_run_apart() -> None:
    blocks = [block for block, _ in Engine(batch_size=1).sweep(4, 1, cells, divisible=False)]
    assert blocks == [Block(0, 4, 0, 1)]
    with pytest.raises(OutOfMemoryError, match="cannot be run apart"):
        list(Engine().sweep(4, 1, Memory(2, MemoryError), divisible=False))


def test_other_errors_are_not_taken_for_a_lack_of_memory() -> None:
    def fail(block: Block) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        list(Engine().sweep(4, 4, fail))


def test_a_memory_limit_bounds_the_batches_before_they_are_tried() -> None:
    engine = Engine(batch_size=64, memory_limit=1000)
    memory = Memory(5, AssertionError)
    run = [cell for _, found in engine.sweep(4, 16, memory, footprint=Footprint(200, 1)) for cell in found]
    assert sorted(run) == grid(4, 16) and max(memory.calls) <= 5
    assert engine.report.too_large[0] == 64
    assert (
        max(block.rows for block, _ in Engine(memory_limit=1000).sweep(4, 16, cells, footprint=Footprint(200, 1))) <= 5
    )


@pytest.mark.parametrize(
    ("written", "size"), [(1000, 1000), ("2 KB", 2000), ("1.5GiB", 3 * 2**29), ("3 MiB", 3 * 2**20)]
)
def test_memory_is_written_as_people_write_it(written: Any, size: int) -> None:
    assert parse_bytes(written) == size


@pytest.mark.parametrize("written", ["much", 0, -1, "0 MB", 1.5, True])
def test_what_is_no_amount_of_memory_is_refused(written: Any) -> None:
    with pytest.raises(ParameterError, match="memory_limit"):
        Engine(memory_limit=written)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ParameterError, match=r"bfloat16.*Did you mean 'float16'"):
        Engine(precision="flaot16")


@pytest.mark.parametrize(("precision", "dtype"), [(None, torch.float32), ("bfloat16", torch.bfloat16)])
def test_the_precision_holds_while_a_block_runs_and_not_after(precision: str | None, dtype: torch.dtype) -> None:
    def product(block: Block) -> torch.dtype:
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    for _, found in Engine(precision=precision).sweep(1, 2, product):
        assert found == dtype
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32


def press_at(step: int) -> Callable[[Block], int]:
    def run(block: Block) -> int:
        if block.first == step:
            signal.raise_signal(signal.SIGINT)
        return block.rows

    return run


def test_ctrl_c_ends_the_run_behind_the_block_that_is_running() -> None:
    engine = Engine(batch_size=1)
    sweep = engine.sweep(3, 5, press_at(2))
    assert len(list(sweep)) == 3
    assert sweep.done == [3, 0, 0] and sweep.finished == 0 and engine.report.interrupted


def test_after_ctrl_c_the_finished_samples_are_known() -> None:
    def press(block: Block) -> None:
        if block.start == 2 and block.first == 3:
            signal.raise_signal(signal.SIGINT)

    sweep = Engine(batch_size=2).sweep(6, 5, press)
    assert len(list(sweep)) == 9
    assert sweep.done == [5, 5, 4, 4, 0, 0] and sweep.finished == 2


def test_ctrl_c_before_anything_is_finished_is_raised() -> None:
    def interrupt(block: Block) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(Engine(batch_size=1).sweep(3, 5, interrupt))


def test_ctrl_c_in_a_run_within_another_ends_both_and_leaves_half_results_out() -> None:
    engine = Engine(batch_size=2)

    def outer(block: Block) -> int:
        inner = engine.within(batch_size=1)
        return sum(rows for _, rows in inner.sweep(1, 4, press_at(2 if block.start else -1)))

    sweep = engine.sweep(6, 1, outer)
    assert [found for _, found in sweep] == [4]
    assert sweep.finished == 2


def test_a_run_in_another_thread_neither_stops_nor_keeps_ctrl_c() -> None:
    begun, pressed = threading.Event(), threading.Event()

    def wait(block: Block) -> int:
        begun.set()
        assert pressed.wait(5)
        return block.rows

    with ThreadPoolExecutor(1) as pool:
        beside = pool.submit(lambda: list(Engine(batch_size=1).sweep(2, 1, wait)))
        assert begun.wait(5)
        assert len(list(Engine(batch_size=1).sweep(3, 1, press_at(0)))) == 1
        assert len(list(Engine(batch_size=1).sweep(3, 1, cells))) == 3
        pressed.set()
        assert len(beside.result()) == 2


def test_the_handler_of_ctrl_c_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    list(Engine(batch_size=1).sweep(2, 2, cells))
    assert signal.getsignal(signal.SIGINT) is before
    own = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        list(Engine(batch_size=1).sweep(2, 2, press_at(0)))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, own)


def test_the_report_tells_time_batches_and_memory() -> None:
    engine = Engine(batch_size=4)
    list(engine.sweep(2, 5, cells))
    report = engine.report
    assert report.rows == 10 and report.batches == {4: 2, 2: 1}
    assert report.seconds["run"] >= 0 and report.peak_memory and report.peak_memory > 2**20
    text = str(report)
    assert "batch sizes    4 (2 x), 2 (1 x)" in text and "rows           10" in text and "peak memory" in text


def draw(*keys: int) -> Tensor:
    return torch.rand(1000, generator=generator(*keys))


def test_random_numbers_depend_on_the_seed_and_on_each_key() -> None:
    assert torch.equal(draw(0, 1), draw(0, 1))
    for other in [(0, 2), (1, 1), (1, 0), (0, 1, 0)]:
        correlation = torch.corrcoef(torch.stack([draw(0, 1), draw(*other)]))[0, 1]
        assert abs(float(correlation)) < 0.15


def test_nothing_to_run_is_nothing_run() -> None:
    assert list(Engine().sweep(0, 3, cells)) == list(Engine().sweep(3, 0, cells)) == []


def test_float32_means_without_autocast() -> None:
    def product(block: Block) -> torch.dtype:
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype

    with torch.autocast("cpu", torch.bfloat16):
        assert next(iter(Engine().sweep(1, 1, product)))[1] == torch.bfloat16
        assert next(iter(Engine(precision="float32").sweep(1, 1, product)))[1] == torch.float32
