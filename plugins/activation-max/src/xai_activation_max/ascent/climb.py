"""The loop: step by step uphill, each row until it no longer rises."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from xai_activation_max.ascent.objective import Evaluated, Objective
from xai_activation_max.ascent.optimizers import stepper_for
from xaicore.engine import Block, Engine


@dataclass(frozen=True)
class Climb:
    """Where a search has come to.

    Attributes
    ----------
    leaves : list of Tensor
        The best that each row has found; under random changes, where it has come to.
    trace : Tensor (steps, N)
        The objective at the beginning of each step; NaN behind the step at which a row stopped.
    taken : Tensor (N,)
        How many steps each row took.
    interrupted : bool
        By Ctrl-C.
    """

    leaves: list[Tensor]
    trace: Tensor
    taken: Tensor
    interrupted: bool


def climb(
    objective: Objective,
    leaves: list[Tensor],
    engine: Engine,
    *,
    optimizer: Any,
    learning_rate: float | None,
    steps: int,
    tolerance: float,
    patience: int | None,
) -> Climb:
    """Maximise; the parameters are those of `PrototypeSearch`."""
    stepper = stepper_for(optimizer, leaves, learning_rate, steps)
    project = getattr(objective.parametrization, "project", None)
    state = _State(leaves, steps, remembers=not objective.transforms)

    def step(block: Block) -> None:
        (number,) = block.steps

        def evaluate(at: list[Tensor]) -> Evaluated:
            return objective.evaluate(at, number)

        found = evaluate(leaves)
        state.note(number, found.objective, leaves)
        state.stop(number, leaves, tolerance, patience)
        if state.active.any():
            at_rest = stepper.step(found, evaluate)
            if at_rest is not None:
                state.active &= ~at_rest
            if project is not None:
                project(leaves)
            state.hold(leaves)
            objective.narrow(state.active)

    sweep = engine.sweep(1, steps, step, device=leaves[0].device, unit="step", divisible=False, outer=True)
    for _ in sweep:
        if not state.active.any():
            break
    state.finish(objective.measure(leaves), leaves)
    return Climb([each.detach() for each in state.kept], state.trace[: state.steps], state.taken, sweep.interrupted)


class _State:
    """What is known of each row while it climbs."""

    def __init__(self, leaves: list[Tensor], steps: int, remembers: bool) -> None:
        rows, device = len(leaves[0]), leaves[0].device
        self.remembers = remembers
        """Whether the best point is kept; under random changes no two values can be compared."""
        self.kept = [leaf.detach().clone() for leaf in leaves]
        self.best = torch.full((rows,), -math.inf, dtype=torch.float64, device=device)
        self.trace = torch.full((steps, rows), math.nan, dtype=torch.float64, device=device)
        self.active = torch.ones(rows, dtype=torch.bool, device=device)
        self.taken = torch.zeros(rows, dtype=torch.long, device=device)
        self.steps = 0

    def note(self, number: int, objective: Tensor, leaves: list[Tensor]) -> None:
        """Take down the objective before a step."""
        self.trace[number] = torch.where(self.active, objective.double(), math.nan)
        self.taken += self.active
        self.steps = number + 1
        if self.remembers:
            self._keep(self.active & (objective > self.best), leaves)
            self.best = torch.where(self.active, torch.maximum(self.best, objective.double()), self.best)

    def stop(self, number: int, leaves: list[Tensor], tolerance: float, patience: int | None) -> None:
        """Let rows rest whose mean over the last steps is not above that over as many before."""
        if patience is None or number + 1 < 2 * patience:
            return
        last = self.trace[number + 1 - patience : number + 1].mean(0)
        before = self.trace[number + 1 - 2 * patience : number + 1 - patience].mean(0)
        resting = self.active & (last - before < tolerance * last.abs().clamp_min(1))
        if not self.remembers:
            self._keep(resting, leaves)
        self.active &= ~resting

    def hold(self, leaves: list[Tensor]) -> None:
        """Put rows that rest back to where they are best, whatever the optimizer made of them."""
        if not bool(self.active.all()):
            with torch.no_grad():
                for kept, leaf in zip(self.kept, leaves, strict=True):
                    leaf[~self.active] = kept[~self.active]

    def finish(self, objective: Tensor, leaves: list[Tensor]) -> None:
        """Take down the end of the rows that climbed to the last."""
        better = self.active & (objective > self.best) if self.remembers else self.active
        self._keep(better, leaves)

    def _keep(self, rows: Tensor, leaves: list[Tensor]) -> None:
        with torch.no_grad():
            for kept, leaf in zip(self.kept, leaves, strict=True):
                kept[rows] = leaf[rows]
