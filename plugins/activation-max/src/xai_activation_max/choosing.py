"""From what a user writes as prior and parametrization to objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from xai_activation_max.parameters import check_word
from xai_activation_max.parametrizations import Fourier, Parametrization, Pixels
from xai_activation_max.priors import L2, Density, Prior, ToMean
from xaicore.errors import ParameterError

PRIORS = ("l2", "mean", "expert", "none")
PARAMETRIZATIONS = ("pixels", "fourier")
_STRENGTHS = {"l2": 0.01, "mean": 0.01, "expert": 1.0}


def check_priors(prior: Any, strength: float | None) -> None:
    """Refuse what is no prior, and a strength for priors that have their own.

    Raises
    ------
    ParameterError
    """
    each = listed(prior)
    others = "; or give a Prior, an Expert, a function that returns the log of a density, or a list of these"
    for one in each:
        if isinstance(one, type):
            raise ParameterError(f"prior={one.__name__} is a class: give an object, such as {one.__name__}(...)")
        if not (isinstance(one, Prior) or hasattr(one, "log_density") or callable(one)):
            check_word("prior", one, PRIORS, others)
    if strength is not None and each and all(isinstance(one, Prior) or one == "none" for one in each):
        raise ParameterError(
            f"strength={strength!r} is for priors that are named by a word or given as a function; say it where the "
            f"prior is made, as in L2(strength={strength!r})"
        )


def listed(prior: Any) -> list[Any]:
    """One prior or several as a list."""
    if prior is None:
        return ["none"]
    return list(prior) if isinstance(prior, Sequence) and not isinstance(prior, str) else [prior]


def chosen_priors(
    prior: Any, strength: float | None, mean: Callable[[], Tensor], expert: Callable[[], Any]
) -> list[Prior]:
    """The priors as objects.

    Parameters
    ----------
    mean, expert : callable
        Give what was learnt in ``fit``, or say that it was not called.
    """
    found: list[Prior] = []
    for one in listed(prior):
        if isinstance(one, Prior):
            found.append(one)
            continue
        own = strength if strength is not None else _STRENGTHS.get(one, 1.0) if isinstance(one, str) else 1.0
        if one == "l2":
            found.append(L2(own))
        elif one == "mean":
            found.append(ToMean(own, mean()))
        elif one == "expert":
            found.append(Density(expert(), own))
        elif one != "none":
            found.append(Density(one, own))
    return found


def check_parametrization(parametrization: Any, bounds: Any, optimizer: Any) -> None:
    """Refuse what is no parametrization, and bounds that it would not keep.

    Raises
    ------
    ParameterError
    """
    if not isinstance(parametrization, Parametrization) or isinstance(parametrization, type):
        check_word("parametrization", parametrization, PARAMETRIZATIONS, " or give a Parametrization")
    elif bounds is not None:
        raise ParameterError(
            f"bounds= belongs to the parametrization, and {type(parametrization).__name__} was given as an object: say "
            "it there, as in Pixels(bounds=(0, 1)); a code space is bounded by its decoder"
        )
    made = chosen_parametrization(parametrization, bounds)
    if optimizer == "lbfgs" and getattr(made, "projects", False):
        raise ParameterError(
            "optimizer='lbfgs' knows no bounds, and moving back into them would spoil its steps: choose "
            "parametrization=Pixels(bounds=..., keep='sigmoid'), or optimizer='adam'"
        )


def chosen_parametrization(parametrization: Any, bounds: Any) -> Parametrization:
    """The parametrization as an object."""
    if parametrization == "pixels":
        return Pixels(bounds)
    if parametrization == "fourier":
        return Fourier(bounds)
    made: Parametrization = parametrization
    return made
