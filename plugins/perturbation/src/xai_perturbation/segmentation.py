"""Superpixels: connected regions of similar values, found by scikit-image in each sample."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xaicore.errors import InputError, ParameterError, nearest

ALGORITHMS = ("quickshift", "slic", "felzenszwalb")
_DEFAULTS: dict[str, dict[str, Any]] = {
    "quickshift": {"kernel_size": 4, "max_dist": 20, "ratio": 0.2, "rng": 0},
    "slic": {"n_segments": 64, "start_label": 0},
    "felzenszwalb": {"scale": 50, "sigma": 0.5},
}
_LIGHTNESS = 100.0
"""The range of lightness in CIELAB, in which the options of these algorithms are meant."""
_MOST_DIMENSIONS = {"quickshift": 2, "slic": 3, "felzenszwalb": 2}


class Segmentation:
    """Superpixels as features, one segmentation a sample.

    The values of a sample are scaled to [0, 1] first, all channels alike. The same sample always gets the same
    superpixels.

    Parameters
    ----------
    name : {'quickshift', 'slic', 'felzenszwalb'}
        Quickshift (Vedaldi and Soatto 2008), SLIC (Achanta et al. 2012; the only one for volumes, (B, C, D, H, W)), or
        Felzenszwalb and Huttenlocher 2004. Colours are compared in the CIELAB space where there are three channels.
    **options
        Passed to the function of this name in `skimage.segmentation`. Defaults where they differ: quickshift
        ``kernel_size=4, max_dist=20, ratio=0.2``; slic ``n_segments=64``, without three channels ``compactness=0.1``;
        felzenszwalb ``scale=50, sigma=0.5`` and ``min_size`` 1/200 of the
        positions, at least 4.

    Examples
    --------
    >>> Segmentation("slic", n_segments=30)
    Segmentation('slic', n_segments=30)
    """

    def __init__(self, name: str, **options: Any) -> None:
        self.name, self.options = name, options
        if name not in ALGORITHMS:
            raise ParameterError(
                f"segmentation {name!r} is not known: choose {', '.join(ALGORITHMS)}.{nearest(name, ALGORITHMS)}"
            )

    def __call__(self, name: str, x: Tensor) -> Tensor:
        """Labels (B, 1, ...) for the input ``x`` (B, C, ...) called ``name``.

        Raises
        ------
        InputError
            Where the input has no positions, or scikit-image is missing.
        """
        dimensions = x.ndim - 2
        if not 1 <= dimensions <= _MOST_DIMENSIONS[self.name] or not (x.is_floating_point() or x.dtype == torch.uint8):
            raise InputError(
                f"{self.name} finds no superpixels in input {name!r} of shape {tuple(x.shape)} and type {x.dtype}: it "
                f"takes numbers (B, C, ...) with one to {_MOST_DIMENSIONS[self.name]} dimensions behind the channels. "
                "Give the size of grid cells, or labels of your own"
            )
        labels = [self._segments(sample) for sample in x.detach().movedim(1, -1).double().cpu().numpy()]
        return torch.from_numpy(np.stack(labels)).unsqueeze(1).to(x.device)

    def _segments(self, sample: np.ndarray) -> np.ndarray:
        """Labels (...) of one sample (..., C)."""
        try:
            from skimage import segmentation
        except ImportError as error:
            raise InputError(
                f"features={self.name!r} needs scikit-image: pip install 'xai-perturbation[segmentation]'"
            ) from error
        low, high = sample.min(), sample.max()
        # A sample without any contrast is one segment, of zeros.
        scaled = (sample - low) / (high - low if high > low else 1.0)
        is_series = sample.ndim == 2
        image = scaled[None] if is_series else scaled
        is_coloured = sample.shape[-1] == 3
        if self.name == "quickshift" and not is_coloured:
            image = image * _LIGHTNESS
        with warnings.catch_warnings():
            # Many channels are meant.
            warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)
            found = getattr(segmentation, self.name)(
                image, **self._options(sample.size // sample.shape[-1], is_coloured)
            )
        found = np.asarray(found, dtype=np.int64)
        return found[0] if is_series else found

    def _options(self, positions: int, is_coloured: bool) -> dict[str, Any]:
        options = dict(_DEFAULTS[self.name])
        if self.name == "quickshift":
            options["convert2lab"] = is_coloured
        elif self.name == "felzenszwalb":
            options["min_size"] = max(4, positions // 200)
        elif not is_coloured:
            options["compactness"] = 10 / _LIGHTNESS
        return options | self.options

    def __repr__(self) -> str:
        return f"Segmentation({', '.join([repr(self.name), *(f'{k}={v!r}' for k, v in self.options.items())])})"
