"""Which scores have a deep Taylor decomposition."""

from __future__ import annotations

from torch import Tensor

from xaicore.errors import TargetError

_SHOWN = 5
_INSTEAD = "Or take a method whose relevance has both signs: lrp.epsilon, gradients.input_x_gradient."


def check_decomposable(output: Tensor, gradient: Tensor) -> None:
    """Refuse what is no sum of non-negative outputs: a negative score, a difference of two.

    Parameters
    ----------
    output, gradient : Tensor
        The explained output, shape (B, ...), and the gradient of the explained score there.
    """
    if bool((gradient < 0).any()):
        raise TargetError(
            "Deep Taylor decomposition explains an output, or a sum of outputs, but this target subtracts one: what "
            f"speaks against a score has no relevance in it. Explain one class at a time. {_INSTEAD}"
        )
    terms = (output * gradient).detach().reshape(len(output), -1)
    bad = (terms < 0).any(1).nonzero().flatten().tolist()
    if not bad:
        return
    shown = ", ".join(f"{float(terms[sample].min()):.4g} of sample {sample}" for sample in bad[:_SHOWN])
    more = f" and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
    raise TargetError(
        f"Deep Taylor decomposition is not defined for a negative score, which has no root point to be explained "
        f"against: {shown}{more} (in a batch of {len(output)}). Explain a class whose score is positive, or leave "
        f"these samples out. {_INSTEAD}"
    )
