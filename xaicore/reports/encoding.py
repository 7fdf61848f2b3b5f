"""Maps and pictures as PNG files inside the page.

A map is stored in one byte a pixel: 1 to 255 stand for -reach to reach in equal steps, with 128 for zero, and 0, which
the file declares transparent, for what is no number. Colours are given in the browser, so that scale and overlay can
change.
"""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from xaicore.reports.shrinking import as_bytes

LEVELS = 127  # on either side of zero
_COLOURS = 128  # of a picture in colour: what is smaller than a stamp needs no more


def reach_of(values: NDArray[Any]) -> float:
    """Return the largest magnitude among finite values; 0 where there is none."""
    finite = np.abs(values[np.isfinite(values)])
    return float(finite.max()) if finite.size else 0.0


def encoded_map(values: NDArray[Any], reach: float) -> str:
    """Return relevance (H, W) as base64 of a PNG; values beyond `reach` are stored as if they were there."""
    finite = np.isfinite(values)
    steps = np.where(finite, values, 0) / (reach or 1.0)
    codes = np.where(finite, np.rint(np.clip(steps, -1, 1) * LEVELS) + LEVELS + 1, 0).astype(np.uint8)
    return _png(Image.fromarray(codes), transparency=0)


def encoded_picture(picture: NDArray[Any]) -> str:
    """Return a picture (H, W) or (H, W, 3) as base64 of a PNG; one in colour with 128 colours of its own."""
    image = Image.fromarray(as_bytes(picture))
    if image.mode == "RGB":
        image = image.quantize(_COLOURS, dither=Image.Dither.FLOYDSTEINBERG)
    return _png(image)


def _png(image: Image.Image, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True, **options)
    return base64.b64encode(buffer.getvalue()).decode("ascii")
