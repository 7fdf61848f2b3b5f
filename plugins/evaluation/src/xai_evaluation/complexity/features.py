"""What the metrics of complexity look at: the size of each feature's relevance."""

from __future__ import annotations

import torch
from torch import Tensor

from xaicore.explanation import counted, pixel_relevance
from xaicore.scoring import Case


def magnitudes(case: Case) -> Tensor:
    """The magnitude of the relevance of each feature, (B, F): of a pixel that of the sum over its channels."""
    found = case.relevance.values()
    return torch.cat([counted(pixel_relevance(each), "absolute").flatten(1) for each in found], 1)


def undefined_notes(sizes: Tensor) -> list[str]:
    """Why there is no answer for some of these samples."""
    notes = []
    if bool((sizes == 0).all(1).any()):
        notes.append("undefined where all relevance is 0")
    if not bool(torch.isfinite(sizes).all()):
        notes.append("undefined where relevance is not finite")
    return notes
