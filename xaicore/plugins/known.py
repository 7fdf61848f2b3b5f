"""Packages that this core knows of, installed or not, so that an error can say what to install."""

from __future__ import annotations

KNOWN_PACKAGES = {
    "activation_max": "xai-activation-max",
    "deeptaylor": "xai-deeptaylor",
    "evaluation": "xai-evaluation",
    "gradients": "xai-gradients",
    "lrp": "xai-lrp",
    "lstm": "xai-lstm",
    "patternnet": "xai-patternnet",
    "perturbation": "xai-perturbation",
}
"""Namespace of methods -> distribution that brings it."""

NAMESPACE_ALIASES = {"deep_taylor": "deeptaylor", "pattern": "patternnet"}
"""Namespaces that other tools use for the same methods."""

_RELEVANCE_PROVIDERS = {
    "recurrent": "xai-lstm",
    **dict.fromkeys(
        (
            "activation", "add", "attention", "average_pool", "batch_norm", "cast", "concat", "interpolate", "lp_pool",
            "matmul", "max_pool", "norm", "pad", "product", "reduction", "reshape", "scale", "select", "softmax",
        ),
        "xai-lrp",
    ),
}  # fmt: skip


def suggest_provider(kind: str) -> str | None:
    """Return the distribution known to bring a relevance mapping for layers of this kind, or None."""
    return _RELEVANCE_PROVIDERS.get(kind)
