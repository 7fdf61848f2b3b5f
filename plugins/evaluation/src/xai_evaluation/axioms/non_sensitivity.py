"""Whether features have relevance exactly where the output depends on them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_evaluation.faithfulness.patches import Patches, check_patch
from xai_evaluation.parameters import check_size
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Block
from xaicore.errors import ParameterError
from xaicore.scoring import Case, Metric, Scores

_ROUNDING = 16
"""By how many units in the last place outputs may differ that should be equal."""


class NonSensitivity(Metric):
    """The share of features with relevance but no influence on the output, or influence but no relevance.

    With A the features without relevance and X those without influence it is ``|A ^ X| / F``, the size of the symmetric
    difference by the number of features. A feature is a patch: all channels of a square of positions, a column, a
    token. It has no relevance where none of its entries has more than ``epsilon`` times the largest magnitude of the
    sample's relevance. It has no influence where none of the values that ``fill`` puts there changes the output by more
    than ``epsilon`` times the largest change that any feature makes, or by more than rounding can (16 units in the last
    place of the largest output).

    NaN where relevance or outputs are not finite. Where all relevance is 0, no feature has any. ``details`` has both
    parts: ``relevance_without_influence`` and ``influence_without_relevance``.

    Parameters
    ----------
    patch : int, tuple of int, dict of these by input, or None
        Size of a patch. None: single columns and tokens, and at most 8 x 8 patches in an image. The cost is a forward
        pass for each patch and value.
    fill : number, list, word, tensor or `xaicore.baselines.Baseline`
        What the values of a patch are replaced by. ``"uniform"``: noise over the range of the sample, eight draws. A
        fixed value says nothing of features that have it already.
    epsilon : float
        What counts as 0, as a share of the largest.

    References
    ----------
    Nguyen and Rodriguez Martinez 2020, "On quantitative aspects of model interpretability", where it is a number of
    features and not a share.
    """

    higher_is_better = False
    bounds = (0.0, 1.0)

    def __init__(self, *, patch: Any = None, fill: Any = "uniform", epsilon: float = 1e-5) -> None:
        check_patch(patch)
        resolve_baseline(fill, what="fill")
        check_size("epsilon", epsilon, "what counts as 0, as a share of the largest")
        if epsilon >= 1:
            raise ParameterError(f"epsilon={epsilon!r} must be below 1: it is a share of the largest")
        self.patch, self.fill, self.epsilon = patch, fill, epsilon

    def score(self, case: Case) -> Scores:
        patches = Patches.of(case, self.patch)
        sizes = _largest(case, patches)
        silent = sizes <= self.epsilon * sizes.amax(1, keepdim=True)
        influence = self._influence(case, patches)
        outputs = case.evaluation.prediction
        rounding = _ROUNDING * torch.finfo(outputs.dtype).eps * outputs.double().flatten(1).abs().amax(1).cpu()
        idle = influence <= torch.maximum(self.epsilon * influence.amax(1), rounding)[:, None]
        broken = ~torch.isfinite(sizes).all(1) | ~torch.isfinite(influence).all(1)
        notes = ["undefined where relevance or outputs are not finite"]
        parts = {
            "relevance_without_influence": (idle & ~silent).double().mean(1).masked_fill(broken, torch.nan),
            "influence_without_relevance": (silent & ~idle).double().mean(1).masked_fill(broken, torch.nan),
        }
        return self.scores(sum(parts.values(), torch.zeros(len(case))), details=parts, notes=notes * bool(broken.any()))

    def _influence(self, case: Case, patches: Patches) -> Tensor:
        """The largest change of the output that a fill of each patch makes, (B, count)."""
        fill = case.evaluation.own(resolve_baseline(self.fill, what="fill"))
        values = case.values().cpu()
        numbers = torch.eye(patches.count, dtype=torch.bool, device=case.evaluation.device)

        def change(block: Block) -> Tensor:
            # One draw of all values serves all patches: steps run through the patches first.
            chosen = numbers[[step % patches.count for step in block.steps]]
            inside = patches.entries(chosen)
            draws = sorted({step // patches.count for step in block.steps})
            fills = {draw: fill.at(case.varied, draw) for draw in draws}
            rows = {}
            for name, x in case.varied.items():
                if name not in inside:
                    rows[name] = block.repeat(x)
                    continue
                filled = torch.stack(
                    [block.of(fills[step // patches.count][name].expand_as(x)) for step in block.steps], 1
                )
                rows[name] = torch.where(inside[name], filled, block.cross(x)).flatten(0, 1)
            return block.grid(case.scores(rows, block)).cpu() - block.cross(values)

        found = torch.zeros(len(case), patches.count, dtype=torch.float64)
        for block, differences in case.sweep(patches.count * fill.count, change):
            for number, step in enumerate(block.steps):
                column = found[block.start : block.stop, step % patches.count]
                torch.maximum(column, differences[:, number].abs(), out=column)
        return found


def _largest(case: Case, patches: Patches) -> Tensor:
    """The largest magnitude of relevance in each patch, (B, count)."""
    found = torch.zeros(len(case), patches.count, dtype=torch.float64)
    for name, relevance in case.relevance.items():
        sizes = relevance.abs().cpu().flatten(1)
        labels = patches.labels[name].cpu().expand(relevance.shape[1:]).flatten().expand(len(sizes), -1)
        found.scatter_reduce_(1, labels, sizes, "amax")
    return found
