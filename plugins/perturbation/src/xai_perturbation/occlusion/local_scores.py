"""Scores of images with a window covered, where only what the window reaches is computed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from xai_perturbation.occlusion.covers import WindowCovers
from xai_perturbation.occlusion.local_forward import LocalForward
from xai_perturbation.occlusion.reach import Reach
from xaicore import trace
from xaicore.analyzers import Evaluation
from xaicore.engine import Block
from xaicore.errors import ParameterError
from xaicore.graph import Ref


class LocalScores:
    """What `Evaluation.scores` returns for covered windows, computed by a `LocalForward` of the model's graph.

    Raises
    ------
    ParameterError
        What is explained is no module with one input of images, or its graph computes something else than its output
        (of a model that ends in softmax, the logits).
    CaptureError
        The model has no graph.
    """

    def __init__(self, model: Any, evaluation: Evaluation, covers: Any) -> None:
        inputs = list(evaluation.varied.values())
        if not (
            isinstance(model, nn.Module)
            and isinstance(covers, WindowCovers)
            and evaluation.layer is None
            and len(inputs) == 1
            and inputs[0].ndim == 4
            and inputs[0].is_floating_point()
        ):
            raise ParameterError(
                "local=True is for windows over the one input (B, C, H, W) of a torch.nn.Module: leave it out here"
            )
        self._evaluation = evaluation
        (self._name, self._x), ((_, windows),) = *evaluation.varied.items(), covers.windows.items()
        graph = trace(model, self._x)
        outputs = graph.run([self._x])
        if len(outputs) != 1 or not torch.allclose(
            next(iter(outputs.values())), evaluation.prediction, rtol=1e-3, atol=1e-5
        ):
            raise ParameterError(
                "local=True needs a model with one output whose graph computes it as it is; the graph of this one "
                f"does not ({'; '.join(graph.notes) or 'several outputs'}): leave it out here"
            )
        self._forward = LocalForward(graph, _reach(windows, self._x))
        self._background: tuple[tuple[int, int], dict[Ref, Tensor]] | None = None

    def __call__(self, rows: Mapping[str, Tensor], numbers: Tensor, block: Block) -> Tensor:
        """The scores of the rows of a block, whose steps cover the windows with these numbers, (rows,)."""
        windows = numbers.repeat(block.samples).tolist()
        height, width = self._forward.reach.size
        places = [self._forward.reach.starts[window] for window in windows]
        patches = torch.stack(
            [
                row[:, top : top + height, left : left + width]
                for row, (top, left) in zip(rows[self._name], places, strict=True)
            ]
        )
        samples = [sample - block.start for sample in block.numbers().tolist()]
        (output,) = self._forward.outputs(self._of_samples(block), patches, samples, windows).values()
        return self._evaluation.target_of(block).score(output)

    def _of_samples(self, block: Block) -> dict[Ref, Tensor]:
        """The forward of the samples as they are, kept for the blocks that follow."""
        key = (block.start, block.stop)
        if self._background is None or self._background[0] != key:
            self._background = None  # the old one first, so that there are never two
            self._background = key, self._forward.background(block.of(self._x))
        return self._background[1]


def _reach(windows: Any, x: Tensor) -> Reach:
    """Rectangles of one size that hold the windows."""
    boxes = [windows.slices(number)[-2:] for number in range(windows.count)]
    size = tuple(max(box[dim].stop - box[dim].start for box in boxes) for dim in range(2))
    within = (x.shape[2], x.shape[3])
    starts = [
        (min(rows.start, within[0] - size[0]), min(columns.start, within[1] - size[1])) for rows, columns in boxes
    ]
    return Reach(starts, (size[0], size[1]), within)
