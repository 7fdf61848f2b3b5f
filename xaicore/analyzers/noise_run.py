"""One batch explained through its noisy copies: block by block, each reduced before the next is made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from xaicore.analyzers.averages import Averages, Moments, moments_of
from xaicore.analyzers.base import Analyzer, check_is_module
from xaicore.analyzers.joint import footprint_of_a_sample
from xaicore.analyzers.noisy_copies import NoisyCopies
from xaicore.analyzers.propagation import PropagationAnalyzer
from xaicore.analyzers.targets import resolve_target
from xaicore.engine import Block, Engine, Footprint, Sweep
from xaicore.explanation import Diagnostics, Explanation

_NUMBER = re.compile(r"\d[\d.e+-]*")


@dataclass(frozen=True)
class Found:
    """What is kept of the explanation of a block; ``changed`` is the share of copies with another predicted class."""

    relevance: dict[str, Moments]
    recorded: dict[str, Moments]
    changed: dict[str, Moments]
    several: bool
    method: str
    parameters: dict[str, Any]
    layer: str | None
    fallbacks: list[str]
    notes: list[str]


class NoiseRun:
    """The copies of one batch, the class that is explained in all of them, and what was found.

    Parameters
    ----------
    analyzer : Analyzer
        Explains the copies.
    copies : NoisyCopies
    samples : int
        How many of each sample.
    reduce : str
        One of `REDUCTIONS`.
    target, output
        As in ``analyze``.
    engine : Engine
    options : dict
        More options of the analyzer's ``analyze``.
    """

    def __init__(
        self,
        analyzer: Analyzer,
        copies: NoisyCopies,
        samples: int,
        reduce: str,
        target: Any,
        output: str | int | None,
        engine: Engine,
        options: Mapping[str, Any],
    ) -> None:
        self.analyzer, self.copies, self.samples, self.reduce = analyzer, copies, samples, reduce
        self.engine, self.output, self.options = engine, output, dict(options)
        self._footprint = self._footprint_of_a_copy()
        self.prediction = self._predicted()
        self.target = resolve_target(target, output).located(self.prediction)
        self._inner = self._inner_engine()
        self._relevance, self._recorded, self._changed = (Averages(copies.batch) for _ in range(3))
        self._notes: dict[str, str] = {}
        self._fallbacks: dict[str, None] = {}

    def _footprint_of_a_copy(self) -> Footprint | None:
        """Of a walk, from its graph; other methods run the model as often as they need and see to memory themselves."""
        if self.engine.batch_size != "auto" or not isinstance(self.analyzer, PropagationAnalyzer):
            return None
        with self.engine.report.phase("prepare"):
            model = check_is_module(self.analyzer.model)
            return footprint_of_a_sample(model, self.copies.prepared, [self.analyzer.build_composite()])

    def _predicted(self) -> Tensor:
        """The output for the inputs as they are."""

        def predict(block: Block) -> Tensor:
            return self.analyzer.predict(self.copies.clean(block), output=self.output).detach()

        copies, engine = self.copies, self.engine.within()
        sweep = engine.sweep(
            copies.batch, 1, predict, device=copies.device, footprint=self._footprint, divisible=copies.divisible
        )
        return torch.cat([found for _, found in sweep])

    def _inner_engine(self) -> Engine:
        """A walk takes a block at once, since it was cut for it; other methods go on as the engine says."""
        walks = isinstance(self.analyzer, PropagationAnalyzer)
        return self.engine.within(batch_size=None) if walks else self.engine.within()

    def explanation(self, **own: Any) -> Explanation:
        """Explain all copies, or those that are finished when Ctrl-C is pressed.

        ``own`` are fields of the explanation that belong to the method: its name and parameters.
        """
        copies = self.copies
        sweep = self.engine.sweep(
            copies.batch,
            self.samples,
            self._explain,
            device=copies.device,
            footprint=self._footprint,
            unit="copy",
            divisible=copies.divisible,
            outer=True,
        )
        for block, found in sweep:
            self._add(block, found)
        relevance = self._like_the_inputs(found)
        explanation = Explanation(
            relevance=relevance,
            prediction=self.prediction,
            target=self.target.describe(self.prediction),
            diagnostics=Diagnostics.measure(
                relevance,
                self.target.score(self.prediction),
                conserving=False,
                fallbacks=self._fallbacks,
                notes=[*copies.notes(), *self._notes.values(), *self._notes_on_classes()],
            ),
            method=own["method"],
            parameters={"analyzer": found.method}
            | own["parameters"]
            | {f"analyzer__{name}": value for name, value in found.parameters.items()},
            inputs=copies.kept(),
            recorded=self._recorded.results(self.reduce),
            layer=found.layer,
        )
        return _of_what_was_begun(explanation, sweep)

    def _explain(self, block: Block) -> Found:
        copies = self.copies
        rows = self.target.take(block.numbers().tolist(), copies.batch)
        found = self.analyzer.analyze(copies.rows(block), rows, engine=self._inner, **self.options)
        relevance = found.relevance
        changed = {}
        if self.prediction.ndim == 2 and self.prediction.shape[1] > 1:
            others = found.prediction.argmax(1) != block.repeat(self.prediction.argmax(1))
            changed = {"": moments_of(others.float(), block, "mean", "", copies.batch)}

        def moments(tensors: Mapping[str, Tensor]) -> dict[str, Moments]:
            return {
                name: moments_of(each, block, self.reduce, name or found.layer or "the input", copies.batch)
                for name, each in tensors.items()
            }

        return Found(
            moments(relevance if isinstance(relevance, Mapping) else {"": relevance}),
            moments(found.recorded),
            changed,
            isinstance(relevance, Mapping),
            found.method,
            found.parameters,
            found.layer,
            found.diagnostics.fallbacks,
            found.diagnostics.notes,
        )

    def _add(self, block: Block, found: Found) -> None:
        self._relevance.add(block, found.relevance)
        self._recorded.add(block, found.recorded)
        self._changed.add(block, found.changed)
        self._fallbacks |= dict.fromkeys(found.fallbacks)
        for note in found.notes:
            # What differs in numbers only (of this block, of that one) is said once.
            self._notes.setdefault(_NUMBER.sub("", note), note)

    def _like_the_inputs(self, found: Found) -> Tensor | dict[str, Tensor]:
        relevance = self._relevance.results(self.reduce)
        if found.layer is None:
            for name, tensor in relevance.items():
                own = self.copies.own.get(name if found.several else next(iter(self.copies.tensors)))
                relevance[name] = tensor if own is None else tensor.to(own.device, own.dtype)
        return relevance if found.several else relevance[""]

    def _notes_on_classes(self) -> list[str]:
        share = self._changed.results("mean").get("", torch.zeros(1))
        count = int((share > 0.5).sum())
        if not count:
            return []
        return [
            f"with this noise most copies of {count} of {len(share)} samples are predicted as another class: what is "
            "explained there is not what the model sees in the inputs as they are. Less noise stays closer"
        ]


def _of_what_was_begun(explanation: Explanation, sweep: Sweep[Any]) -> Explanation:
    """After Ctrl-C, the samples that were begun: an average over fewer copies is an estimate as well."""
    if sweep.finished == sweep.samples:
        return explanation
    begun = sum(done > 0 for done in sweep.done)
    fewest = min(done for done in sweep.done if done)
    if begun < sweep.samples:
        explanation = explanation[:begun]
    notes = [
        *explanation.diagnostics.notes,
        f"interrupted: {sweep.finished} of {sweep.samples} samples are averages over all {sweep.steps} copies, "
        f"{begun - sweep.finished} over {fewest} or more, and {sweep.samples - begun} are left out",
    ]
    return replace(explanation, diagnostics=replace(explanation.diagnostics, notes=notes))
