"""Pixel flipping and its relatives: how fast the output falls as patches are replaced by relevance."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_evaluation.faithfulness.flipping import Flipping, area
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.ranking import ORDERS
from xai_evaluation.faithfulness.replacing import resolve_fill
from xai_evaluation.parameters import check_choice, check_count, check_flag, check_share
from xaicore.scoring import QUANTITIES, Case, Curve, Metric, Scores

SHARE = "share of patches replaced"


class PixelFlipping(Metric):
    """Area under the output as patches are replaced in the order of their relevance (pixel flipping).

    Patches are ranked by the sum of their relevance, those of all inputs together; equal ones in the order of their
    positions, so that a constant map is replaced from the first position on. Let f_k be the explained value of the
    same class with the first k of K patches replaced. The score is the area under f_k over k / K by the trapezoid rule,
    divided by the range of k / K: the mean height of the curve, in units of the output. A good explanation ranks first
    what the output needs: with ``order="most"`` less is better, with ``"least"`` more.

    A replaced entry keeps its value at all later steps: noise is drawn once, the same for all samples. The cost is one
    forward of each sample for each point of the curve but the first; with ``recompute`` also an explanation.

    Parameters
    ----------
    patch : int, tuple of int, dict of these by input, or None
        Size of a patch along the dimensions behind the channels, or along each of them; 1: single positions. None:
        single columns and tokens; at most 64 patches along a series, 8 x 8 in an image. Patches at the far border are
        smaller where sizes do not divide the input.
    order : {"most", "least", "both"}
        Which patches go first. "both": the score is the area between the two curves, that of the least relevant first
        minus that of the most relevant first; more is better.
    fill : float, sequence of float, str, Tensor, Baseline or LinearImputation
        What stands in place of replaced entries: a number, one a channel, ``"mean"`` of each channel, ``"blur"``,
        ``"low"``, ``"high"``, ``"uniform"`` noise, values, one of `xaicore.baselines`; or ``"linear"``: noisy linear
        imputation from the neighbours that are left.
    draws : int
        Most variants of a fill that has several (noise, samples of a data set); curves are means over them.
    steps : int or None
        Most points of the curve beside the first, evenly over all patches. None: one a patch.
    until : float
        Share of the patches that are replaced in the end.
    recompute : bool
        Whether a new explanation, of the changed sample and for the same class, orders the patches that are left after
        each step.
    quantity : {"output", "probability"}
        What is measured: the explained output, or after a softmax over the classes.
    normalize : bool
        Whether each curve is divided by the magnitude of its first value. NaN where that is 0.

    Notes
    -----
    NaN where relevance or outputs are not finite.

    References
    ----------
    Bach et al. 2015, "On pixel-wise explanations for non-linear classifier decisions by layer-wise relevance
    propagation"; Samek et al. 2017, "Evaluating the visualization of what a deep neural network has learned", sec. III.
    Imputation: Rong et al. 2022.
    """

    def __init__(
        self,
        *,
        patch: Any = None,
        order: str = "most",
        fill: Any = "zero",
        draws: int = 1,
        steps: int | None = 64,
        until: float = 1.0,
        recompute: bool = False,
        quantity: str = "output",
        normalize: bool = False,
    ) -> None:
        self.patch, self.order, self.fill, self.draws, self.steps = patch, order, fill, draws, steps
        self.until, self.recompute, self.quantity, self.normalize = until, recompute, quantity, normalize
        check_patch(patch)
        check_choice("order", order, (*ORDERS, "both"))
        resolve_fill(fill)
        check_count("draws", draws)
        if steps is not None:
            check_count("steps", steps)
        check_share("until", until, "a share of the patches")
        check_flag("recompute", recompute)
        check_choice("quantity", quantity, QUANTITIES)
        check_flag("normalize", normalize)

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """Whether relevant patches go last, or both orders are compared."""
        return self.order != "most"

    def score(self, case: Case) -> Scores:
        """Flip patches."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        counts = flipping.counts(self.steps, self.until)
        orders = ORDERS if self.order == "both" else (self.order,)
        found = {order: flipping.curve(order, counts, self.quantity, recompute=self.recompute) for order in orders}
        notes = flipping.notes()
        curves = {order: _normalized(each) if self.normalize else each for order, each in found.items()}
        y = curves["least"] - curves["most"] if self.order == "both" else curves[self.order]
        x = torch.tensor(counts, dtype=torch.float64) / flipping.patches.count
        values = area(x, y)
        label = self.quantity + (", relative to the start" if self.normalize else "")
        if self.order == "both":
            label = f"{label}: least minus most relevant first"
        if self.normalize and bool((case.values(self.quantity) == 0).any()):
            notes.append("undefined where the first value of the curve is 0")
        details = {f"{order} relevant first": each.cpu() for order, each in curves.items()} if len(orders) > 1 else {}
        return self.scores(values, curve=Curve(x, y.cpu(), SHARE, label), details=details, notes=notes)


def _normalized(curve: Tensor) -> Tensor:
    """Curves (B, K) divided by the magnitude of their first value."""
    first = curve[:, :1].abs()
    return torch.where(first == 0, torch.nan, curve / first)


class RegionPerturbation(Metric):
    """Mean loss of output as regions are replaced one after the other: area over the perturbation curve (AOPC).

    With f_k the explained value behind the first k regions and L their number: AOPC = 1 / (L + 1) sum_k (f_0 - f_k), k
    from 0 to L, in units of the output. With the most relevant regions first, more is better; with the least relevant
    first, less. Regions are ranked as in `PixelFlipping`.

    Parameters
    ----------
    patch, fill, draws, quantity
        As in `PixelFlipping`. Default: noise, uniform over the range of each channel of a sample. The paper takes
        regions of 9 pixels.
    order : {"most", "least"}
    regions : int or None
        Most regions that are replaced, L. None: all.

    Notes
    -----
    NaN where relevance or outputs are not finite.

    References
    ----------
    Samek et al. 2017, "Evaluating the visualization of what a deep neural network has learned", eq. 12.
    """

    def __init__(
        self,
        *,
        patch: Any = None,
        order: str = "most",
        fill: Any = "uniform",
        draws: int = 1,
        regions: int | None = 100,
        quantity: str = "output",
    ) -> None:
        self.patch, self.order, self.fill, self.draws = patch, order, fill, draws
        self.regions, self.quantity = regions, quantity
        check_patch(patch)
        check_choice("order", order, ORDERS)
        resolve_fill(fill)
        check_count("draws", draws)
        if regions is not None:
            check_count("regions", regions)
        check_choice("quantity", quantity, QUANTITIES)

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]
        """Whether relevant regions go first."""
        return self.order == "most"

    def score(self, case: Case) -> Scores:
        """Perturb regions."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        last = min(self.regions or flipping.patches.count, flipping.patches.count)
        counts = list(range(last + 1))
        curve = flipping.curve(self.order, counts, self.quantity)
        losses = curve[:, :1] - curve
        values = losses.mean(1)
        x = torch.tensor(counts, dtype=torch.float64) / flipping.patches.count
        label = f"loss of {self.quantity}"
        return self.scores(values, curve=Curve(x, losses.cpu(), SHARE, label), notes=flipping.notes())


class Selectivity(Metric):
    """Area under the output as the most relevant patch goes, again and again, with a new heatmap after each.

    Pixel flipping with ``recompute``: relevance that has moved to another patch since the first is gone counts. Less is
    better. In units of the output.

    Parameters
    ----------
    patch, fill, draws, steps, quantity
        As in `PixelFlipping`. With fewer steps than patches several go between two heatmaps.

    Notes
    -----
    NaN where the output, or the relevance of a sample or of one of its changed versions, is not finite.

    References
    ----------
    Montavon et al. 2018, "Methods for interpreting and understanding deep neural networks", sec. 7.2.
    """

    higher_is_better = False

    def __init__(
        self,
        *,
        patch: Any = None,
        fill: Any = "zero",
        draws: int = 1,
        steps: int | None = 64,
        quantity: str = "output",
    ) -> None:
        self.patch, self.fill, self.draws, self.steps, self.quantity = patch, fill, draws, steps, quantity
        PixelFlipping(patch=patch, fill=fill, draws=draws, steps=steps, quantity=quantity)

    def score(self, case: Case) -> Scores:
        """Flip patches, explaining anew."""
        flipping = Flipping(case, self.patch, self.fill, self.draws)
        counts = flipping.counts(self.steps)
        curve = flipping.curve("most", counts, self.quantity, recompute=True)
        x = torch.tensor(counts, dtype=torch.float64) / flipping.patches.count
        values = area(x, curve)
        label = self.quantity
        return self.scores(values, curve=Curve(x, curve.cpu(), SHARE, label), notes=flipping.notes())
