"""What stands in place of the entries that are taken away."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from xai_evaluation.faithfulness.imputation import LinearImputation
from xaicore.analyzers.baselines import Baseline, resolve_baseline
from xaicore.engine import Block
from xaicore.errors import ParameterError
from xaicore.scoring import Case

Fill = Baseline | LinearImputation


def resolve_fill(fill: Any) -> Fill:
    """Turn what a user writes as ``fill=`` into a baseline, or an imputation for ``"linear"``.

    Raises
    ------
    ParameterError
        For anything that is neither.
    """
    if isinstance(fill, LinearImputation):
        return fill
    if fill == "linear" and isinstance(fill, str):
        return LinearImputation()
    try:
        return resolve_baseline(fill, what="fill")
    except ParameterError as error:
        raise ParameterError(f"{error}. For noisy linear imputation: 'linear'") from None


class Replacement:
    """The samples of a case with some of their entries replaced.

    Parameters
    ----------
    case : Case
    fill : Baseline or LinearImputation
    draw : int
        Which variant of the fill: an entry that is gone has the same value in all rows.
    """

    def __init__(self, case: Case, fill: Fill, draw: int = 0) -> None:
        self._case, self._fill, self._draw = case, fill, draw
        self._explained = {name: x for name, x in case.varied.items() if name in case.relevance}

    @functools.cached_property
    def values(self) -> dict[str, Tensor]:
        """What stands in place of each entry of the inputs that are explained, (B, ...) or (1, ...)."""
        if isinstance(self._fill, LinearImputation):
            raise ParameterError(
                "fill='linear' takes values from the neighbours that are left; this metric needs to know them "
                "beforehand: choose a number, 'mean', 'blur' or another fill"
            )
        return self._case.evaluation.own(self._fill).at(self._explained, self._draw)

    def rows(self, gone: Mapping[str, Tensor], block: Block) -> dict[str, Tensor]:
        """The rows of a block, (rows, ...) for each of the inputs that can be changed.

        Parameters
        ----------
        gone : mapping of str to Tensor
            Which entries are replaced: boolean (rows, ...), or (steps, ...) where it is the same for all samples, with
            1 for channels. Inputs that it does not name stay as they are.
        block : Block
        """
        rows = {}
        for name, x in self._case.varied.items():
            if name not in gone:
                rows[name] = block.repeat(x)
                continue
            own = gone[name]
            own = own.unsqueeze(0) if len(own) != block.rows else block.grid(own)
            rows[name] = self._replaced(name, x, own, block).flatten(0, 1)
        return rows

    def _replaced(self, name: str, x: Tensor, gone: Tensor, block: Block) -> Tensor:
        if isinstance(self._fill, LinearImputation):
            return self._fill.impute(name, block.cross(x), gone, self._draw)
        fill = self.values[name]
        return torch.where(gone, block.cross(fill) if len(fill) == len(x) else fill.unsqueeze(1), block.cross(x))
