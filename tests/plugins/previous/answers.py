"""What the installed xai-lrp says of itself and of a small network: test_previous_wheel.py compares two versions."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

PIXELS = {"low": 0.0, "high": 1.0}
METHODS: dict[str, dict[str, float]] = {
    "lrp.zero": {},
    "lrp.epsilon": {"epsilon": 0.1},
    "lrp.gamma": {},
    "lrp.alpha_2_beta_1": {},
    "lrp.z_box": PIXELS,
    "lrp.epsilon_plus": {},
    "lrp.epsilon_gamma_box": PIXELS,
    "lrp.preset_a_flat": {},
}


def answers() -> dict[str, Any]:
    """Return the plugin's entry in the registry, its methods, explanations by some, and what it was warned of."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        relevance = _relevance_by_method()
    import xai_lrp
    from xaicore.deprecation import XaicoreDeprecationWarning
    from xaicore.plugins import methods, plugin_registry

    (info,) = [info for info in plugin_registry().plugins() if info.namespace == "lrp"]
    return {
        "status": str(info.status),
        "cause": info.cause,
        "version": info.version,
        "file": xai_lrp.__file__,
        "methods": [method.name for method in methods() if method.namespace == "lrp"],
        "relevance": relevance,
        "deprecations": [str(each.message) for each in caught if issubclass(each.category, XaicoreDeprecationWarning)],
    }


def _relevance_by_method() -> dict[str, list[float]]:
    import torch
    from torch import Tensor, nn

    from xaicore.analyzers import create_analyzer, explain_each

    class Branched(nn.Module):
        """Two convolutions of one input: their sum, their concatenation, a batch norm, poolings, a linear head."""

        def __init__(self) -> None:
            super().__init__()
            self.left, self.right = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(3, 4, 1)
            self.norm = nn.BatchNorm2d(8)
            self.head = nn.Linear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            left, right = self.left(x).relu(), self.right(x)
            x = self.norm(torch.cat([left + right, right], dim=1)).relu()
            return self.head(nn.functional.max_pool2d(x, 2).mean((2, 3)))

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        model = Branched().double().eval()
        model.norm.running_mean.uniform_(-0.5, 0.5)
        model.norm.running_var.uniform_(0.5, 2)
        images = torch.rand(2, 3, 8, 8, dtype=torch.float64)
    analyzers = [create_analyzer(name, model, **parameters) for name, parameters in METHODS.items()]
    found = explain_each(model, images, [(analyzer, [0, 2]) for analyzer in analyzers])
    return {name: explanation.relevance.flatten().tolist() for name, explanation in zip(METHODS, found, strict=True)}


if __name__ == "__main__":
    json.dump(answers(), sys.stdout)
