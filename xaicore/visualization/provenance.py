"""Where a picture comes from, in one line."""

from __future__ import annotations

from xaicore import __version__
from xaicore.explanation import Explanation


def provenance(explanation: Explanation, longest: int = 160) -> str:
    """Return method, parameters, layer and version in one line for the foot of a figure.

    >>> provenance(explanation)  # doctest: +SKIP
    'lrp.epsilon(epsilon=0.25) · xaicore 0.1.0'
    """
    ending = f" · at layer {explanation.layer}" if explanation.layer else ""
    ending += f" · xaicore {__version__}"
    parameters = ", ".join(f"{name}={value!r}" for name, value in explanation.parameters.items())
    beginning = f"{explanation.method}({parameters})" if parameters else explanation.method
    room = max(longest - len(ending), len(explanation.method))
    if len(beginning) > room:
        beginning = beginning[: room - 1] + "…"
    return " ".join((beginning + ending).split())
