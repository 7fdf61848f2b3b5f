"""Infidelity: relevance as a linear model of what perturbations do to the output."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from xai_evaluation.faithfulness.flipping import NON_FINITE, NON_FINITE_OUTPUT
from xai_evaluation.faithfulness.patches import check_patch
from xai_evaluation.faithfulness.replacing import Replacement, resolve_fill
from xai_evaluation.parameters import check_choice, check_count, check_flag, check_seed, check_size
from xai_evaluation.robustness.neighbours import Noisy
from xaicore.analyzers import cell_sizes, default_cells
from xaicore.engine import Block, generator
from xaicore.errors import InputError, ParameterError
from xaicore.scoring import QUANTITIES, Case, Metric, Scores

PERTURBATIONS = ("square", "gaussian")
MEANINGS = ("contribution", "slope")
UNCHANGED = "undefined where no perturbation changes the sample"


class Infidelity(Metric):
    """Mean squared error of relevance as a linear model of random perturbations.

    For perturbations I of the sample x: the mean of (p(I) - (f(x) - f(x - I)))^2, in squared units of the output, where
    p is what the explanation predicts. Relevance that is a slope (a gradient) predicts I . R, the definition of the
    paper. Relevance that is a contribution (LRP, input times gradient, integrated gradients: it sums to the output, or
    its difference to the fill) predicts that replacing entries loses their relevance, which is I . R with R divided by
    x - fill. 0 is best: for a linear model w . x it is reached by the slope w, and by the contributions
    w_i (x_i - fill_i).

    Parameters
    ----------
    perturbation : {"square", "gaussian"}
        "square": a box at a random place of each input is replaced by ``fill``. "gaussian": noise on all
        floating-point inputs, which only a slope predicts.
    relevance : {"contribution", "slope"}
        What relevance says.
    samples : int
        How many perturbations; as many forwards of each sample.
    size : int, tuple of int, dict of these by input, or None
        Of the box, as ``patch`` of `PixelFlipping`. None: single columns and tokens, an eighth of the side of an image.
    fill : float, sequence of float, str, Tensor, Baseline or LinearImputation
        As in `PixelFlipping`; of several variants the first.
    noise : float
        Standard deviation of the noise, as a share of the range of each input of a sample.
    scale : bool
        Whether relevance is first multiplied, sample by sample, by the factor that makes the infidelity smallest:
        mean(p (f(x) - f(x - I))) / mean(p^2). Then the unit of the relevance does not matter.
    quantity : {"output", "probability"}
    seed : int
        Of the perturbations, which all samples share, but for the width of the noise.

    Notes
    -----
    NaN where relevance or outputs are not finite, and for a slope where no perturbation changes the sample (noise on a
    constant one, which has no range; zeros in place of zeros). A map of zeros has the mean squared change of the
    output.

    References
    ----------
    Yeh et al. 2019, "On the (in)fidelity and sensitivity of explanations", def. 2.1.
    """

    higher_is_better = False
    bounds = (0.0, None)

    def __init__(
        self,
        *,
        perturbation: str = "square",
        relevance: str = "contribution",
        samples: int = 100,
        size: Any = None,
        fill: Any = "zero",
        noise: float = 0.1,
        scale: bool = False,
        quantity: str = "output",
        seed: int = 0,
    ) -> None:
        self.perturbation, self.relevance, self.samples, self.size = perturbation, relevance, samples, size
        self.fill, self.noise, self.scale, self.quantity, self.seed = fill, noise, scale, quantity, seed
        check_choice("perturbation", perturbation, PERTURBATIONS)
        check_choice("relevance", relevance, MEANINGS)
        if perturbation == "gaussian" and relevance == "contribution":
            raise ParameterError(
                "perturbation='gaussian' needs relevance='slope': a contribution says what is lost where entries are "
                "replaced, not what noise does; choose perturbation='square' for it"
            )
        check_count("samples", samples)
        check_patch(size, "size")
        resolve_fill(fill)
        check_size("noise", noise, "a share of the range of each sample")
        check_flag("scale", scale)
        check_choice("quantity", quantity, QUANTITIES)
        check_seed(seed)

    def score(self, case: Case) -> Scores:
        """Perturb the inputs."""
        device = case.evaluation.device
        relevance = {name: each.to(device) for name, each in case.relevance.items()}
        if self.relevance == "slope" and any(not case.varied[name].is_floating_point() for name in relevance):
            raise InputError(
                "relevance='slope' multiplies relevance with changes of the input, which integers (tokens) do not "
                "have: choose relevance='contribution'"
            )
        start = case.values(self.quantity).to(device)
        predicted, lost = (torch.empty(len(case), self.samples, dtype=torch.float64, device=device) for _ in range(2))
        run = self._noisy(case, relevance) if self.perturbation == "gaussian" else self._squares(case, relevance)

        moved = torch.zeros_like(start, dtype=torch.bool)

        def measured(block: Block) -> tuple[Tensor, Tensor]:
            rows, expected = run(block)
            for name in relevance:
                differs = block.grid(rows[name]) != block.cross(case.varied[name])
                moved[block.start : block.stop] |= differs.flatten(1).any(1)
            return expected, block.of(start)[:, None] - block.grid(case.scores(rows, block, self.quantity))

        for block, (expected, loss) in case.sweep(self.samples, measured):
            predicted[block.start : block.stop, block.first : block.last] = expected
            lost[block.start : block.stop, block.first : block.last] = loss
        if self.scale:
            square = predicted.square().mean(1)
            factor = (predicted * lost).mean(1) / torch.where(square == 0, 1.0, square)
            predicted = predicted * factor[:, None]
        finite = torch.stack([each.flatten(1).isfinite().all(1) for each in relevance.values()]).all(0)
        values = (predicted - lost).square().mean(1)
        broken = finite & ~values.isfinite()
        # Any slope is right about a perturbation that changes nothing; a contribution says what is lost even then.
        idle = ~moved if self.relevance == "slope" else torch.zeros_like(moved)
        said = {NON_FINITE: ~finite, NON_FINITE_OUTPUT: broken, UNCHANGED: finite & idle}
        notes = [note for note, samples in said.items() if bool(samples.any())]
        return self.scores(values.masked_fill(~finite | broken | idle, torch.nan), notes=notes)

    def _noisy(self, case: Case, relevance: dict[str, Tensor]) -> Any:
        noisy = Noisy(
            {name: case.varied[name] for name in relevance},
            size=self.noise,
            distribution="normal",
            relative=True,
            samples=self.samples,
            seed=self.seed,
        )

        def run(block: Block) -> tuple[dict[str, Tensor], Tensor]:
            rows = {name: block.repeat(x) for name, x in case.varied.items()} | noisy.rows(block)
            return rows, _along(case.varied, rows, relevance, block)

        return run

    def _squares(self, case: Case, relevance: dict[str, Tensor]) -> Any:
        replacement = Replacement(case, resolve_fill(self.fill))
        shapes = {name: tuple(each.shape[1:]) for name, each in relevance.items()}
        boxes = {}
        for key, (name, shape) in enumerate(shapes.items()):
            given = self.size.get(name) if isinstance(self.size, dict) else self.size
            size = default_cells(shape) if given is None else given
            boxes[name] = (key, cell_sizes(size, name, shape, "size"), shape)

        def run(block: Block) -> tuple[dict[str, Tensor], Tensor]:
            gone = {
                name: torch.stack([_box(sizes, shape, self.seed, step, key) for step in block.steps])
                for name, (key, sizes, shape) in boxes.items()
            }
            gone = {name: each.to(case.evaluation.device) for name, each in gone.items()}
            rows = replacement.rows(gone, block)
            if self.relevance == "slope":
                return rows, _along(case.varied, rows, relevance, block)
            predicted = torch.zeros(block.samples, len(block.steps), dtype=torch.float64, device=case.evaluation.device)
            for name, each in relevance.items():
                own = block.of(each)
                own = own if own.shape[1:] == gone[name].shape[1:] else own.sum(1, keepdim=True)
                predicted += own.flatten(1).reshape(block.samples, -1) @ gone[name].flatten(1).double().T
            return rows, predicted

        return run


def _along(varied: Any, rows: dict[str, Tensor], relevance: dict[str, Tensor], block: Block) -> Tensor:
    """The product of perturbations and relevance, (samples, steps)."""
    total = torch.zeros(block.samples, len(block.steps), dtype=torch.float64, device=next(iter(rows.values())).device)
    for name, each in relevance.items():
        moved = block.cross(varied[name]).double() - block.grid(rows[name]).double()
        total += (moved * block.cross(each)).flatten(2).sum(2) if moved.ndim > 2 else moved * block.cross(each)
    return total


def _box(sizes: tuple[int, ...], shape: tuple[int, ...], seed: int, step: int, key: int) -> Tensor:
    """A box at a random place of a sample, boolean (...), with 1 for the channels where it spans them."""
    random = generator(seed, step, key)
    box = torch.ones([1] * len(shape), dtype=torch.bool)
    for dim, (size, length) in enumerate(zip(sizes, shape, strict=True)):
        first = int(torch.randint(length - size + 1, (), generator=random))
        at = torch.arange(length)
        inside = (at >= first) & (at < first + size)
        box = box & inside.view([length if place == dim else 1 for place in range(len(shape))])
    return box[:1] if len(shape) > 1 and sizes[0] == shape[0] else box
