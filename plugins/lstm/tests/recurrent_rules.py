"""The rules that are compared, under our names and those of the numpy reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

PRODUCTS = {"lstm.lrp_all": "all", "lstm.lrp_prop": "prop", "lstm.lrp_half": "half"}
# Parameters of ours -> of the reference.
RULES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"epsilon": 0.0}, {"epsilon": 0.0}),
    ({"epsilon": 0.2, "bias": "ignore"}, {"epsilon": 0.2, "bias": "ignore"}),
    ({"epsilon": 0.2, "bias": "distribute"}, {"epsilon": 0.2, "bias": "distribute"}),
    ({"epsilon": 0.2, "bias": "conserve"}, {"epsilon": 0.2, "bias_factor": 1.0}),
]


def assert_close(seen: Tensor, expected: np.ndarray, case: object = None) -> None:
    """Equal to 1e-10 of the largest relevance: where contributions cancel, relevance of either sign is large."""
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(seen, expected, rtol=1e-10, atol=1e-10 * np.abs(expected).max(), err_msg=str(case))
