"""The result of an analysis: relevance, what was explained, and how far it can be trusted."""

from __future__ import annotations

from xaicore.explanation.diagnostics import Diagnostics
from xaicore.explanation.files import load_explanation
from xaicore.explanation.masks import SIGNS, as_masks, counted, masks_from_boxes, pixel_relevance, relevance_inside
from xaicore.explanation.result import Explanation

__all__ = [
    "SIGNS",
    "Diagnostics",
    "Explanation",
    "as_masks",
    "counted",
    "load_explanation",
    "masks_from_boxes",
    "pixel_relevance",
    "relevance_inside",
]
