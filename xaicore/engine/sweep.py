"""A sweep: all steps of all samples, in blocks that fit into memory."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

import torch

from xaicore.engine.blocks import Block, blocks_of
from xaicore.engine.interrupts import Interrupts
from xaicore.engine.memory import Footprint, forget_peak, free_memory, peak_memory, ran_out, release
from xaicore.engine.progress import progress_bar
from xaicore.errors import OutOfMemoryError

if TYPE_CHECKING:
    from xaicore.engine.engine import Engine

Result = TypeVar("Result")


class Sweep(Generic[Result]):
    """The blocks of a run and what was computed for each; made by `Engine.sweep`, iterated over once.

    Blocks come sample by sample: some samples with all their steps, then the next. Where memory runs out, the block
    is run again in halves, and so are those that follow; what is finished stays. Ctrl-C ends the iteration after the
    block that is running (a second one at once); `finished` then says how far it came. Where nobody says how much
    memory a row takes, ``batch_size="auto"`` is one step of all samples.

    Attributes
    ----------
    done : list of int
        For each sample, how many of its steps are finished.

    Examples
    --------
    >>> sweep = Engine(batch_size=4).sweep(2, 3, lambda block: block.rows)
    >>> [(block.start, list(block.steps), rows) for block, rows in sweep]
    [(0, [0, 1], 4), (0, [2], 2)]
    """

    def __init__(
        self,
        engine: Engine,
        samples: int,
        steps: int,
        function: Callable[[Block], Result],
        device: torch.device,
        footprint: Footprint | None,
        unit: str,
        divisible: bool,
        outer: bool,
    ) -> None:
        self.engine, self.samples, self.steps, self.function = engine, samples, steps, function
        self.device, self.footprint, self.unit, self.divisible = device, footprint, unit, divisible
        self.outer = outer
        self.done = [0] * samples
        self.interrupted = False

    @property
    def finished(self) -> int:
        """How many samples are finished, counted from the first; less than all only after Ctrl-C."""
        return next((number for number, done in enumerate(self.done) if done < self.steps), self.samples)

    def __iter__(self) -> Iterator[tuple[Block, Result]]:
        engine, report = self.engine, self.engine.report
        report.device = str(self.device)
        waiting = deque(self._blocks())
        show = False if len(waiting) == 1 and engine.progress is None else engine.progress
        if not report.batches:  # what earlier runs of this engine took counts too
            forget_peak(self.device)
        with Interrupts() as interrupts, progress_bar(self.samples * self.steps, show=show, unit=self.unit) as bar:
            while waiting and not interrupts.asked:
                block = waiting.popleft()
                attempt = None if self._too_large(block) else self._attempt(block)
                if attempt is None:
                    waiting.extendleft(reversed(self._smaller(block)))
                    continue
                if not attempt:
                    break
                if not self.outer:
                    report.count(block.rows)
                for sample in range(block.start, block.stop):
                    self.done[sample] += len(block.steps)
                bar.update(block.rows)
                yield block, attempt.pop()
            self.interrupted |= bool(waiting) and interrupts.asked
        peak = peak_memory(self.device)
        report.peak_memory = max(filter(None, (report.peak_memory, peak)), default=None)
        # What runs inside an outer sweep has said so already.
        report.interrupted = self.interrupted or (self.outer and report.interrupted)
        if self.interrupted and (engine.nested or not any(self.done)):
            raise KeyboardInterrupt

    def _blocks(self) -> Iterator[Block]:
        if not self.divisible:
            rows = self.samples * self.steps if self.steps == 1 else self.samples
            return blocks_of(self.samples, self.steps, rows)
        unknown = self.footprint is None and self.engine.batch_size == "auto"
        rows_at_once = self.samples if unknown else self.engine.rows(self.footprint, self.device)
        return blocks_of(self.samples, self.steps, self.samples * self.steps if rows_at_once is None else rows_at_once)

    def _attempt(self, block: Block) -> list[Result] | None:
        """Run a block: its one result, no result after Ctrl-C, None where memory ran out."""
        try:
            if self.outer:
                return [self.function(block)]
            with self.engine.report.phase("run"), self.engine.computing(self.device):
                return [self.function(block)]
        except KeyboardInterrupt:
            self.interrupted = True
            return []
        except (RuntimeError, MemoryError) as error:
            if not ran_out(error) or isinstance(error, OutOfMemoryError):
                raise
            reason = str(error).partition("\n")[0]
        # Behind the handler: the error held on to what the failed run had made.
        release(self.device)
        if not self._can_shrink(block):
            raise OutOfMemoryError(
                f"Memory ran out on {self.device} with {block.rows} "
                f"{'row' if block.rows == 1 else 'rows that cannot be run apart'} at a time: {reason}. "
                "Free memory, use smaller inputs or a lower precision, or explain at a later layer."
            )
        return None

    def _too_large(self, block: Block) -> bool:
        """Whether a block is known not to fit: memory ran out with fewer rows, or would by the estimate."""
        most = self.engine.most_rows
        if most is not None and block.rows > most and self._can_shrink(block):
            return True
        if self.footprint is None or not self._can_shrink(block):
            return False
        limit = self.engine.memory_limit
        room = limit if limit is not None else free_memory(self.device) if self.device.type == "cpu" else None
        return room is not None and block.rows * self.footprint.total > room

    def _can_shrink(self, block: Block) -> bool:
        return len(block.steps) > 1 or (block.samples > 1 and self.divisible)

    def _smaller(self, block: Block) -> list[Block]:
        engine = self.engine
        engine.report.too_large.append(block.rows)
        most = max(1, math.ceil(block.rows / 2))
        engine.most_rows = most if engine.most_rows is None else min(most, engine.most_rows)
        return list(block.halves())
