"""How alike two heatmaps are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from xai_evaluation.parameters import check_choice
from xaicore.errors import InputError
from xaicore.explanation import SIGNS, counted, pixel_relevance

SIMILARITIES = ("spearman", "pearson", "cosine", "ssim")
UNDEFINED = (
    "undefined where a map is constant (or 0, for the cosine), not finite, or refused by the method for the "
    "sign of the score"
)
_WINDOW = 7
_SMALLEST_WINDOW = 3


def check_similarity(similarity: Any, of: Any) -> None:
    """Refuse a similarity, or a part of relevance, that there is not."""
    check_choice("similarity", similarity, SIMILARITIES)
    check_choice("of", of, SIGNS)


def similarities(a: Mapping[str, Tensor], b: Mapping[str, Tensor], similarity: str, of: str) -> Tensor:
    """How alike the relevance in ``a`` and ``b`` is, sample by sample, (B,).

    Parameters
    ----------
    a, b : dict of str to Tensor
        Relevance of each input, (B, ...).
    similarity : {'spearman', 'pearson', 'cosine', 'ssim'}
        Correlation of ranks (ties have the mean of their ranks), correlation, cosine of the angle: over all entries of
        all inputs. Or the structural similarity of images, whose channels are summed and whose largest magnitude is 1.
    of : {'signed', 'absolute', 'positive', 'negative'}
        Which relevance counts.

    Returns
    -------
    Tensor (B,)
        Between -1 and 1, in float64. NaN where a map is constant (0 throughout for the cosine and for SSIM), or not
        finite.
    """
    if similarity == "ssim":
        return _structural(_image_of(a), _image_of(b), of)
    first, second = (np.concatenate([_flat(each, of) for each in maps.values()], 1) for maps in (a, b))
    measure: Callable[..., NDArray[np.float64]] = {"spearman": _spearman, "pearson": _pearson, "cosine": _cosine}[
        similarity
    ]
    found = measure(first, second)
    finite = np.isfinite(first).all(1) & np.isfinite(second).all(1)
    return torch.from_numpy(np.where(finite, found, np.nan))


def _flat(relevance: Tensor, of: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = counted(relevance, of).flatten(1).cpu().numpy()
    return found


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.stats import rankdata

    return _pearson(rankdata(a, axis=1), rankdata(b, axis=1))


def _pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    # What is constant has a spread of rounding errors; its correlation would be one of those.
    constant = (np.ptp(a, axis=1) == 0) | (np.ptp(b, axis=1) == 0)
    centred = (each - each.mean(1, keepdims=True) for each in (a, b))
    return np.where(constant, np.nan, _cosine(*centred))


def _cosine(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    units = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for each in (a, b):
            # Scaled first: squares of small relevance would be 0.
            scaled = each / np.abs(each).max(1, keepdims=True)
            units.append(scaled / np.linalg.norm(scaled, axis=1, keepdims=True))
        cosine: NDArray[np.float64] = np.clip((units[0] * units[1]).sum(1), -1, 1)
    return cosine


def _image_of(relevance: Mapping[str, Tensor]) -> Tensor:
    """Relevance of the one image, (B, 1, H, W)."""
    shapes = {name: tuple(each.shape) for name, each in relevance.items()}
    image = next(iter(relevance.values()))
    if len(relevance) != 1 or image.ndim != 4 or min(image.shape[2:]) < _SMALLEST_WINDOW:
        raise InputError(
            f"similarity='ssim' compares images of at least {_SMALLEST_WINDOW} x {_SMALLEST_WINDOW} pixels; the "
            f"relevance has shape {shapes}. Use similarity='spearman'"
        )
    return pixel_relevance(image)


def _structural(a: Tensor, b: Tensor, of: str) -> Tensor:
    try:
        from skimage.metrics import structural_similarity
    except ImportError as error:
        raise InputError("similarity='ssim' needs scikit-image: pip install scikit-image") from error
    first, second = (counted(each, of).flatten(0, 1).cpu().numpy() for each in (a, b))
    compare: Callable[..., float] = structural_similarity
    span = 2.0 if of == "signed" else 1.0
    largest = min(_WINDOW, *first.shape[1:])
    window = largest if largest % 2 else largest - 1
    found = []
    for one, other in zip(first, second, strict=True):
        sizes = np.abs(one).max(), np.abs(other).max()
        if not (np.isfinite(sizes).all() and min(sizes) > 0):
            found.append(np.nan)
            continue
        found.append(float(compare(one / sizes[0], other / sizes[1], win_size=window, data_range=span)))
    return torch.tensor(found, dtype=torch.float64)
