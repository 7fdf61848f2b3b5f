"""Learning the masks of a batch: one step of Adam after the other, each in blocks that fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from xai_perturbation.learned_mask.masking import enlarged, rows_of, shifts_at
from xai_perturbation.learned_mask.penalties import off_area, roughness, size_of
from xaicore.analyzers import GraphEvaluation
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block, Engine
from xaicore.errors import ParameterError

if TYPE_CHECKING:
    from xai_perturbation.learned_mask.learned_mask import LearnedMask

Result = TypeVar("Result")

_GROWTH = 100.0
"""How many times as much it costs at the last step as at the first to miss an area."""


class Learning:
    """The masks of the samples of an evaluation, while they are learnt.

    Parameters
    ----------
    method : LearnedMask
        Its parameters.
    evaluation : GraphEvaluation
    masked : mapping of str to Tensor
        What is masked, (B, C, ...).
    dtype : torch.dtype
        Of the masks.

    Attributes
    ----------
    coarse : dict of str to Tensor
        How much is changed or kept, (B, areas, *size), between 0 and 1.
    reference : Tensor (B,)
        The explained value where everything is changed; known once `run` was called.
    """

    def __init__(
        self, method: LearnedMask, evaluation: GraphEvaluation, masked: Mapping[str, Tensor], dtype: torch.dtype
    ) -> None:
        self.method, self.evaluation, self.masked, self.dtype = method, evaluation, masked, dtype
        area = method.area
        areas = [] if area is None else [area] if isinstance(area, int | float) else list(area)
        self.areas = torch.tensor(areas, dtype=dtype, device=evaluation.device)
        self.reference = torch.zeros_like(evaluation.values)
        self._fill = evaluation.own(resolve_baseline(method.fill, what="fill"))
        self._fills = self._fill.at(masked, 0)
        self._found = torch.zeros(self._shape(), dtype=dtype, device=evaluation.device)
        self.coarse = {name: self._start(name, x) for name, x in masked.items()}

    def run(self, engine: Engine) -> int:
        """Learn; returns how many steps are done, fewer than asked for only after Ctrl-C."""
        inner = engine.within()
        self.reference = self._all_changed(inner)
        leaves = [each.requires_grad_() for each in self.coarse.values()]
        optimizer = torch.optim.Adam(leaves, lr=self.method.learning_rate)

        def step(block: Block) -> None:
            (number,) = block.steps
            self._fills = self._fill.at(self.masked, number % self._fill.count) if self._fill.count > 1 else self._fills
            gradients = self._gradients(number, inner)
            for leaf in leaves:
                leaf.grad = None
            with torch.enable_grad():
                self._penalty(number).sum().backward()
            for name, leaf in self.coarse.items():
                leaf.grad = gradients[name] if leaf.grad is None else leaf.grad + gradients[name]
            optimizer.step()
            with torch.no_grad():
                for leaf in leaves:
                    leaf.clamp_(0, 1)

        # Steps follow each other and cannot be run together; what can be parted is the work within them.
        sweep = engine.sweep(
            1, self.method.steps, step, device=self.evaluation.device, unit="step", divisible=False, outer=True
        )
        for _ in sweep:
            pass
        done = sweep.done[0]
        if done == self.method.steps:
            self._found = self._measured(inner)  # after Ctrl-C, nothing more is run
        for leaf in leaves:
            leaf.requires_grad_(False)
        return done

    def changed(self) -> dict[str, Tensor]:
        """How far each position is changed or kept, (B, areas, ...)."""
        return {
            name: enlarged(each.flatten(0, 1), self.masked[name].shape[2:]).unflatten(0, each.shape[:2])
            for name, each in self.coarse.items()
        }

    def scores(self) -> Tensor:
        """The score behind the masks, from 0 where all is changed to 1 where nothing is, (B, areas).

        After Ctrl-C, that before the last step.
        """
        return (self._found - self.reference[:, None]) / self._span()[:, None]

    def values_of(self, scores: Tensor) -> Tensor:
        """Explained values for such scores."""
        return scores * self._span()[:, None] + self.reference[:, None]

    def _start(self, name: str, x: Tensor) -> Tensor:
        size, lengths = self.method.size, x.shape[2:]
        sizes = [size] * len(lengths) if isinstance(size, int) else list(size)
        if len(sizes) != len(lengths):
            raise ParameterError(
                f"size={size!r} has {len(sizes)} entries; input {name!r} of shape {tuple(x.shape)} has {len(lengths)} "
                "dimensions behind the channels"
            )
        shape = (*self._shape(), *(min(n, length) for n, length in zip(sizes, lengths, strict=True)))
        # In the middle, so that every position can go either way.
        return torch.full(shape, 0.5, dtype=self.dtype, device=x.device)

    def _shape(self) -> tuple[int, int]:
        return self.evaluation.batch, max(1, len(self.areas))

    def _span(self) -> Tensor:
        """What all of the input makes of the explained value; scores are measured in it, whatever the model's units."""
        values = self.evaluation.values
        span = (values - self.reference).to(self.dtype)
        least = 1e-6 * values.abs().clamp_min(1).to(self.dtype)
        return torch.where(span.abs() > least, span, torch.ones_like(span))

    def _all_changed(self, engine: Engine) -> Tensor:
        found = torch.zeros_like(self.evaluation.values)
        nothing = {name: torch.full_like(each, self._all) for name, each in self.coarse.items()}

        def run(block: Block) -> Tensor:
            return self.evaluation.scores(self._rows(block, self._part(nothing, block), []), block)

        sweep = engine.sweep(len(found), 1, run, device=self.evaluation.device, footprint=self.evaluation.footprint)
        for block, values in sweep:
            found[block.start : block.stop] = values
        return found

    @property
    def _all(self) -> float:
        """The value of a mask that changes everything."""
        return 1.0 if self.method.mode == "delete" else 0.0

    def _measured(self, engine: Engine) -> Tensor:
        """The explained value behind the masks, (B, areas)."""
        found = torch.zeros_like(self._found)

        def run(block: Block) -> Tensor:
            return block.grid(self.evaluation.scores(self._rows(block, self._part(self.coarse, block), []), block))

        for block, values in self._sweep(engine, run):
            found[block.start : block.stop, block.first : block.last] = values.to(self.dtype)
        return found

    def _gradients(self, number: int, engine: Engine) -> dict[str, Tensor]:
        """The gradient of the signed score with respect to the coarse masks."""
        method = self.method
        found = {name: torch.zeros_like(each) for name, each in self.coarse.items()}
        dimensions = max(x.ndim - 2 for x in self.masked.values())
        shifts = shifts_at(number, method.jitter, dimensions, method.seed)
        sign = 1.0 if method.mode == "delete" else -1.0
        weight = sign / self._span()

        def run(block: Block) -> tuple[Tensor, dict[str, Tensor]]:
            leaves = {name: each.requires_grad_() for name, each in self._part(self.coarse, block).items()}
            with torch.enable_grad():
                rows = self._rows(block, leaves, shifts)
            values, arrived = self.evaluation.gradients({name: each.detach() for name, each in rows.items()}, block)
            outputs = [rows[name] for name in leaves]
            seeds = [arrived[name] * _along(block.repeat(weight), arrived[name]) for name in leaves]
            grads = torch.autograd.grad(outputs, list(leaves.values()), seeds)
            return block.grid(values), dict(zip(leaves, grads, strict=True))

        for block, (values, gradients) in self._sweep(engine, run):
            self._found[block.start : block.stop, block.first : block.last] = values.to(self.dtype)
            for name, each in gradients.items():
                found[name][block.start : block.stop, block.first : block.last] = each
        return found

    def _penalty(self, number: int) -> Tensor:
        method = self.method
        total = torch.zeros(self._shape(), dtype=self.dtype, device=self.evaluation.device)
        for each in self.coarse.values():
            if len(self.areas):
                growth = _GROWTH ** (number / max(1, method.steps - 1))
                weight = 1.0 if method.area_weight is None else method.area_weight
                total = total + weight * growth * off_area(each, self.areas)
            else:
                total = total + (0.1 if method.area_weight is None else method.area_weight) * size_of(each)
            total = total + method.smoothness * roughness(each, method.beta)
        return total

    def _part(self, coarse: Mapping[str, Tensor], block: Block) -> dict[str, Tensor]:
        """The coarse masks of a block, (samples, areas, ...) each."""
        return {
            name: each.detach()[block.start : block.stop, block.first : block.last] for name, each in coarse.items()
        }

    def _rows(self, block: Block, coarse: Mapping[str, Tensor], shifts: list[int]) -> dict[str, Tensor]:
        large = {name: enlarged(each.flatten(0, 1), self.masked[name].shape[2:]) for name, each in coarse.items()}
        kept = {name: 1 - each if self.method.mode == "delete" else each for name, each in large.items()}
        return rows_of(self.evaluation.varied, self._fills, kept, shifts, block)

    def _sweep(self, engine: Engine, function: Callable[[Block], Result]) -> Iterator[tuple[Block, Result]]:
        """All masks of all samples."""
        samples, areas = self._shape()
        device, footprint = self.evaluation.device, self.evaluation.footprint
        return iter(engine.sweep(samples, areas, function, device=device, footprint=footprint))


def _along(weights: Tensor, like: Tensor) -> Tensor:
    """One weight a row, shaped to multiply rows."""
    return weights.to(like.dtype).view(-1, *[1] * (like.ndim - 1))
