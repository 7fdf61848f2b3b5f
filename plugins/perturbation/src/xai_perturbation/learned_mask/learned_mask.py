"""The smallest smooth mask that destroys or keeps the output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from xai_perturbation.learned_mask.learning import Learning
from xai_perturbation.parameters import check_integer
from xai_perturbation.positions import over_channels, with_positions
from xai_perturbation.sums import dtype_of_sums
from xaicore.analyzers import Attribution, ExpansionAnalyzer, GraphEvaluation
from xaicore.analyzers.baselines import resolve_baseline
from xaicore.engine import Engine
from xaicore.errors import InputError, ParameterError, nearest

_MODES = ("delete", "preserve")


class LearnedMask(ExpansionAnalyzer):
    """A smooth mask that destroys or keeps the output, learnt by gradient descent (Fong and Vedaldi 2017).

    Where the mask is 1 the input is seen, where it is 0 something uninformative (``fill``). Without ``area`` the mask
    minimises ``score + area_weight * size + smoothness * total variation`` (equations 3 and 4), where the score is the
    output behind the mask, from 0 (everything is changed) to 1 (nothing is), and the size the share of positions that
    is changed (``mode='delete'``); with ``'preserve'`` the score counts negative, and the size is the share that is
    kept. With ``area``, the share is given instead (extremal perturbations, Fong et al. 2019, equation 4): the mask
    changes or keeps what matters most within it.

    The relevance is how far a position is changed (``'delete'``) or kept (``'preserve'``), from 0 to 1, the mean over
    areas; of an input (B, C, ...), it is split evenly over the channels. Each sample has a mask of its own, and of
    several inputs with positions each. `recorded` has ``score`` (the score as above) and ``area`` (the share), one for
    each sample and area. Needs the gradient of the model, ``steps`` times for each area.

    Parameters
    ----------
    mode : {'delete', 'preserve'}
        Find the smallest part whose loss destroys the output, or that suffices for it.
    area : float or sequence of float, optional
        The share of the positions that is changed or kept, between 0 and 1; of several, each has a mask. Default: as
        small as ``area_weight`` makes it.
    area_weight : float, optional
        How much the size costs. With ``area``, how much it costs at first to miss it; that grows a hundredfold, so
        that what matters is found before the area is met. Default: 0.1, or 1 with ``area``.
    smoothness : float
        How much total variation costs.
    beta : float
        The power of differences in it.
    size : int or sequence of int
        Resolution of the mask, for all dimensions or each; it is enlarged by linear interpolation.
    fill : str, float, sequence of float, Tensor or Baseline
        What stands where the mask is 0: ``"blur"``, ``"mean"``, a number, values. Of several variants, each step takes
        the next.
    steps : int
        How many steps of gradient descent (Adam).
    learning_rate : float
        Of Adam; the values of a mask lie between 0 and 1.
    jitter : int
        The input is moved at random by up to so many positions at each step, against masks that exploit single pixels.
    seed : int
        Of these moves.
    """

    family = "perturbation"
    needs_gradient = True

    def __init__(
        self,
        model: Any,
        *,
        mode: str = "delete",
        area: float | Sequence[float] | None = None,
        area_weight: float | None = None,
        smoothness: float = 0.2,
        beta: float = 3.0,
        size: int | Sequence[int] = 28,
        fill: Any = "blur",
        steps: int = 300,
        learning_rate: float = 0.05,
        jitter: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__(model)
        self.mode, self.area, self.area_weight = mode, area, area_weight
        self.smoothness, self.beta, self.size, self.fill = smoothness, beta, size, fill
        self.steps, self.learning_rate, self.jitter, self.seed = steps, learning_rate, jitter, seed
        if mode not in _MODES:
            raise ParameterError(f"mode={mode!r}: choose one of {', '.join(_MODES)}.{nearest(str(mode), _MODES)}")
        areas = [] if area is None else [area] if isinstance(area, int | float) else list(area)
        if (area is not None and not areas) or not all(0 < each < 1 for each in areas):
            raise ParameterError(f"area={area!r} must lie between 0 and 1: a share of the positions, or several")
        for name, value in (("area_weight", area_weight), ("smoothness", smoothness)):
            if value is not None and not value >= 0:
                raise ParameterError(f"{name}={value!r} must not be negative: it is what something costs")
        if not beta >= 1:
            raise ParameterError(f"beta={beta!r} must be at least 1: the power of differences in the total variation")
        if not learning_rate > 0:
            raise ParameterError(f"learning_rate={learning_rate!r} must be positive")
        for each in [size] if isinstance(size, int) else size:
            check_integer("size", each, least=1)
        check_integer("steps", steps, least=1)
        check_integer("jitter", jitter, least=0)
        check_integer("seed", seed, least=0)
        resolve_baseline(fill, what="fill")

    def attribute(self, evaluation: GraphEvaluation, engine: Engine) -> Attribution:
        """Learn the masks of all samples side by side."""
        masked = with_positions(evaluation.varied, "perturbation.mask")
        _refuse_tokens(evaluation)
        learning = Learning(self, evaluation, masked, dtype_of_sums(evaluation))
        done = learning.run(engine)
        scores = learning.scores()
        changed = learning.changed()
        share = {name: each.flatten(2).mean(2) for name, each in changed.items()}
        relevance = {name: x.new_zeros(x.shape, dtype=learning.dtype) for name, x in evaluation.varied.items()}
        relevance |= {name: over_channels(changed[name].mean(1), x) for name, x in masked.items()}
        recorded = {"score": scores}
        recorded |= {f"area of {name}" if len(share) > 1 else "area": each for name, each in share.items()}
        return Attribution(relevance, recorded=recorded, notes=self._notes(evaluation, learning, scores, share, done))

    def _notes(
        self, evaluation: GraphEvaluation, learning: Learning, scores: Tensor, share: dict[str, Tensor], done: int
    ) -> list[str]:
        word = "changed" if self.mode == "delete" else "kept"
        values = learning.values_of(scores)
        notes = [
            f"explained value {_spread(evaluation.values)} for the input as it is, {_spread(learning.reference)} where "
            f"all of it is changed, {_spread(values)} behind the mask, with {_spread(each)} of {name!r} {word}"
            for name, each in share.items()
        ]
        if done < self.steps:
            notes.append(
                f"interrupted after {done} of {self.steps} steps: the masks are not final, and scores a step older"
            )
        if left := [name for name in evaluation.varied if name not in share]:
            notes.append(f"inputs without positions stay as they are: {', '.join(left)}")
        return notes


def _refuse_tokens(evaluation: GraphEvaluation) -> None:
    inputs = evaluation.inputs()
    # Integers with one number a sample (lengths) stay as they are, like everything without positions.
    each = [x for x in inputs.values() if x.ndim > 1] if isinstance(inputs, dict) else [inputs]
    if evaluation.layer is None and not all(x.is_floating_point() for x in each):
        raise InputError(
            "perturbation.mask lays masks over positions of numbers, and an input holds integers, such as tokens. "
            "Explain them by perturbation.occlusion, lime or kernel_shap."
        )


def _spread(values: Tensor) -> str:
    low, high = float(values.min()), float(values.max())
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"
