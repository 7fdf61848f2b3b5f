"""Whether a metric keeps scikit-learn's conventions for its parameters."""

from __future__ import annotations

import inspect

from sklearn.base import clone

from xaicore.errors import ParameterError
from xaicore.testing.checks import Failure, interface, require
from xaicore.testing.methods.parameters import NO_PARAMETER
from xaicore.testing.metrics.subject import MetricSubject


@interface
def parameters_are_kept(subject: MetricSubject) -> None:
    """Parameters are given by keyword, and each is stored unchanged under its own name."""
    signature = inspect.signature(subject.cls).parameters
    by_position = [name for name, each in signature.items() if each.kind is not each.KEYWORD_ONLY]
    require(not by_position, f"{', '.join(by_position)} can be given by position: write __init__(self, *, ...)")
    metric = subject.create()
    given = {name: each.default for name, each in signature.items()} | dict(subject.parameters)
    for name, value in given.items():
        require(hasattr(metric, name), f"the parameter {name!r} is not stored: write self.{name} = {name}")
        stored = getattr(metric, name)
        require(stored is value, f"the parameter {name}={value!r} is stored as {stored!r}: store it as it is given")


@interface
def parameters_are_changed_by_name(subject: MetricSubject) -> None:
    """A clone has the same parameters, and `set_params` refuses those that there are not, changing nothing."""
    metric = subject.create()
    given = metric.get_params()
    copied = clone(metric).get_params()
    others = [name for name in given if copied[name] is not given[name]]
    require(not others, f"a clone has other values of {', '.join(others)}")
    try:
        metric.set_params(**{**given, NO_PARAMETER: 1})
    except ParameterError as error:
        require(NO_PARAMETER in str(error), f"the error does not name the unknown parameter: {error}")
    else:
        raise Failure(f"set_params({NO_PARAMETER}=1) is accepted; it must be refused by a ParameterError")
    changed = [name for name, value in metric.get_params().items() if given[name] is not value]
    require(not changed, f"set_params with a parameter that there is not changed {', '.join(changed)}")
